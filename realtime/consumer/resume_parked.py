"""Parked files: imported once what they wait for is there, given up when it never came."""

import logging
from collections.abc import Mapping, Sequence

from realtime.backends.postgres import locks
from realtime.consumer.batches import BATCH_SIZE, PATIENT, import_group
from realtime.consumer.context import Work
from realtime.domain.errors import (
    Busy,
    ConfigurationError,
    PoisonMessage,
    RetryLater,
    Unavailable,
)
from realtime.domain.interfaces import Gone
from realtime.domain.messages import FileMessage
from realtime.domain.results import FetchedFile, FileIdentity, by_jurisdiction, describe
from realtime.domain.scraped_object import Key
from realtime.files.fetch import BadFile, Wanted, fetch, locate
from realtime.ledger import files as ledger_files
from realtime.ledger import parked
from realtime.models import File, Outcome

logger = logging.getLogger(__name__)


def resume(work: Work) -> None:
    """Import what need not wait any longer, then what may not: the latter fails if it still must.

    A jurisdiction's parked files are seen to by one worker at a time: who finds another at it
    leaves them to that one, which looks once more after it has let go. Each is tried once in a
    run, and again only for what has come since. What a crash or the end of the time leaves out is
    found again by the next run, since the ledger is asked anew.
    """
    seen = parked.Seen()
    while not (work.must_stop() or work.unavailable):
        with work.report.stage("import"):
            jurisdiction_id, last_chance = parked.next_wakeable(seen), None
            if jurisdiction_id is None:
                last_chance = parked.overdue(seen, ledger_files.database_now())
                jurisdiction_id = last_chance.values_list("jurisdiction_id", flat=True).first()
        if jurisdiction_id is None:
            return
        with locks.try_lock_parked_files(jurisdiction_id) as ours:
            if not ours:
                seen.elsewhere.add(jurisdiction_id)
                continue
            with work.report.stage("import"):
                if last_chance is None:
                    rows = parked.wakeable(jurisdiction_id, seen, BATCH_SIZE)
                else:
                    rows = list(last_chance.filter(jurisdiction_id=jurisdiction_id)[:BATCH_SIZE])
            seen.tried.update(row.id for row in rows)
            try:
                parked_again = _resume(work, rows, last_chance is not None)
            except Busy:
                # Somebody works on it for long; the others of it would only wait as long.
                about = {"action": "busy", "jurisdiction_id": jurisdiction_id}
                logger.info("jurisdiction busy", extra=about)
                seen.elsewhere.add(jurisdiction_id)
                continue
            if last_chance is None:
                seen.tried -= parked_again
                seen.again |= parked_again


def _resume(work: Work, rows: Sequence[File], last_chance: bool) -> set[int]:
    """Returns the rows that are parked again. Raises Busy."""
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
    return set().union(
        *(
            _import(work, jurisdiction_id, group, overwritten)
            for jurisdiction_id, group in by_jurisdiction(files.values())
        )
    )


def _import(
    work: Work,
    jurisdiction_id: str,
    group: Sequence[FetchedFile],
    overwritten: Mapping[FileIdentity, File],
) -> set[int]:
    again: set[int] = set()
    try:
        for batch in import_group(work, jurisdiction_id, group, PATIENT):
            for result in batch.results:
                if result.identity in overwritten:
                    # The upload that took its place has an outcome of its own now.
                    parked.supersede_parked(overwritten[result.identity].id)
                if result.outcome == Outcome.DEFERRED:
                    again.add(batch.ledger_ids[result.identity])
                elif result.outcome != Outcome.FAILED and not result.repeated:
                    work.report.count_resumed(result.object_type, jurisdiction_id)
    except (Unavailable, Busy):
        raise
    except RetryLater as exc:
        logger.warning(
            "parked files left to the next run",
            extra={"action": "released", "jurisdiction_id": jurisdiction_id, "cause": exc},
        )
    return again


def _give_up(work: Work, row: File, problem: PoisonMessage) -> None:
    parked.fail_parked(row.id, problem)
    about = {
        "outcome": Outcome.FAILED.value,
        "key": row.key,
        "object_type": row.object_type,
        "jurisdiction_id": row.jurisdiction_id,
        "run_id": row.run_id,
    }
    logger.warning("file failed", extra={**about, **describe(problem)})
    work.failed_ledger_ids.append(row.id)
