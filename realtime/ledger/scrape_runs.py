"""Which scrape runs are complete, which of them may be finalized now, and which must wait."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from realtime.ledger.files import database_now
from realtime.models import Closed, File, Outcome, ScrapeRun

# How long the files of a finished run are waited for, and parked files of no run.
PATIENCE = timedelta(hours=24)
# What core would have skipped without a word blocks nothing.
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
    """Of a finished run: how many files it sent, how many of them came, how many are parked."""

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
    """How much of each run is there; runs that have not ended are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_ARRIVED, {"runs": [run.run_id for run in runs]})
        return {
            run_id: Arrival(int(sent), came, parked)
            for run_id, sent, came, parked in cursor.fetchall()
        }


def open_runs(jurisdiction_id: str = "") -> list[ScrapeRun]:
    """The runs that are not final, closed ones that may still become so included, by start."""
    runs = ScrapeRun.objects.filter(finalized_at=None)
    if jurisdiction_id:
        runs = runs.filter(jurisdiction_id=jurisdiction_id)
    return list(runs.order_by("started_at", "run_id"))


def failures(run: ScrapeRun) -> int:
    """How many files of the run failed in a way that core's import would not have passed over."""
    return _failed(run_id=run.run_id, jurisdiction_id=run.jurisdiction_id).count()


def mended() -> list[ScrapeRun]:
    """The runs that were closed for their failures, all of which have been mended since; but not
    when a newer run of the jurisdiction has been finalized.

    A file that is only being tried again is not mended yet.
    """
    newer = ScrapeRun.objects.filter(
        jurisdiction_id=OuterRef("jurisdiction_id"),
        finalized_at__isnull=False,
        started_at__gt=OuterRef("started_at"),
    )
    bad = _failed(run_id=OuterRef("run_id"), jurisdiction_id=OuterRef("jurisdiction_id"))
    waiting = File.objects.filter(run_id=OuterRef("run_id"), outcome=Outcome.DEFERRED)
    closed = ScrapeRun.objects.filter(closed=Closed.FAILED, finalized_at__isnull=False)
    return list(
        closed.exclude(Exists(newer))
        .exclude(Exists(bad))
        .exclude(Exists(waiting))
        .order_by("started_at", "run_id")
    )


def _failed(**whose: Any) -> "QuerySet[File]":
    return File.objects.filter(**whose, outcome=Outcome.FAILED).exclude(reason=HARMLESS)


@dataclass(frozen=True)
class Plan:
    """What finalizing `run` takes now: `closing` are the older runs to be closed before."""

    run: ScrapeRun
    closing: tuple[ScrapeRun, ...] = ()


def plans(now: datetime) -> list[Plan]:
    """The runs that may be finalized now, in the order of their starts in each jurisdiction.

    A run waits for older ones that have ended, but not longer than a day for their files; those
    that have not ended are closed.
    """
    runs = open_runs()
    there = arrivals(runs)
    found: list[Plan] = []
    for jurisdiction_id in dict.fromkeys(run.jurisdiction_id for run in runs):
        older: list[ScrapeRun] = []
        for run in runs:
            if run.jurisdiction_id != jurisdiction_id:
                continue
            arrival = there.get(run.run_id)
            if arrival is not None and arrival.complete:
                found.append(Plan(run, tuple(older)))
                older = []
            elif is_waited_for(run, now):
                break
            elif not run.closed_at:
                older.append(run)
    return found + [Plan(run) for run in mended()]


def waited_for_by(run: ScrapeRun) -> list[ScrapeRun]:
    """The older runs of the jurisdiction that have ended and must be finalized before."""
    older = [one for one in open_runs(run.jurisdiction_id) if one.started_at < run.started_at]
    there = arrivals(older)
    now = database_now()
    return [
        one
        for one in older
        if (one.run_id in there and there[one.run_id].complete) or is_waited_for(one, now)
    ]


def is_waited_for(run: ScrapeRun, now: datetime) -> bool:
    """Whether newer runs of the jurisdiction wait for one whose files have not all come."""
    if run.received_at is None or run.closed_at:
        return False
    return run.received_at > now - PATIENCE


def why_not(run: ScrapeRun) -> str:
    """In words, what the run still waits for; empty when it is complete."""
    if run.finished_at is None:
        return "it has not said that it ended"
    arrival = arrivals([run])[run.run_id]
    if not arrival.all_came:
        return f"{arrival.sent - arrival.came} of its {arrival.sent} files have not come"
    if arrival.parked:
        return f"{arrival.parked} of its files are parked"
    return ""
