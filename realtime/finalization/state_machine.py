"""Finalizing one run: its steps, each in bounded transactions, each of which may be repeated."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from django.db import transaction

from realtime.backends.postgres.interruptions import interrupted
from realtime.backends.postgres.locks import lock_jurisdiction
from realtime.domain.config import BULK
from realtime.domain.errors import Busy, RealtimeError
from realtime.domain.interfaces import Store
from realtime.files.refetch import read_again
from realtime.finalization import cleanup, plan_report, replay, row_matching
from realtime.ledger import files as ledger_files
from realtime.models import Closed, File, ScrapeRun

logger = logging.getLogger(__name__)

# What is counted: files imported once more, those that changed anything, vote events deleted and
# events marked as deleted.
REPLAYED, CHANGED, DELETED, MARKED = "replayed", "changed", "deleted", "marked"
# Seconds of one attempt to get the jurisdiction, and of all of them.
_SLICE, _PATIENT = 1.0, 20.0

Place = dict[str, Any]
# Done within a transaction; says where the step goes on, or None when it is done.
Piece = Callable[[], Place | None]


class Overtaken(RealtimeError):
    """Somebody else is finalizing this run, or has done so."""


class OutOfTime(RealtimeError):
    """There was no time left; the next call goes on from here."""


@dataclass
class Means:
    """What finalizing needs. `before_commit` may veto with RetryLater; `must_stop` is asked
    between transactions; `progress` is told the step and the counts after each; `problems` says
    what could not be finalized now, `under_way` is the run that was taken up last."""

    store: Store
    max_file_bytes: int
    before_commit: Callable[[], None]
    must_stop: Callable[[], bool]
    importer: str = BULK
    progress: Callable[[str, Mapping[str, int]], None] = lambda step, counts: None
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    under_way: ScrapeRun | None = None


class Finalization:
    """Takes a run through its steps.

    `why_closed` says whether it is to be closed, in which case nothing is deleted or marked. It is
    asked once all files have been imported again, within each transaction that depends on it.

    Each piece is one transaction under the jurisdiction's lock, which also remembers how far the
    run is: killed at any point, another Finalization goes on from there.
    """

    def __init__(self, run: ScrapeRun, means: Means, why_closed: Callable[[], str]) -> None:
        self._run = run
        self._means = means
        self._why_closed = why_closed
        self._misplaced: dict[str, list[list[int]]] = {}
        self._steps: dict[str, Callable[[Place], Piece]] = {
            "jurisdiction": partial(self._replay, "jurisdiction"),
            "bill": partial(self._replay, "bill"),
            "vote_event": partial(self._replay, "vote_event"),
            "vote-event-rows": partial(self._replace, "vote_event"),
            "event": partial(self._replay, "event"),
            "event-rows": partial(self._replace, "event"),
            "votes-of-bills": self._link_votes,
            # Once more, since an agenda may name a vote event that had a stale double.
            "event-again": partial(self._replay, "event"),
            "missing-events": lambda place: self._mark_events,
            "related-bills": lambda place: self._relate_bills,
            "end": lambda place: self._end,
        }

    def finish(self) -> None:
        """Do all that is left to do.

        Raises Overtaken when it is not alone, OutOfTime, and RetryLater (Busy, Unavailable) when
        the database, S3 or an import of the jurisdiction are in the way.
        """
        names = list(self._steps)
        step, place = self._run.step or names[0], self._run.cursor or {}
        while step:
            piece = self._steps[step](place)
            going_on = self._patiently(step, place, piece)
            self._means.progress(step, self._means.counts)
            if going_on is None:
                step, place = ([*names, ""][names.index(step) + 1], {})
            else:
                place = going_on

    def _patiently(self, step: str, place: Place, piece: Piece) -> Place | None:
        until = time.monotonic() + _PATIENT
        while True:
            if self._means.must_stop():
                raise OutOfTime(f"run {self._run.run_id}: there was no time left at {step}")
            try:
                return self._commit(step, place, piece)
            except Busy:
                if time.monotonic() > until:
                    raise

    def _commit(self, step: str, place: Place, piece: Piece) -> Place | None:
        run_id, names = self._run.run_id, [*self._steps, ""]
        before = Counter(self._means.counts)
        try:
            with transaction.atomic():
                lock_jurisdiction(self._run.jurisdiction_id, _SLICE)
                now = ScrapeRun.objects.select_for_update().get(run_id=run_id)
                if (now.step or names[0], now.cursor or {}) != (step, place) or self._is_over(now):
                    raise Overtaken(f"run {run_id} is being finalized by another worker")
                going_on = piece()
                following = step if going_on is not None else names[names.index(step) + 1]
                ScrapeRun.objects.filter(run_id=run_id).update(step=following, cursor=going_on)
                self._means.before_commit()
        except BaseException:
            self._means.counts.clear()
            self._means.counts.update(before)
            raise
        return going_on

    def _is_over(self, now: ScrapeRun) -> bool:
        before = self._run
        return (now.finalized_at, now.closed_at) != (before.finalized_at, before.closed_at)

    def _read(self, rows: Sequence[File]) -> list[Any]:
        return list(read_again(self._means.store, self._means.max_file_bytes, rows))

    def _replay(self, object_type: str, place: Place) -> Piece:
        rows = replay.page(self._run, object_type, replay.Place(**place))
        files = self._read(rows)

        def piece() -> Place | None:
            if not rows:
                return None
            replay.require_untouched(rows)
            self._apply(rows, files)
            return vars(replay.place_of(rows[-1]))

        return piece

    def _apply(self, rows: Sequence[File], files: Sequence[Any]) -> None:
        """Import files once more; one that breaks what is done for all of them is left alone."""
        if self._could_be_done(rows, lambda: self._import(rows, files)) or len(rows) == 1:
            return
        half = len(rows) // 2
        self._apply(rows[:half], files[:half])
        self._apply(rows[half:], files[half:])

    def _import(self, rows: Sequence[File], files: Sequence[Any]) -> None:
        changed = replay.apply_again(self._run.jurisdiction_id, rows, files, self._means.importer)
        self._means.counts[REPLAYED] += sum(file is not None for file in files)
        self._means.counts[CHANGED] += changed

    def _could_be_done(self, rows: Sequence[File], act: Callable[[], None]) -> bool:
        """Whether nothing broke `act`; else it has left no trace but a line in the log."""
        try:
            with transaction.atomic():
                act()
        except Exception as exc:
            if isinstance(exc, RealtimeError) or interrupted(exc):
                raise
            about = {"action": "not-replayed", "run_id": self._run.run_id, "files": len(rows)}
            if len(rows) == 1:
                told, about["key"] = (
                    "file cannot be imported again, and stays as it is",
                    rows[0].key,
                )
            else:
                told = "files cannot be imported again together"
            logger.exception(told, extra=about)
            return False
        return True

    def _replace(self, object_type: str, place: Place) -> Piece:
        # By their first files, since what is put right is no longer among them.
        after = place.get("file", 0)
        if object_type not in self._misplaced:
            self._misplaced[object_type] = row_matching.misplaced(self._run, object_type)
        groups = [group for group in self._misplaced[object_type] if min(group) > after]
        group = min(groups, key=min, default=[])
        by_id = File.objects.in_bulk(group)
        rows = [by_id[id] for id in group]
        files = self._read(rows)

        def piece() -> Place | None:
            if not group:
                return None
            # With a file gone, the rows that there are say more than the rest of them would.
            replay.require_untouched(rows)
            if None not in files:
                self._could_be_done(rows, anew)
            return {"file": min(group)}

        def anew() -> None:
            replay.vacate(object_type, rows)
            self._import(rows, [replace(file, core_id="") for file in files])

        return piece

    def _link_votes(self, place: Place) -> Piece:
        bills = cleanup.bills_with_votes(self._run, place.get("bill", ""))

        def piece() -> Place | None:
            if not bills:
                return None
            closed = self._why_closed()
            if not closed:
                deleted = cleanup.delete_stale_vote_events(self._run, bills)
                self._means.counts[DELETED] += deleted
            cleanup.link_votes(self._run, bills, final=_is_final(closed))
            return {"bill": bills[-1]}

        return piece

    def _mark_events(self) -> None:
        if not self._why_closed():
            self._means.counts[MARKED] += cleanup.mark_missing_events(self._run)

    def _relate_bills(self) -> None:
        cleanup.resolve_related_bills(self._run)

    def _end(self) -> None:
        now, closed = ledger_files.database_now(), self._why_closed()
        final = _is_final(closed)
        if final and self._run.finalized_at is None and self._run.finished_at is not None:
            plan_report.save(self._run)
        ScrapeRun.objects.filter(run_id=self._run.run_id).update(
            finalized_at=now if final else None,
            closed=closed,
            closed_at=now if closed else None,
            attempts=0,
        )


def _is_final(closed: str) -> bool:
    """Whether a run that is `closed` so has ended, with all of its files."""
    return closed not in (Closed.UNFINISHED, Closed.INCOMPLETE)
