"""The overview page: the queue, the workers, and one row for each jurisdiction, worst first."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.ledger.files import database_now
from realtime.ledger.pauses import open_pauses
from realtime.monitoring.status import file_lists, flag_counts, lag, run_states, workers
from realtime.monitoring.status.file_lists import Failures
from realtime.monitoring.status.lag import Lag
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.monitoring.status.received import received
from realtime.monitoring.verdict.finding import Verdict
from realtime.page import names, services
from realtime.page.access import operators_only
from realtime.page.days import Day, day, hours_until
from realtime.page.freshness import Facts, Freshness, Latest, latest
from realtime.page.progress import Progress, last_sent, progress
from realtime.page.trends import trends


@dataclass(frozen=True)
class Row:
    """One jurisdiction: its last 24 hours, unfinished runs, failures by reason, parked files."""

    jurisdiction_id: str
    name: str
    imported_at: datetime | None
    latest: Latest
    day: Day
    runs: Sequence[Progress]
    failures: Sequence[Failures]
    failed: int
    parked: int


@dataclass
class _Found:
    hours: list[Lag] = field(default_factory=list)
    runs: list[Progress] = field(default_factory=list)
    failures: list[Failures] = field(default_factory=list)
    parked: int = 0


@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """Show the page. The number of queries does not grow with files or jurisdictions."""
    queue, verdict = services.queue_status(), services.verdict()
    with read_only_transaction():
        now = database_now()
        imported = lag.jurisdictions()
        lately = received(now)
        pauses = open_pauses()
        rows = _rows(now, imported, verdict)
        unarchived = sum(one.files for one in file_lists.unarchived())
        busy = workers.busy(imported)
        flags = flag_counts.open_flags()
    kinds = [row.latest.freshness for row in rows]
    return render(
        request,
        "realtime/overview.html",
        {
            "now": now,
            "verdict": verdict,
            "rows": rows,
            "counts": [(kind, kinds.count(kind)) for kind in Freshness],
            "queue": queue,
            "lately": lately,
            "workers": busy,
            "slots": services.config().max_workers,
            "failed": sum(row.failed for row in rows),
            "parked": sum(row.parked for row in rows),
            "flags": sum(one.count for one in flags),
            "pauses": pauses,
            "unarchived": unarchived,
            "unarchived_more": unarchived >= file_lists.AT_MOST,
        },
    )


@operators_only
def charts(request: HttpRequest) -> HttpResponse:
    """Show the charts of all jurisdictions together. `?window=` chooses how long."""
    queue = services.queue_status()
    with read_only_transaction():
        now = database_now()
        known = list(lag.jurisdictions())
        found = trends(
            now,
            request.GET.get("window", ""),
            known,
            queue,
            received(now).newest,
            everywhere=True,
        )
    return render(request, "realtime/charts.html", {"now": now, "trends": found})


def _rows(
    now: datetime,
    imported: dict[str, datetime | None],
    verdict: Verdict,
) -> list[Row]:
    found: defaultdict[str, _Found] = defaultdict(_Found)
    hours = hours_until(now)
    # Total lag only, at half the cost: a busy day has hundreds of thousands of files.
    measured = lag.lags(hours[0], now, imported, (lag.JURISDICTION, lag.HOUR), parts=False)
    for one in measured:
        found[one.jurisdiction_id].hours.append(one)
    for run in progress(run_states.open_states(now), last_sent(imported)):
        found[run.state.run.jurisdiction_id].runs.append(run)
    for group in file_lists.failures():
        found[group.jurisdiction_id].failures.append(group)
    for group_of_parked in file_lists.parked():
        found[group_of_parked.jurisdiction_id].parked += group_of_parked.files
    rows, limits = [], services.limits()
    for jurisdiction_id, each in ((id, found[id]) for id in {*imported, *found}):
        failed = sum(group.files for group in each.failures)
        about = verdict.of(jurisdiction_id).findings
        facts = Facts(imported.get(jurisdiction_id), each.hours, about)
        rows.append(
            Row(
                jurisdiction_id,
                names.name_of(jurisdiction_id),
                facts.imported_at,
                latest(facts, limits, now),
                day(hours, each.hours),
                each.runs,
                each.failures,
                failed,
                each.parked,
            )
        )
    return sorted(rows, key=lambda row: (row.latest.freshness.place, -row.failed, row.name))
