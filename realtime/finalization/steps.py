"""The steps of finalizing one run: what each does, in pieces that are one transaction each."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.db import transaction

from realtime.backends.postgres.interruptions import interrupted, timed_out
from realtime.domain.changes import RowChange, Verb
from realtime.domain.errors import RealtimeError
from realtime.domain.results import FetchedFile
from realtime.domain.run_context import RunContext
from realtime.files.portion import fitting
from realtime.files.refetch import read_again
from realtime.finalization import cleanup, people, plan_report, replay, row_matching, selection
from realtime.ledger import changes
from realtime.ledger import files as ledger_files
from realtime.models import Closed, File, ScrapeRun

logger = logging.getLogger(__name__)

# What is counted: files imported once more, those that changed anything and those that fail now,
# vote events deleted and events marked as deleted.
REPLAYED, CHANGED, FAILED = "replayed", "changed", "failed"
DELETED, MARKED = "deleted", "marked"

Place = dict[str, Any]
# Done within a transaction; says where the step goes on, or None when it is done.
Piece = Callable[[], Place | None]


class Steps:
    """The steps of one run. `counts` is what they have done so far.

    `why_closed` is as Finalization has it.
    """

    def __init__(self, run: ScrapeRun, context: RunContext, why_closed: Callable[[], str]) -> None:
        self.counts: Counter[str] = Counter()
        self._run = run
        self._context = context
        self._why_closed = why_closed
        self._chosen: dict[str, list[int]] = {}
        self._misplaced: dict[str, list[list[int]]] = {}
        self._prepare: dict[str, Callable[[Place], Piece]] = {
            "jurisdiction": partial(self._replay, "jurisdiction"),
            # Before the files that name people are imported again.
            "merge-people": lambda place: self._merge_people,
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
            "missing-people": lambda place: self._flag_people,
            "end": lambda place: self._end,
        }

    @property
    def names(self) -> list[str]:
        """The steps in order, as the ledger records them."""
        return list(self._prepare)

    def prepare(self, step: str, place: Place) -> Piece:
        """Read, outside of any transaction, what the step needs from `place` on; the piece is
        what to do within one."""
        return self._prepare[step](place)

    def _read(self, rows: Sequence[File]) -> list[FetchedFile | None]:
        return read_again(self._context.store, self._context.config.max_file_bytes, rows)

    def _replay(self, object_type: str, place: Place) -> Piece:
        if object_type not in self._chosen or not place:
            # Once a step: what its files change makes no other file of the step end otherwise.
            self._chosen[object_type] = selection.chosen(
                self._run, object_type, selection.Place(**place), self._context.replay_all
            )
        ids = self._chosen[object_type]
        ids = ids[ids.index(place["id"]) + 1 :] if place.get("id") in ids else ids
        by_id = File.objects.in_bulk(ids[: replay.PAGE])
        rows = [by_id[id] for id in ids[: replay.PAGE]]
        rows = rows[: fitting([row.size for row in rows], self._context.config.max_batch_bytes)]
        files = self._read(rows)

        def piece() -> Place | None:
            if not rows:
                return None
            replay.require_untouched(rows)
            self._apply(rows, files)
            return vars(selection.place_of(rows[-1]))

        return piece

    def _apply(self, rows: Sequence[File], files: Sequence[FetchedFile | None]) -> None:
        """Import files once more; one that breaks the others is found by halving and left alone."""
        if self._succeeds(rows, lambda: self._import(rows, files)) or len(rows) == 1:
            return
        half = len(rows) // 2
        self._apply(rows[:half], files[:half])
        self._apply(rows[half:], files[half:])

    def _import(self, rows: Sequence[File], files: Sequence[FetchedFile | None]) -> None:
        changed, failed = replay.apply_again(
            self._run.jurisdiction_id, rows, files, self._context.importer
        )
        self.counts[REPLAYED] += sum(file is not None for file in files)
        self.counts[CHANGED] += changed
        if failed:
            self.counts[FAILED] += failed

    def _succeeds(self, rows: Sequence[File], act: Callable[[], None]) -> bool:
        """Whether `act` did its work. If it broke, or a statement took too long, it is rolled back
        and logged."""
        began = time.monotonic()
        try:
            with transaction.atomic():
                act()
        except Exception as exc:
            hangs = self._hangs(exc, time.monotonic() - began)
            if not hangs and (isinstance(exc, RealtimeError) or interrupted(exc)):
                raise
            about = {"action": "not-replayed", "run_id": self._run.run_id, "files": len(rows)}
            told = "files cannot be imported again together"
            if len(rows) == 1:
                told = "file cannot be imported again, and stays as it is"
                about["key"] = rows[0].key
            logger.exception(told, extra=about)
            return False
        return True

    def _hangs(self, exc: Exception, seconds: float) -> bool:
        """Whether a statement of the files took too long, and it is not our time that is up."""
        limit = self._context.config.statement_timeout
        return not self._context.must_stop() and timed_out(exc, seconds, limit)

    def _merge_people(self) -> Place | None:
        closed = self._why_closed()
        if not _is_final(closed) or (closed and people.may_be_unread(self._run)):
            return None
        last = people.merge_listed(self._run)
        return {"listed": last} if last else None

    def _replace(self, object_type: str, place: Place) -> Piece:
        # The place is a group's first file: groups that were put right are no longer found.
        after = place.get("file", 0)
        if object_type not in self._misplaced:
            self._misplaced[object_type] = row_matching.misplaced(self._run, object_type)
        groups = [group for group in self._misplaced[object_type] if min(group) > after]
        group = min(groups, key=min, default=[])
        by_id = File.objects.in_bulk(group)
        rows = [by_id[id] for id in group]
        there = [file for file in self._read(rows) if file is not None]

        def piece() -> Place | None:
            if not group:
                return None
            # With a file gone, the rows that there are say more than the rest of them would.
            replay.require_untouched(rows)
            if len(there) == len(rows):
                self._succeeds(rows, anew)
            return {"file": min(group)}

        def anew() -> None:
            replay.vacate(object_type, rows)
            self._import(rows, [replace(file, core_id="") for file in there])
            replay.require_kept(rows)

        return piece

    def _link_votes(self, place: Place) -> Piece:
        bills = cleanup.bills_with_votes(self._run, place.get("bill", ""))

        def piece() -> Place | None:
            if not bills:
                return None
            closed = self._why_closed()
            if not closed:
                deleted = cleanup.delete_stale_vote_events(self._run, bills)
                self.counts[DELETED] += deleted
            cleanup.link_votes(self._run, bills, final=_is_final(closed))
            return {"bill": bills[-1]}

        return piece

    def _mark_events(self) -> None:
        if not self._why_closed():
            self.counts[MARKED] += cleanup.mark_missing_events(self._run)

    def _flag_people(self) -> None:
        if not self._why_closed():
            cleanup.flag_missing_people(self._run)

    def _relate_bills(self) -> None:
        cleanup.resolve_related_bills(self._run)

    def _end(self) -> None:
        now, closed = ledger_files.database_now(), self._why_closed()
        final = _is_final(closed)
        if final and self._run.finalized_at is None and self._run.finished_at is not None:
            plan_report.save(self._run)
        verb: Verb = "closed" if closed else "finalized"
        ended = RowChange("run", verb, str(self._run.run_id), run_id=self._run.run_id)
        changes.log(self._run.jurisdiction_id, [ended], now)
        ScrapeRun.objects.filter(run_id=self._run.run_id).update(
            finalized_at=now if final else None,
            closed=closed,
            closed_at=now if closed else None,
            attempts=0,
        )


def _is_final(closed: str) -> bool:
    """Whether a run that is `closed` so has ended, with all of its files."""
    return closed not in (Closed.UNFINISHED, Closed.INCOMPLETE)
