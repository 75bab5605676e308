"""Finalizes the runs that are complete, in the order of their starts."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from realtime.backends.postgres.interruptions import interrupted
from realtime.backends.postgres.locks import lock_jurisdiction
from realtime.domain.changes import RowChange
from realtime.domain.errors import Busy, RetryLater, Unavailable
from realtime.domain.run_context import RunContext, no_progress
from realtime.finalization.state_machine import (
    Finalization,
    OutOfTime,
    Overtaken,
    Progress,
)
from realtime.ledger import changes, complete_runs
from realtime.ledger import files as ledger_files
from realtime.models import Closed, ScrapeRun

logger = logging.getLogger(__name__)

# A run whose finalization breaks as often as that is closed as it is.
ATTEMPTS = 3
# Seconds to wait for the jurisdiction of a run that is given up.
_LOCK_WAIT = 20.0


@dataclass(frozen=True)
class Finalized:
    """What was done for a run: `closed` says why nothing was deleted, `counts` how much else
    was done (files `replayed`, of which `changed`, `failed`; vote events `deleted`, events
    `marked`)."""

    run: ScrapeRun
    closed: str = ""
    counts: dict[str, int] = field(default_factory=dict)


PutOff = Callable[[str], None]
# A run, and what says why it is to be closed.
_Asked = tuple[ScrapeRun, Callable[[], str]]


def finalize_complete(
    context: RunContext,
    *,
    progress: Progress = no_progress,
    put_off: PutOff = lambda why: None,
) -> Iterator[Finalized]:
    """Finalize every run that is ready; yields each.

    A run that cannot be finalized now is left to the next call: `put_off` is told why. Raises
    Unavailable when the database or S3 cannot be reached, and OutOfTime.
    """
    unable: set[str] = set()
    while not context.must_stop():
        # Asked anew for each, since each may take long enough for the world to change.
        plans = complete_runs.plans(ledger_files.database_now())
        plan = next((p for p in plans if p.run.jurisdiction_id not in unable), None)
        if plan is None:
            return
        closing = [(older, partial(complete_runs.why_closed, older)) for older in plan.closing]
        planned = [*closing, (plan.run, partial(_why_nothing_deleted, plan.run))]
        if not (yield from _each(planned, context, progress, put_off)):
            unable.add(plan.run.jurisdiction_id)


def finalize_asked(
    steps: Sequence[complete_runs.Step],
    context: RunContext,
    *,
    progress: Progress = no_progress,
    put_off: PutOff = lambda why: None,
) -> Iterator[Finalized]:
    """Finalize a run that somebody asks for, which no `complete_runs.obstacle` keeps from it: its
    `steps_to`, and no other run. One that is closed because it broke is opened again.

    Yields each, and raises, as `finalize_complete` does.
    """
    complete_runs.reopen_broken(steps[-1].run)
    yield from _each([_asked(step) for step in steps], context, progress, put_off)


def _asked(step: complete_runs.Step) -> _Asked:
    if step.closed in (Closed.UNFINISHED, Closed.INCOMPLETE):
        return step.run, partial(complete_runs.why_closed, step.run)
    return step.run, partial(_why_nothing_deleted, step.run)


def _each(
    asked: Sequence[_Asked], context: RunContext, progress: Progress, put_off: PutOff
) -> Generator[Finalized, None, bool]:
    """Finalize the last of these runs after the others; False when one was put off."""
    last, _ = asked[-1]
    for run, why_closed in asked:
        try:
            finalized = _finalize(run, why_closed, context, progress)
        except (Unavailable, OutOfTime):
            raise
        except (RetryLater, Overtaken) as exc:
            logger.info("finalization put off", extra={**_about(last, "busy"), "cause": exc})
            put_off(str(exc))
            return False
        except Exception as exc:
            _could_not(run, last, exc)
            put_off(f"run {last.run_id}: {' '.join(str(exc).split())}")
            return False
        else:
            yield finalized
    return True


def _could_not(run: ScrapeRun, planned: ScrapeRun, exc: Exception) -> None:
    """Finalizing `run`, which may be an older one closed for the `planned` one, raised. Raises
    Unavailable when the connection is gone."""
    if connection.connection is None or not connection.is_usable():
        raise Unavailable(f"the connection to the database was lost: {exc}") from exc
    if interrupted(exc):
        about = _about(planned, "interrupted")
        logger.warning("finalization interrupted", extra={**about, "cause": exc})
    else:
        logger.exception("finalization broke", extra=_about(run, "broke"))
        _give_up(run)


def _about(run: ScrapeRun, action: str) -> dict[str, Any]:
    return {"action": action, "run_id": run.run_id, "jurisdiction_id": run.jurisdiction_id}


def _give_up(run: ScrapeRun) -> None:
    """Count a finalization that broke; after some, close the run, so that newer ones go on. If its
    jurisdiction stays locked, the next attempt closes it."""
    ScrapeRun.objects.filter(run_id=run.run_id).update(attempts=F("attempts") + 1)
    try:
        _close_broken(run)
    except Busy as busy:
        logger.info("run not closed", extra={**_about(run, "busy"), "cause": busy})


@transaction.atomic
def _close_broken(run: ScrapeRun) -> None:
    # First, as everybody who logs: the log has the order of the commits.
    lock_jurisdiction(run.jurisdiction_id, _LOCK_WAIT)
    now = ledger_files.database_now()
    broken = ScrapeRun.objects.filter(run_id=run.run_id, attempts__gte=ATTEMPTS)
    if broken.update(finalized_at=now, closed=Closed.BROKEN, closed_at=now, step="", cursor=None):
        closed = RowChange("run", "closed", str(run.run_id), run_id=run.run_id)
        changes.log(run.jurisdiction_id, [closed], now)


def _why_nothing_deleted(run: ScrapeRun) -> str:
    if waits := complete_runs.why_not(run):
        # Complete when this began: a failed file is being tried again.
        raise RetryLater(f"run {run.run_id}: {waits}")
    return Closed.FAILED if complete_runs.failures(run) else ""


def finalize_anyway(
    steps: Sequence[complete_runs.Step], context: RunContext, *, progress: Progress = no_progress
) -> Iterator[Finalized]:
    """Finalize a run although files of it are missing or failed, and delete what it has not seen:
    its `steps_to` with force, and no other run.

    Yields each. Raises as Finalization.finish does.
    """
    *older, last = steps
    for step in older:
        yield _finalize(*_asked(step), context, progress)
    complete_runs.reopen_broken(last.run)
    ScrapeRun.objects.filter(run_id=last.run.run_id).update(step="", cursor=None)
    last.run.refresh_from_db()
    yield _finalize(last.run, lambda: "", context, progress)


def _finalize(
    run: ScrapeRun, why_closed: Callable[[], str], context: RunContext, progress: Progress
) -> Finalized:
    counts = Finalization(run, context, why_closed, progress).finish()
    run.refresh_from_db()
    closed = run.closed
    logger.info(
        "scrape run closed" if closed else "scrape run final",
        extra={**_about(run, "finalized"), "closed": closed, **counts},
    )
    return Finalized(run, closed, counts)
