"""Scrape runs in the ledger: which are complete, and which can be finalized now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from realtime.ledger.files import database_now
from realtime.ledger.pauses import ALL, open_pause, open_pauses
from realtime.models import Closed, File, Outcome, ScrapeRun

# How long a run that ended waits for its files, and a parked file without a run for its dependency.
PATIENCE = timedelta(hours=24)
# Files that failed for this reason do not keep a run from deleting: core's import skips them too.
HARMLESS = "unresolved"

_ARRIVED = """
    SELECT run.run_id,
           (SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(run.objects_sent)),
           (SELECT count(DISTINCT (file.bucket, file.key)) FROM realtime_file AS file
            WHERE file.run_id = run.run_id AND file.jurisdiction_id = run.jurisdiction_id),
           (SELECT count(*) FROM realtime_file AS file
            WHERE file.run_id = run.run_id AND file.outcome = 'deferred')
    FROM realtime_run AS run
    WHERE run.finished_at IS NOT NULL AND run.run_id = ANY(%(runs)s)
"""


@dataclass(frozen=True)
class Arrival:
    """The files of a run that has ended: how many were sent, have come, and are parked."""

    sent: int
    came: int
    parked: int

    @property
    def all_came(self) -> bool:
        return self.came >= self.sent

    @property
    def complete(self) -> bool:
        """Whether each of its files has a final outcome."""
        return self.all_came and not self.parked


def arrivals(runs: Sequence[ScrapeRun]) -> dict[UUID, Arrival]:
    """The Arrival of each of these runs that has ended."""
    with connection.cursor() as cursor:
        cursor.execute(_ARRIVED, {"runs": [run.run_id for run in runs]})
        return {
            run_id: Arrival(int(sent), came, parked)
            for run_id, sent, came, parked in cursor.fetchall()
        }


def open_runs(jurisdiction_id: str = "") -> list[ScrapeRun]:
    """The runs that are not finalized, by start; closed ones that may still be are included."""
    runs = ScrapeRun.objects.filter(finalized_at=None)
    if jurisdiction_id:
        runs = runs.filter(jurisdiction_id=jurisdiction_id)
    return list(runs.order_by("started_at", "run_id"))


def failures(run: ScrapeRun) -> int:
    """How many files of the run failed for a reason other than HARMLESS."""
    return _failed(run_id=run.run_id, jurisdiction_id=run.jurisdiction_id).count()


def repaired() -> list[ScrapeRun]:
    """The runs closed for failed files that can be finalized again: none of their files is failed
    or parked any more, and no newer run of the jurisdiction is finalized."""
    newer = ScrapeRun.objects.filter(
        jurisdiction_id=OuterRef("jurisdiction_id"),
        finalized_at__isnull=False,
        started_at__gt=OuterRef("started_at"),
    )
    failed = _failed(run_id=OuterRef("run_id"), jurisdiction_id=OuterRef("jurisdiction_id"))
    parked = File.objects.filter(run_id=OuterRef("run_id"), outcome=Outcome.DEFERRED)
    closed = ScrapeRun.objects.filter(closed=Closed.FAILED, finalized_at__isnull=False)
    return list(
        closed.exclude(Exists(newer))
        .exclude(Exists(failed))
        .exclude(Exists(parked))
        .order_by("started_at", "run_id")
    )


def _failed(**whose: Any) -> "QuerySet[File]":
    return File.objects.filter(**whose, outcome=Outcome.FAILED).exclude(reason=HARMLESS)


@dataclass(frozen=True)
class Plan:
    """A run to finalize now, and the older runs to close before it."""

    run: ScrapeRun
    closing: tuple[ScrapeRun, ...] = ()


def plans(now: datetime) -> list[Plan]:
    """The runs to finalize now, in the order of their starts within each jurisdiction. None of a
    paused jurisdiction is.

    A complete run waits for an older one that ended less than a day ago and is not complete. Its
    other older runs are closed.
    """
    runs = open_runs()
    arrival_of = arrivals(runs)
    found: list[Plan] = []
    for jurisdiction_id in dict.fromkeys(run.jurisdiction_id for run in runs):
        older: list[ScrapeRun] = []
        for run in runs:
            if run.jurisdiction_id != jurisdiction_id:
                continue
            arrival = arrival_of.get(run.run_id)
            if arrival is not None and arrival.complete:
                found.append(Plan(run, tuple(older)))
                older = []
            elif is_waited_for(run, now):
                break
            elif not run.closed_at:
                older.append(run)
    found += [Plan(run) for run in repaired()]
    pauses = {pause.jurisdiction_id for pause in open_pauses()}
    if ALL in pauses:
        return []
    return [plan for plan in found if plan.run.jurisdiction_id not in pauses]


def waited_for_by(run: ScrapeRun) -> list[ScrapeRun]:
    """The older runs of the jurisdiction that must be finalized before this one: complete ones, and
    those that `is_waited_for` still gives time."""
    older_runs = [
        older for older in open_runs(run.jurisdiction_id) if older.started_at < run.started_at
    ]
    complete = {run_id for run_id, arrival in arrivals(older_runs).items() if arrival.complete}
    now = database_now()
    return [older for older in older_runs if older.run_id in complete or is_waited_for(older, now)]


def is_waited_for(run: ScrapeRun, now: datetime) -> bool:
    """Whether newer runs of the jurisdiction still wait for this one: it ended less than a day ago
    and is not closed."""
    if run.received_at is None or run.closed_at:
        return False
    return run.received_at > now - PATIENCE


def why_not(run: ScrapeRun) -> str:
    """A sentence about what the run still waits for; empty when it is complete."""
    if pause := open_pause(run.jurisdiction_id):
        return f"{run.jurisdiction_id} is paused: {pause.reason}"
    if run.finished_at is None:
        return "it has not said that it ended"
    arrival = arrivals([run])[run.run_id]
    if not arrival.all_came:
        return f"{arrival.sent - arrival.came} of its {arrival.sent} files have not come"
    if arrival.parked:
        return f"{arrival.parked} of its files are parked"
    return ""
