"""Imports files batch by batch, one jurisdiction at a time."""

import logging
import time
from collections.abc import Iterator, Sequence

from realtime.backends.postgres.interruptions import timed_out
from realtime.domain.errors import Busy, PoisonMessage, RetryLater, TimedOut, Unavailable
from realtime.domain.in_flight import InFlightFile, by_jurisdiction
from realtime.domain.run_context import RunContext
from realtime.importers.batch_transaction import fail_alone, import_batch
from realtime.ledger.suspects import ATTEMPTS, Suspicion

logger = logging.getLogger(__name__)

# Files of one transaction; more only costs memory.
BATCH_SIZE = 300
# Why a file fails whose statements exceed their timeout.
TIMES_OUT = "times-out"
# Seconds to wait for the jurisdiction lock: short while other work remains, else long.
HASTY, PATIENT = 0.1, 20.0
# Seconds of one attempt to get it: no signal is handled while the database keeps us waiting.
_SLICE = 1.0


def import_files(
    context: RunContext, files: Sequence[InFlightFile]
) -> Iterator[list[InFlightFile]]:
    """Import `files` in batches; yields the finished ones after each commit. All must have been
    read.

    A jurisdiction that another worker has locked is tried again after the others, then waited
    for; its files stay without an outcome if it is still locked then.
    """
    waiting = [
        (jurisdiction_id, group[at : at + BATCH_SIZE])
        for jurisdiction_id, group in by_jurisdiction(files)
        for at in range(0, len(group), BATCH_SIZE)
    ]
    for patience in (HASTY, PATIENT) if len(waiting) > 1 else (PATIENT,):
        busy = []
        for jurisdiction_id, group in waiting:
            if context.must_stop():
                return
            try:
                yield from import_group(context, jurisdiction_id, group, patience)
            except Unavailable:
                raise
            except Busy:
                log_busy(jurisdiction_id)
                # Of a group that had to be split, some may be in already.
                left = [file for file in group if file.outcome is None]
                busy.append((jurisdiction_id, left))
            except RetryLater as exc:
                log_released(jurisdiction_id, len(group), exc)
        waiting = busy


def import_group(
    context: RunContext, jurisdiction_id: str, group: Sequence[InFlightFile], patience: float
) -> Iterator[list[InFlightFile]]:
    """Import the files of one jurisdiction, as one batch if possible; yields the finished ones
    after each commit.

    A file that breaks the batch as a whole is found by halving it, and fails alone; so is one whose
    statements exceed their timeout, but alone it is tried again, in later runs, up to ATTEMPTS
    times. Waits up to `patience` seconds for the jurisdiction lock. Raises Busy after that,
    RetryLater when the database interrupts, Unavailable when the connection is lost.
    """
    broken: Exception | None = None
    done: list[InFlightFile] = []
    try:
        with context.timed("import"):
            done = _import_patiently(context, jurisdiction_id, group, patience)
    except RetryLater as exc:
        if context.connection_lost():
            raise Unavailable(f"the connection to the database was lost: {exc}") from exc
        raise
    except TimedOut as exc:
        log_timed_out(jurisdiction_id, group, exc)
        for file in group:
            file.timed_out = len(group)
        if len(group) == 1 and group[0].attempts + 1 < ATTEMPTS:
            return
        broken = PoisonMessage(TIMES_OUT, f"{ATTEMPTS} attempts to import it alone: {exc}")
    except Exception as exc:
        logger.exception(
            "batch broke",
            extra={"action": "broke", "jurisdiction_id": jurisdiction_id, "files": len(group)},
        )
        broken = exc
    # Out of the handler, or what is raised from here on would have the batch's error as context,
    # and each file that fails be explained by it.
    if broken and len(group) > 1:
        half = len(group) // 2
        yield from import_group(context, jurisdiction_id, group[:half], patience)
        yield from import_group(context, jurisdiction_id, group[half:], patience)
        return
    if broken:
        fail_alone(context, group[0], broken)
        done = [group[0]]
    yield done


def suspicion(files: Sequence[InFlightFile], before: Suspicion | None) -> Suspicion | None:
    """What is known, after an attempt that the process survived, of a message of these files, or of
    a parked one, some of which have no outcome: as `before`, but for statements that timed out."""
    ended = [file.timed_out for file in files if file.timed_out and file.outcome is None]
    if not ended:
        return before
    together, attempts = min(ended), before.attempts if before else 0
    return Suspicion(attempts + 1 if together == 1 else attempts, together)


def log_busy(jurisdiction_id: str) -> None:
    """Another worker has locked the jurisdiction for as long as was waited for it."""
    logger.info("jurisdiction busy", extra={"action": "busy", "jurisdiction_id": jurisdiction_id})


def log_released(jurisdiction_id: str, files: int, cause: RetryLater) -> None:
    """Nothing of a batch was committed; its files come again."""
    logger.warning(
        "batch released",
        extra={
            "action": "released",
            "jurisdiction_id": jurisdiction_id,
            "files": files,
            "cause": cause,
        },
    )


def log_timed_out(jurisdiction_id: str, group: Sequence[InFlightFile], cause: TimedOut) -> None:
    """Nothing of a batch was committed; which of its files is to blame is being found out."""
    logger.warning(
        "statement timed out",
        extra={
            "action": "timed-out",
            "jurisdiction_id": jurisdiction_id,
            "files": len(group),
            "key": group[0].identity.key if len(group) == 1 else None,
            "cause": cause,
        },
    )


def _import_patiently(
    context: RunContext, jurisdiction_id: str, group: Sequence[InFlightFile], patience: float
) -> list[InFlightFile]:
    until = time.monotonic() + patience
    limit = context.config.statement_timeout
    while True:
        began = time.monotonic()
        try:
            return import_batch(context, jurisdiction_id, group, min(patience, _SLICE))
        except Busy:
            if context.must_stop() or time.monotonic() > until:
                raise
        except RetryLater as exc:
            # Else it was cancelled since the run must end, or by somebody else.
            if not context.must_stop() and timed_out(exc, time.monotonic() - began, limit):
                raise TimedOut(f"a statement ran for more than {limit} seconds") from exc
            raise
