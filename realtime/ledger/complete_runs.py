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


@dataclass(frozen=True)
class Step:
    """A run to finalize. `closed`: why it is closed instead, so that nothing is deleted or marked
    for it, as things are now."""

    run: ScrapeRun
    closed: str = ""


def steps_to(run: ScrapeRun, *, force: bool = False) -> list[Step]:
    """What finalizing this run takes, in order; itself is the last. Older runs that are complete
    are finalized before it, the other open ones closed.

    With `force` it is finalized although files of it are missing or failed.
    """
    older = [
        one
        for one in open_runs(run.jurisdiction_id)
        if one.started_at < run.started_at and one != run
    ]
    there = arrivals(older)
    steps = []
    for one in older:
        if one.run_id in there and there[one.run_id].complete:
            steps.append(Step(one, Closed.FAILED if failures(one) else ""))
        elif not one.closed_at:
            steps.append(Step(one, why_closed(one)))
    return [*steps, Step(run, Closed.FAILED if not force and failures(run) else "")]


def why_closed(run: ScrapeRun) -> str:
    """Why a run that is not complete is closed when a newer one is finalized."""
    return Closed.UNFINISHED if run.finished_at is None else Closed.INCOMPLETE


def is_over(run: ScrapeRun) -> bool:
    """Whether there is nothing left to finalize: it is final, or closed for files that failed and
    still do."""
    if run.finalized_at is None or run.closed == Closed.BROKEN:
        return False
    return not run.closed or bool(failures(run))


@dataclass(frozen=True)
class Obstacle:
    """Why a run is not finalized when somebody asks for it, and whether force would."""

    why: str
    yields_to_force: bool


def obstacle(run: ScrapeRun) -> Obstacle | None:
    """What keeps a run that is not over from being finalized now; None: nothing does.

    Runs of a jurisdiction are finalized in the order of their starts, so its turn may not have come
    (an older one is complete, or still has time), or may have gone by: of a closed run, once a
    newer one is final.
    """
    if waits := why_not(run):
        return Obstacle(waits, open_pause(run.jurisdiction_id) is None)
    if older := waited_for_by(run):
        names = ", ".join(str(one.run_id) for one in older)
        return Obstacle(f"an older run must be finalized first: {names}", False)
    newer = _finalized_after(run) if run.finalized_at else None
    if newer:
        why = f"the newer run {newer.run_id} has been finalized, so that nothing needs this one's"
        return Obstacle(why, True)
    return None


def _finalized_after(run: ScrapeRun) -> ScrapeRun | None:
    """The newest run because of which a closed one is not finalized any more, as `repaired` has
    it; for a broken one, a newer one that is closed does not count: it may have broken too."""
    newer = ScrapeRun.objects.filter(
        jurisdiction_id=run.jurisdiction_id,
        finalized_at__isnull=False,
        started_at__gt=run.started_at,
    )
    if run.closed == Closed.BROKEN:
        newer = newer.filter(closed_at=None)
    return newer.order_by("-started_at").first()


def reopen_broken(run: ScrapeRun) -> None:
    """Open a run again that was closed because finalizing it broke: as if it had not been tried."""
    ScrapeRun.objects.filter(run_id=run.run_id, closed=Closed.BROKEN).update(
        finalized_at=None, closed="", closed_at=None, attempts=0, step="", cursor=None
    )
    run.refresh_from_db()


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
