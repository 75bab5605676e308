"""Parked files: imported once what they wait for is there, given up when it never came."""

import logging
from collections.abc import Mapping, Sequence

from realtime import ledger, locks, waiting
from realtime.batching import FetchedFile, FileIdentity, by_jurisdiction, describe
from realtime.errors import (
    Busy,
    ConfigurationError,
    PoisonMessage,
    RetryLater,
    Unavailable,
)
from realtime.fetching import BadFile, Wanted, fetch, locate
from realtime.jurisdiction_batches import BATCH_SIZE, PATIENT, import_group
from realtime.messages import FileMessage
from realtime.models import File, Outcome
from realtime.ports import Gone
from realtime.scraped import Key
from realtime.work import Work

logger = logging.getLogger(__name__)


def resume(work: Work) -> None:
    """Import what need not wait any longer, then what may not: the latter fails if it still must.

    Each parked file is tried once in a run, and a jurisdiction's by one worker at a time: who
    finds another at it leaves them to that one, which looks once more after it has let go. What a
    crash leaves out is found again by the next run, since the ledger is asked anew.
    """
    tried: set[int] = set()
    elsewhere: set[str] = set()
    while not (work.must_stop() or work.unavailable):
        with work.report.stage("import"):
            now = None
            jurisdiction_id = waiting.next_wakeable(tried, elsewhere)
            if jurisdiction_id is None:
                now = ledger.database_now()
                jurisdiction_id = waiting.next_overdue(tried, elsewhere, now)
        if jurisdiction_id is None:
            return
        with locks.parked_files(jurisdiction_id) as ours:
            if not ours:
                elsewhere.add(jurisdiction_id)
                continue
            with work.report.stage("import"):
                rows = (
                    waiting.overdue(jurisdiction_id, tried, BATCH_SIZE, now)
                    if now
                    else waiting.wakeable(jurisdiction_id, tried, BATCH_SIZE)
                )
            tried.update(row.id for row in rows)
            _resume(work, rows, last_chance=now is not None)


def _resume(work: Work, rows: Sequence[File], last_chance: bool) -> None:
    wanted: list[tuple[File, Wanted, Key]] = []
    for row in rows:
        message = FileMessage(
            row.bucket, row.key, row.jurisdiction_id, "", row.file_archiving, row.run_id
        )
        try:
            key = locate(message, work.config.bucket)
        except PoisonMessage as problem:
            _give_up(work, row, problem)
            continue
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
    files: dict[FileIdentity, FetchedFile] = {}
    overwritten: dict[FileIdentity, File] = {}
    for (row, _, _), file in zip(wanted, fetched, strict=True):
        if isinstance(file, FetchedFile):
            files[file.identity] = file
            if file.identity.version != row.version:
                overwritten[file.identity] = row
        elif isinstance(file, BadFile) and file.identity.version == row.version:
            _give_up(work, row, file.problem)
        elif isinstance(file, Gone | BadFile):
            _give_up(work, row, PoisonMessage("gone", "it is no longer in the bucket"))
        elif isinstance(file, Unavailable | ConfigurationError):
            work.unavailable = work.unavailable or Unavailable(str(file))
        elif file is not None:
            about = {"action": "released", "key": row.key, "cause": file}
            logger.warning("file stays parked", extra=about)
    for jurisdiction_id, group in by_jurisdiction(files.values()):
        _import(work, jurisdiction_id, group, overwritten)


def _import(
    work: Work,
    jurisdiction_id: str,
    group: Sequence[FetchedFile],
    overwritten: Mapping[FileIdentity, File],
) -> None:
    try:
        for batch in import_group(work, jurisdiction_id, group, PATIENT):
            for result in batch.results:
                if result.identity in overwritten:
                    # The upload that took its place has an outcome of its own now.
                    waiting.supersede_parked(overwritten[result.identity].id)
                waits = result.outcome in (Outcome.DEFERRED, Outcome.FAILED)
                if not waits and not result.repeated:
                    work.report.count_resumed(result.object_type, jurisdiction_id)
    except Unavailable:
        raise
    except Busy:
        # The next run looks for them again.
        logger.info(
            "jurisdiction busy", extra={"action": "busy", "jurisdiction_id": jurisdiction_id}
        )
    except RetryLater as exc:
        logger.warning(
            "parked files left to the next run",
            extra={"action": "released", "jurisdiction_id": jurisdiction_id, "cause": exc},
        )


def _give_up(work: Work, row: File, problem: PoisonMessage) -> None:
    waiting.fail_parked(row.id, problem)
    about = {
        "outcome": Outcome.FAILED.value,
        "key": row.key,
        "object_type": row.object_type,
        "jurisdiction_id": row.jurisdiction_id,
        "run_id": row.run_id,
    }
    logger.warning("file failed", extra={**about, **describe(problem)})
    work.failed_rows.append(row.id)
