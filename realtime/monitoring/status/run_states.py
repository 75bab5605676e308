"""The state of each scrape run, and what blocks its finalization."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from realtime.ledger import complete_runs
from realtime.ledger.complete_runs import Arrival
from realtime.models import Outcome, ScrapeRun
from realtime.monitoring.status.paging import Cursor, Page, page

# Uses the index realtime_file_run_types. Counts rows, not keys, which suits our producer: it never
# uses a key twice. `complete_runs.arrivals` decides whether a run is complete, not these figures.
_COUNTS = """
    SELECT run_id, object_type, outcome, count(*)
    FROM realtime_file WHERE run_id = ANY(%(runs)s) GROUP BY 1, 2, 3
"""
_HARMLESS = """
    SELECT run_id, count(*) FROM realtime_file
    WHERE run_id = ANY(%(runs)s) AND outcome = 'failed' AND reason = %(harmless)s GROUP BY 1
"""
_NEWEST = """
    SELECT run_id, (
      SELECT imported_at FROM realtime_file AS file
      WHERE file.jurisdiction_id = run.jurisdiction_id AND file.run_id = run.run_id
        AND imported_at >= run.started_at
      ORDER BY imported_at DESC LIMIT 1)
    FROM realtime_run AS run WHERE run_id = ANY(%(runs)s)
