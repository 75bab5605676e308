"""Finalizes the runs that are complete, in the order of their starts."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from realtime.backends.postgres.interruptions import interrupted
from realtime.domain.changes import RowChange
from realtime.domain.errors import RetryLater, Unavailable
from realtime.domain.run_context import RunContext
from realtime.finalization.state_machine import (
    Finalization,
    OutOfTime,
    Overtaken,
    Progress,
    no_progress,
)
from realtime.ledger import changes, complete_runs
from realtime.ledger import files as ledger_files
from realtime.models import Closed, ScrapeRun

logger = logging.getLogger(__name__)

# A run whose finalization breaks as often as that is closed as it is.
ATTEMPTS = 3


@dataclass(frozen=True)
class Finalized:
    """What was done for a run: `closed` says why nothing was deleted, `counts` how much else
    was done (files `replayed`, of which `changed`, `failed`; vote events `deleted`, events
    `marked`)."""

    run: ScrapeRun
    closed: str = ""
    counts: dict[str, int] = field(default_factory=dict)


def finalize_complete(
    context: RunContext,
    only: ScrapeRun | None = None,
    *,
    progress: Progress = no_progress,
    put_off: Callable[[str], None] = lambda why: None,
) -> Iterator[Finalized]:
    """Finalize every run that is ready, or `only` that; yields each.

    A run that cannot be finalized now is left to the next call: `put_off` is told why. Raises
    Unavailable when the database or S3 cannot be reached, and OutOfTime.
    """
    unable: set[str] = set()
    while not context.must_stop():
        # Asked anew for each, since each may take long enough for the world to change.
        plans = complete_runs.plans(ledger_files.database_now())
        if only is not None:
            plans = [plan for plan in plans if plan.run == only]
        plan = next((p for p in plans if p.run.jurisdiction_id not in unable), None)
        if plan is None:
            return
        for run, why_closed in _steps(plan):
            try:
                finalized = _finalize(run, context, why_closed, progress)
            except (Unavailable, OutOfTime):
                raise
            except (RetryLater, Overtaken) as exc:
                logger.info(
                    "finalization put off", extra={**_about(plan.run, "busy"), "cause": exc}
                )
                put_off(str(exc))
            except Exception as exc:
                _could_not(run, plan.run, exc)
                put_off(f"run {plan.run.run_id}: {' '.join(str(exc).split())}")
            else:
                yield finalized
                continue
            unable.add(plan.run.jurisdiction_id)
            break


def _steps(plan: complete_runs.Plan) -> Iterator[tuple[ScrapeRun, Callable[[], str]]]:
    """The runs of a plan in order, each with what says why it is to be closed."""
    for older in plan.closing:
        yield older, partial(_why_closed, older)
    yield plan.run, partial(_why_nothing_deleted, plan.run)


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
    """Count a finalization that broke; after some, close the run, so that newer ones go on."""
    ScrapeRun.objects.filter(run_id=run.run_id).update(attempts=F("attempts") + 1)
    now = ledger_files.database_now()
    broken = ScrapeRun.objects.filter(run_id=run.run_id, attempts__gte=ATTEMPTS)
    with transaction.atomic():
        if broken.update(
            finalized_at=now, closed=Closed.BROKEN, closed_at=now, step="", cursor=None
        ):
            closed = RowChange("run", "closed", str(run.run_id), run_id=run.run_id)
            changes.log(run.jurisdiction_id, [closed], now)


def _why_nothing_deleted(run: ScrapeRun) -> str:
    if waits := complete_runs.why_not(run):
        # Complete when this began: a failed file is being tried again.
        raise RetryLater(f"run {run.run_id}: {waits}")
    return Closed.FAILED if complete_runs.failures(run) else ""


def finalize_anyway(
    run: ScrapeRun, context: RunContext, *, progress: Progress = no_progress
) -> Iterator[Finalized]:
    """Finalize a run although files of it are missing or failed, and delete what it has not seen.

    Older runs that are complete are finalized before, the other open ones closed. Raises as
    Finalization.finish does.
    """
    older = [
        one
        for one in complete_runs.open_runs(run.jurisdiction_id)
        if one.started_at < run.started_at and one != run
    ]
    there = complete_runs.arrivals(older)
    for one in older:
        if one.run_id in there and there[one.run_id].complete:
            yield _finalize(one, context, partial(_why_nothing_deleted, one), progress)
        elif not one.closed_at:
            yield _finalize(one, context, partial(_why_closed, one), progress)
    ScrapeRun.objects.filter(run_id=run.run_id).update(step="", cursor=None)
    run.refresh_from_db()
    yield _finalize(run, context, lambda: "", progress)


def _why_closed(run: ScrapeRun) -> str:
    return Closed.UNFINISHED if run.finished_at is None else Closed.INCOMPLETE


def _finalize(
    run: ScrapeRun, context: RunContext, why_closed: Callable[[], str], progress: Progress
) -> Finalized:
    counts = Finalization(run, context, why_closed, progress).finish()
    run.refresh_from_db()
    closed = run.closed
    logger.info(
        "scrape run closed" if closed else "scrape run final",
        extra={**_about(run, "finalized"), "closed": closed, **counts},
    )
    return Finalized(run, closed, counts)
