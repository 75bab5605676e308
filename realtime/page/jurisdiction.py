"""The page of one jurisdiction: lag, failures, scrape runs, parked files, newest files."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.ledger.files import database_now
from realtime.models import File
from realtime.monitoring.status import file_lists, lag, run_states
from realtime.monitoring.status.lead_time import lead_times
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import charts, names
from realtime.page.access import operators_only
from realtime.page.days import day, hours_until
from realtime.page.freshness import latest
from realtime.page.progress import last_sent, progress

_FILES = 20
_RUNS = 10
_FAILURES = 20


@operators_only
def show(request: HttpRequest, jurisdiction_id: str) -> HttpResponse:
    """Show the page. `?reason=` lists only failures of that reason; `?start=N` skips the first N.

    404 for a jurisdiction of which the ledger has no file and no run.
    """
    reason = request.GET.get("reason", "").replace("\0", "")
    asked = request.GET.get("start", "")
    # A large offset is slow in the database, and useless to a reader.
    start = min(int(asked), file_lists.AT_MOST) if asked.isdecimal() and len(asked) < 10 else 0
    with read_only_transaction():
        found = _found(jurisdiction_id, reason, start)
    return render(
        request,
        "realtime/jurisdiction.html",
        {
            "jurisdiction_id": jurisdiction_id,
            "name": names.name_of(jurisdiction_id),
            "reason": reason,
            "older": start + _FAILURES if len(found["failures"]) == _FAILURES else 0,
            **found,
        },
    )


def _found(jurisdiction_id: str, reason: str, start: int) -> dict[str, Any]:
    """The page's data from the ledger. Raises Http404 for a jurisdiction it does not know."""
    now = database_now()
    hours = hours_until(now)
    by_hour = lag.lags(hours[0], now, [jurisdiction_id], (lag.HOUR,), parts=False)
    newest = file_lists.newest(jurisdiction_id, _FILES)
    states = run_states.latest_states(now, jurisdiction_id, _RUNS)
    known = newest or states or File.objects.filter(jurisdiction_id=jurisdiction_id).exists()
    if jurisdiction_id and not known:
        raise Http404("the ledger knows no such jurisdiction")
    return {
        "now": now,
        "latest": latest(by_hour, states, now),
        "day": day(hours, by_hour, charts.WIDE),
        "types": lag.lags(hours[0], now, [jurisdiction_id], (lag.TYPE,)),
        "runs": progress(
            states,
            last_sent([jurisdiction_id]),
            lead_times(hours[0], now, [jurisdiction_id], by_run=True),
        ),
        "files": newest,
        # To these queries an empty id means all jurisdictions; here it means files without one.
        "groups": file_lists.failures(jurisdiction_id) if jurisdiction_id else [],
        "failures": file_lists.failed(jurisdiction_id, reason, start, _FAILURES),
        "parked": file_lists.parked(jurisdiction_id) if jurisdiction_id else [],
    }