"""
# The most final and closed runs that `recent_states` lists.
_MAX_RECENT = 500


class State(StrEnum):
    """The state of a scrape run."""

    OPEN = "open"  # its end has not been received
    BLOCKED = "blocked"  # it has ended, but cannot be finalized yet
    COMPLETE = "complete"  # the next import_realtime or finalize_realtime finalizes it
    FINAL = "final"  # finalized
    CLOSED = "closed"  # finished without deleting anything


@dataclass(frozen=True)
class RunState:
    """A scrape run, its state, and the counts of its files.

    `sent` and `came` count files by type: sent by the scraper (empty until the run has ended), and
    received. Of the received ones `parked` wait, and `failed` failed in a way that keeps the run
    from deleting anything. `newest` is the time of the last import. `why` says in words what blocks
    the run, why it was closed, or how far its finalization is. `older` is the id of an older run
    that must be finalized first. Files of final and closed runs are not counted.
    """

    run: ScrapeRun
    state: State
    why: str = ""
    sent: Mapping[str, int] = field(default_factory=dict)
    came: Mapping[str, int] = field(default_factory=dict)
    parked: int = 0
    failed: int = 0
    newest: datetime | None = None
    older: UUID | None = None

    @property
    def missing(self) -> dict[str, int]:
        """The number of files not yet received, by type; empty for an open run."""
        left = {name: count - self.came.get(name, 0) for name, count in self.sent.items()}
        return {name: count for name, count in left.items() if count > 0}


def open_states(now: datetime, jurisdiction_id: str = "") -> list[RunState]:
    """The open, blocked and complete runs, oldest first; `now` is database time."""
    found = complete_runs.open_runs(jurisdiction_id)
    there = complete_runs.arrivals(found)
    # A closed run that is complete after all is finalized like any other.
    live = [run for run in found if not run.closed_at or _is_complete(run, there)]
    counts = _counts(live)
    older: dict[str, ScrapeRun] = {}
    states = []
    for run in live:
        counted = counts[run.run_id]
        arrival = there.get(run.run_id)
        blocker = older.get(run.jurisdiction_id)
        state, why = _state(run, arrival, blocker, counted)
        waits = state == State.BLOCKED and not _is_complete(run, there)
        if waits and blocker is None and complete_runs.is_waited_for(run, now):
            older[run.jurisdiction_id] = run
        states.append(
            RunState(
                run,
                state,
                why,
                sent=run.objects_sent,
                came=counted.came,
                parked=counted.parked,
                failed=counted.failed,
                newest=counted.newest,
                older=blocker.run_id if blocker and _is_complete(run, there) else None,
            )
        )
    return states


def recent_states(
    since: datetime, jurisdiction_id: str = "", limit: int = _MAX_RECENT
) -> list[RunState]:
    """The runs finalized or closed since `since` (database time), latest start first."""
    over = ScrapeRun.objects.filter(Q(finalized_at__gte=since) | Q(closed_at__gte=since))
    if jurisdiction_id:
        over = over.filter(jurisdiction_id=jurisdiction_id)
    return [_over(run) for run in over.order_by("-started_at")[:limit]]


def listed(
    now: datetime, jurisdiction_id: str, at: Cursor | None = None, limit: int = 20
) -> tuple[list[RunState], Page[ScrapeRun]]:
    """A page of a jurisdiction's runs in any state, by their start, newest first; and their
    states."""
    runs = ScrapeRun.objects.filter(jurisdiction_id=jurisdiction_id)
    found = page(runs, "started_at", at, limit, "run_id")
    open_ones = {one.run.run_id: one for one in open_states(now, jurisdiction_id)}
    return [open_ones.get(run.run_id) or _over(run) for run in found.rows], found


def state_of(now: datetime, run: ScrapeRun) -> RunState:
    """The state of one run."""
    if run.finalized_at:
        return _over(run)
    found = {one.run.run_id: one for one in open_states(now, run.jurisdiction_id)}
    return found.get(run.run_id) or _over(run)


@dataclass
class _Counted:
    came: Counter[str] = field(default_factory=Counter)
    parked: int = 0
    failed: int = 0
    newest: datetime | None = None


def _counts(found: Sequence[ScrapeRun]) -> defaultdict[UUID, _Counted]:
    counts: defaultdict[UUID, _Counted] = defaultdict(_Counted)
    values: dict[str, Any] = {
        "runs": [run.run_id for run in found],
        "harmless": complete_runs.HARMLESS,
    }
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, values)
        for run_id, object_type, outcome, files in cursor.fetchall():
            one = counts[run_id]
            one.came[object_type] += files
            one.parked += files if outcome == Outcome.DEFERRED else 0
            one.failed += files if outcome == Outcome.FAILED else 0
        cursor.execute(_HARMLESS, values)
        for run_id, files in cursor.fetchall():
            counts[run_id].failed -= files
        cursor.execute(_NEWEST, values)
        for run_id, newest in cursor.fetchall():
            counts[run_id].newest = newest
    return counts


def _state(
    run: ScrapeRun, arrival: Arrival | None, blocker: ScrapeRun | None, counted: _Counted
) -> tuple[State, str]:
    if arrival is None:
        return State.OPEN, ""
    if not arrival.complete:
        return State.BLOCKED, _waiting_for(run, arrival, counted)
    if blocker is not None:
        return State.BLOCKED, f"the older run {blocker.run_id} must be finalized first"
    if run.attempts:
        return State.BLOCKED, f"finalizing it failed {run.attempts} times; the log says why"
    why = f"being finalized: {run.step}" if run.step else ""
    if counted.failed and not why:
        why = f"{_files(counted.failed)} failed, so nothing will be deleted"
    return State.COMPLETE, why


def _waiting_for(run: ScrapeRun, arrival: Arrival, counted: _Counted) -> str:
    missing = RunState(run, State.BLOCKED, sent=run.objects_sent, came=counted.came).missing
    parts = [f"{_files(count, name)} missing" for name, count in sorted(missing.items())]
    if arrival.parked:
        parts.append(f"{_files(arrival.parked)} parked")
    return ", ".join(parts)


def _files(count: int, object_type: str = "") -> str:
    words = [f"{count:,}", *filter(None, [object_type]), "file" if count == 1 else "files"]
    return " ".join(words)


def _is_complete(run: ScrapeRun, there: Mapping[UUID, Arrival]) -> bool:
    return run.run_id in there and there[run.run_id].complete


def _over(run: ScrapeRun) -> RunState:
    if run.closed_at:
        return RunState(run, State.CLOSED, run.get_closed_display(), sent=run.objects_sent)
    return RunState(run, State.FINAL, sent=run.objects_sent)
