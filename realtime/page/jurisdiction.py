"""One jurisdiction: its runs, its newest files with their times, its failures."""

from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.ledger import database_now
from realtime.models import File, ScrapeRun
from realtime.page import charts, names
from realtime.page.access import operators_only
from realtime.page.days import day, hours_until
from realtime.page.freshness import latest
from realtime.page.progress import last_sent, progress
from realtime.status import files, lag, run_states

_FILES = 25
_RUNS = 10
_FAILURES = 50


@operators_only
def show(request: HttpRequest, jurisdiction_id: str) -> HttpResponse:
    """The page. With `?reason=` it lists only the failures of that reason."""
    now = database_now()
    hours = hours_until(now)
    found = lag.lags(hours[0], now, [jurisdiction_id], (lag.HOUR,), parts=False)
    types = lag.lags(now - timedelta(hours=24), now, [jurisdiction_id], (lag.TYPE,))
    newest = files.newest(jurisdiction_id, _FILES)
    states = run_states.latest_states(now, jurisdiction_id, _RUNS)
    groups = files.failures(jurisdiction_id) if jurisdiction_id else []
    if not (newest or states or groups) and not _is_known(jurisdiction_id):
        raise Http404("the ledger knows no such jurisdiction")
    reason = request.GET.get("reason", "")
    failed = files.failed(jurisdiction_id, reason, _FAILURES)
    return render(
        request,
        "realtime/jurisdiction.html",
        {
            "now": now,
            "jurisdiction_id": jurisdiction_id,
            "name": names.name_of(jurisdiction_id),
            "latest": latest(found, states, now),
            "day": day(hours, found, charts.WIDE),
            "types": types,
            "runs": progress(states, last_sent([jurisdiction_id])),
            "files": newest,
            "groups": groups,
            "reason": reason,
            "failures": failed,
            "failures_shown": _FAILURES,
            "parked": files.parked(jurisdiction_id) if jurisdiction_id else [],
        },
    )


def _is_known(jurisdiction_id: str) -> bool:
    return (
        not jurisdiction_id
        or File.objects.filter(jurisdiction_id=jurisdiction_id).exists()
        or ScrapeRun.objects.filter(jurisdiction_id=jurisdiction_id).exists()
    )
