"""The files of a pass, imported jurisdiction by jurisdiction."""

import logging
import time
from collections.abc import Iterator, Sequence

from realtime.consumer.acknowledgements import Deliveries, Ticket
from realtime.consumer.context import Importing, Work
from realtime.domain.errors import Busy, RetryLater, Unavailable
from realtime.domain.results import FetchedFile, by_jurisdiction
from realtime.importers.batch_transaction import BatchResult, fail_alone, import_batch
from realtime.models import Outcome

logger = logging.getLogger(__name__)

# Files of one transaction; more only costs memory.
BATCH_SIZE = 300
# Seconds that a batch waits for its jurisdiction while others could be imported, and when not.
HASTY, PATIENT = 0.1, 20.0
_SLICE = 1.0
_VISIBLE = (Outcome.INSERTED, Outcome.UPDATED)


def import_all(
    work: Work, deliveries: Deliveries, files: Sequence[tuple[Ticket, FetchedFile]]
) -> None:
    """Import `files` in batches, acknowledging after each commit.

    A jurisdiction that another worker holds is put off until the others are done, then waited
    for, then left to be released.
    """
    tickets = {id(file): ticket for ticket, file in files}
    waiting = [
        (jurisdiction_id, group[at : at + BATCH_SIZE])
        for jurisdiction_id, group in by_jurisdiction(file for _, file in files)
        for at in range(0, len(group), BATCH_SIZE)
    ]
    rounds = (HASTY, PATIENT) if len(waiting) > 1 else (PATIENT,)
    for patience in rounds:
        busy = []
        for jurisdiction_id, group in waiting:
            if work.must_stop():
                return
            try:
                for batch in import_group(work, jurisdiction_id, group, patience):
                    for result in batch.results:
                        ticket = tickets[id(result.file)]
                        deliveries.finish(ticket, result.outcome, batch.ledger_ids[result.identity])
                    deliveries.acknowledge()
            except Unavailable:
                raise
            except Busy:
                logger.info(
                    "jurisdiction busy",
                    extra={"action": "busy", "jurisdiction_id": jurisdiction_id},
                )
                # Of a group that had to be split, some may be in already.
                left = [file for file in group if not tickets[id(file)].outcome]
                busy.append((jurisdiction_id, left))
            except RetryLater as exc:
                logger.warning(
                    "batch released",
                    extra={
                        "action": "released",
                        "jurisdiction_id": jurisdiction_id,
                        "files": len(group),
                        "cause": exc,
                    },
                )
        waiting = busy


def import_group(
    work: Importing, jurisdiction_id: str, group: Sequence[FetchedFile], patience: float
) -> Iterator[BatchResult]:
    """Import the files of one jurisdiction, as one batch if that can be.

    A file that breaks the batch as a whole is found by halving it, and fails alone. Waits up to
    `patience` seconds for the jurisdiction. Raises Busy after that, RetryLater when the database
    interrupts, Unavailable when the connection is lost.
    """
    broken: Exception | None = None
    try:
        with work.report.stage("import"):
            batch = _import_patiently(work, jurisdiction_id, group, patience)
    except RetryLater as exc:
        if work.slot.lost():
            raise Unavailable(f"the connection to the database was lost: {exc}") from exc
        raise
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
        yield from import_group(work, jurisdiction_id, group[:half], patience)
        yield from import_group(work, jurisdiction_id, group[half:], patience)
        return
    if broken:
        batch = fail_alone(group[0], broken, work.slot.verify)
    for result in batch.results:
        if result.outcome == Outcome.FAILED:
            work.failed_ledger_ids.append(batch.ledger_ids[result.identity])
        if result.outcome in _VISIBLE and result.file:
            lag = batch.committed_at - result.file.content.scraped_at
            work.report.add_lag(lag.total_seconds(), jurisdiction_id)
    yield batch


def _import_patiently(
    work: Importing, jurisdiction_id: str, group: Sequence[FetchedFile], patience: float
) -> BatchResult:
    until = time.monotonic() + patience
    while True:
        try:
            return import_batch(
                jurisdiction_id,
                group,
                # In slices, since no signal is handled while the database keeps us waiting.
                lock_wait=min(patience, _SLICE),
                before_commit=work.slot.verify,
                importer=work.importer,
                must_stop=work.must_stop,
            )
        except Busy:
            if work.must_stop() or time.monotonic() > until:
                raise
