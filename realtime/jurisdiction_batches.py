"""The files of a pass, imported jurisdiction by jurisdiction."""

import logging
from collections.abc import Sequence

from django.db import connection

from realtime.batch_import import BatchResult, import_batch
from realtime.batching import FetchedFile, by_jurisdiction
from realtime.deliveries import Deliveries, Ticket
from realtime.errors import RetryLater, Unavailable
from realtime.models import Outcome
from realtime.work import Work

logger = logging.getLogger(__name__)

# Files of one transaction; more only costs memory.
BATCH_SIZE = 300
# Seconds that a batch waits for its jurisdiction while others could be imported, and when not.
HASTY, PATIENT = 0.1, 20.0
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
    for patience in (HASTY, PATIENT):
        busy = []
        for jurisdiction_id, group in waiting:
            if work.must_stop():
                return
            try:
                alone = patience if len(waiting) > 1 else PATIENT
                batch = import_one(work, jurisdiction_id, group, alone)
            except RetryLater as exc:
                if isinstance(exc, Unavailable):
                    raise
                busy.append((jurisdiction_id, group))
                logger.info("%s", exc, extra={"action": "busy"})
                continue
            for result in batch.results:
                ticket = tickets[id(result.file)]
                deliveries.finish(ticket, result.outcome, batch.row_ids[result.identity])
            deliveries.acknowledge()
        waiting = busy


def import_one(
    work: Work, jurisdiction_id: str, group: Sequence[FetchedFile], lock_wait: float
) -> BatchResult:
    """Import one batch of one jurisdiction and note what it found.

    Raises RetryLater when it must be tried another time, Unavailable when the connection is lost.
    """
    with work.report.stage("import"):
        try:
            batch = import_batch(
                jurisdiction_id,
                group,
                lock_wait=lock_wait,
                before_commit=work.slot.verify,
                must_stop=work.must_stop,
            )
        except RetryLater as exc:
            if connection.connection is None or not connection.is_usable():
                raise Unavailable(f"the connection to the database was lost: {exc}") from exc
            raise
    for result in batch.results:
        if result.outcome == Outcome.FAILED:
            work.failed_rows.append(batch.row_ids[result.identity])
        if result.outcome in _VISIBLE and result.file:
            lag = batch.committed_at - result.file.content.scraped_at
            work.report.lags.append(lag.total_seconds())
    return batch
