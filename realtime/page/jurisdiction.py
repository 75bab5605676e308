"""The page of one jurisdiction: its state, charts, failures, and the runs that are not final."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.ledger.files import database_now
from realtime.ledger.pauses import open_pause
from realtime.monitoring.status import file_lists, flag_counts, lag, run_states
from realtime.monitoring.status.file_lists import Failures, Parked
from realtime.monitoring.status.flag_counts import OpenFlags
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import known, names, services
from realtime.page.access import operators_only
from realtime.page.days import hours_until
from realtime.page.freshness import Facts, latest
from realtime.page.progress import last_sent, progress
from realtime.page.trends import trends

# Rows of each list: there is a page with all of them.
_GROUPS, _RUNS = 5, 5

Group = TypeVar("Group", Failures, Parked, OpenFlags)


@operators_only
def show(request: HttpRequest, jurisdiction_id: str) -> HttpResponse:
    """Show the page. `?window=` chooses how long the charts reach back.

    404 for a jurisdiction of which the ledger has no file, no run and no pause.
    """
    verdict = services.verdict()
    with read_only_transaction():
        now = database_now()
        imported = lag.jurisdictions()
        if jurisdiction_id and not known.in_ledger(jurisdiction_id, imported):
            raise known.NoSuchJurisdiction(jurisdiction_id)
        groups = _of(jurisdiction_id, file_lists.failures)
        parked = _of(jurisdiction_id, file_lists.parked)
        flags = _of(jurisdiction_id, flag_counts.open_flags)
        states = run_states.open_states(now, jurisdiction_id) if jurisdiction_id else []
        hours = hours_until(now)
        by_hour = lag.lags(hours[0], now, [jurisdiction_id], (lag.HOUR,), parts=False)
        imported_at = imported.get(jurisdiction_id)
        failed = sum(group.files for group in groups)
        facts = Facts(imported_at, by_hour, verdict.of(jurisdiction_id).findings)
        context: dict[str, Any] = {
            "now": now,
            "verdict": verdict,
            "jurisdiction_id": jurisdiction_id,
            "name": names.name_of(jurisdiction_id),
            "imported_at": imported_at,
            "latest": latest(facts, services.limits(), now),
            "pause": open_pause(jurisdiction_id),
            "trends": trends(now, request.GET.get("window", ""), [jurisdiction_id]),
            "types": lag.lags(hours[0], now, [jurisdiction_id], (lag.TYPE,)),
            "groups": groups[:_GROUPS],
            "more_groups": max(len(groups) - _GROUPS, 0),
            "failed": failed,
            "parked": sum(group.files for group in parked),
            "flags": sum(group.count for group in flags),
            "runs": progress(states[-_RUNS:][::-1], last_sent([jurisdiction_id])),
            "more_runs": max(len(states) - _RUNS, 0),
        }
    return render(request, "realtime/jurisdiction.html", context)


def _of(jurisdiction_id: str, ask: Callable[[str], list[Group]]) -> list[Group]:
    # Asked for an empty id they answer for all jurisdictions; here it means files without one.
    return [one for one in ask(jurisdiction_id) if one.jurisdiction_id == jurisdiction_id]
