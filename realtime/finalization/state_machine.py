"""Takes one run through the steps of its finalization, each of which may be repeated."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

from django.db import transaction

from realtime.backends.postgres.locks import lock_jurisdiction
from realtime.domain.errors import Busy, RealtimeError, RetryLater
from realtime.domain.run_context import RunContext, no_progress
from realtime.finalization.steps import FAILED, Piece, Place, Steps
from realtime.ledger.pauses import open_pause
from realtime.models import ScrapeRun

# Seconds of one attempt to get the jurisdiction, and of all of them.
_SLICE, _PATIENT = 1.0, 20.0

# Told the step, and what was counted so far, after each transaction.
Progress = Callable[[str, Mapping[str, int]], None]


class Overtaken(RealtimeError):
    """Another worker is finalizing this run, or has done so."""


class OutOfTime(RealtimeError):
    """There was no time left; the next call goes on from here."""


class Finalization:
    """Takes a run through its steps.

    `why_closed` says why the run is to be closed, in which case nothing is deleted or marked; it
    is empty for one that is not. It is asked once all files have been imported again, within each
    transaction that depends on it.

    Each piece of a step is one transaction under the jurisdiction's lock, which also records how
    far the run is: killed at any point, another Finalization goes on from there.
    """

    def __init__(
        self,
        run: ScrapeRun,
        context: RunContext,
        why_closed: Callable[[], str],
        progress: Progress = no_progress,
    ) -> None:
        self._run = run
        self._context = context
        self._progress = progress
        self._steps = Steps(run, context, why_closed)

    def finish(self) -> dict[str, int]:
        """Do all that is left to do; returns what was counted.

        Raises Overtaken when another worker finalizes the run, OutOfTime, and RetryLater (Busy,
        Unavailable) when the database, S3 or an import of the jurisdiction are in the way.
        """
        names = self._steps.names
        step, place = self._run.step or names[0], self._run.cursor or {}
        while step:
            # No name for the piece: it holds files, and would until the next one has read its own.
            going_on = self._patiently(step, place, self._steps.prepare(step, place))
            self._progress(step, self._steps.counts)
            if going_on is None:
                step, place = self._after(step), {}
            else:
                place = going_on
        return dict(self._steps.counts)

    def _patiently(self, step: str, place: Place, piece: Piece) -> Place | None:
        until = time.monotonic() + _PATIENT
        while True:
            if self._context.must_stop():
                raise OutOfTime(f"run {self._run.run_id}: there was no time left at {step}")
            try:
                return self._commit(step, place, piece)
            except Busy:
                if time.monotonic() > until:
                    raise

    def _commit(self, step: str, place: Place, piece: Piece) -> Place | None:
        run_id, first = self._run.run_id, self._steps.names[0]
        before = Counter(self._steps.counts)
        try:
            with transaction.atomic():
                lock_jurisdiction(self._run.jurisdiction_id, _SLICE)
                if pause := open_pause(self._run.jurisdiction_id):
                    raise RetryLater(f"run {run_id}: its jurisdiction is paused: {pause.reason}")
                now = ScrapeRun.objects.select_for_update().get(run_id=run_id)
                if (now.step or first, now.cursor or {}) != (step, place) or self._is_over(now):
                    raise Overtaken(f"run {run_id} is being finalized by another worker")
                going_on = piece()
                following = step if going_on is not None else self._after(step)
                ScrapeRun.objects.filter(run_id=run_id).update(step=following, cursor=going_on)
                self._context.before_commit()
        except BaseException:
            self._steps.counts = before
            raise
        self._context.expired(self._steps.counts[FAILED] - before[FAILED])
        return going_on

    def _after(self, step: str) -> str:
        """The step after this one; empty after the last."""
        names = [*self._steps.names, ""]
        return names[names.index(step) + 1]

    def _is_over(self, now: ScrapeRun) -> bool:
        before = self._run
        return (now.finalized_at, now.closed_at) != (before.finalized_at, before.closed_at)
