"""Parked files: imported once what they wait for is there, given up when it never came."""

import logging
from collections.abc import Sequence

from realtime import ledger
from realtime.batching import FetchedFile, by_jurisdiction
from realtime.errors import RetryLater
from realtime.fetching import BadFile, Wanted, fetch, locate
from realtime.jurisdiction_batches import BATCH_SIZE, PATIENT, import_one
from realtime.messages import FileMessage
from realtime.models import File, Outcome
from realtime.s3 import Gone
from realtime.work import Work

logger = logging.getLogger(__name__)


def resume(work: Work) -> None:
    """Import what need not wait any longer, then what may not: the latter fails if it still must.

    Each parked file is tried once in a run. What a crash leaves out is found again by the next
    run, since the ledger is asked anew.
    """
    tried: set[int] = set()
    while not work.must_stop():
        with work.report.stage("import"):
            rows = ledger.wakeable(BATCH_SIZE, tried)
            last_chance = not rows
            if last_chance:
                rows = ledger.overdue(BATCH_SIZE, tried, ledger.database_now())
        if not rows:
            return
        tried.update(row.id for row in rows)
        _resume(work, rows, last_chance)


def _resume(work: Work, rows: Sequence[File], last_chance: bool) -> None:
    wanted = []
    for row in rows:
        message = FileMessage(
            row.bucket, row.key, row.jurisdiction_id, "", row.file_archiving, row.run_id
        )
        key = locate(message, work.config.bucket)
        if key is not None:
            want = Wanted(message, row.message, row.queued_at, row.version_id, last_chance)
            wanted.append((row, want, key))
    with work.report.stage("fetch"):
        fetched = fetch(
            [(want, key) for _, want, key in wanted],
            work.store,
            work.config.max_file_bytes,
            work.must_stop,
        )
    files = []
    for (row, _, _), file in zip(wanted, fetched, strict=True):
        if isinstance(file, FetchedFile) and file.identity.version == row.version:
            files.append(file)
        elif isinstance(file, Gone | BadFile | FetchedFile):
            ledger.fail_parked(row.id, "gone", "the parked file is no longer in the bucket")
            work.failed_rows.append(row.id)
    for jurisdiction_id, group in by_jurisdiction(files):
        try:
            batch = import_one(work, jurisdiction_id, group, PATIENT)
        except RetryLater as exc:
            logger.info("%s", exc, extra={"action": "released"})
            continue
        for result in batch.results:
            waits = result.outcome in (Outcome.DEFERRED, Outcome.FAILED)
            if not waits and not result.repeated:
                work.report.count_resumed(result.object_type)
