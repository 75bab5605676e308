"""Parked files: imported once what they wait for has arrived, failed when it never came."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from realtime.backends.postgres import locks
from realtime.consumer.batches import BATCH_SIZE, PATIENT, import_group, log_busy, suspicion
from realtime.consumer.context import survived
from realtime.consumer.fetching import unavailable
from realtime.domain.errors import (
    Busy,
    ConfigurationError,
    PoisonMessage,
    RetryLater,
    Unavailable,
)
from realtime.domain.in_flight import InFlightFile, ParkedRow, by_jurisdiction
from realtime.domain.interfaces import Gone
from realtime.domain.messages import FileMessage
from realtime.domain.results import Delivery, Failed, FileIdentity, Waiting
from realtime.domain.run_context import RunContext
from realtime.files import archive
from realtime.files.fetch import fetch, locate
from realtime.ledger import files as ledger_files
from realtime.ledger import parked, suspects
from realtime.ledger.suspects import Suspicion
from realtime.models import File

logger = logging.getLogger(__name__)


def resume(context: RunContext) -> Iterator[list[InFlightFile]]:
    """Import parked files whose dependency has arrived, then give expired ones a last try; those
    fail if still unresolved. Yields the files of each batch; the finished ones are committed.

    One worker handles a jurisdiction's parked files; the others skip it, and it looks once more
    after it has unlocked them. Each file is tried once in a run, and again only if its dependency
    has arrived since. What a crash or the end of the time leaves is found by the next run, since
    the ledger is asked anew. Raises Unavailable when the store or the database is.
    """
    seen = parked.Seen()
    while not context.must_stop():
        with context.timed("import"):
            jurisdiction_id, expired = parked.next_wakeable(seen), None
            if jurisdiction_id is None:
                expired = parked.overdue(seen, ledger_files.database_now())
                jurisdiction_id = expired.values_list("jurisdiction_id", flat=True).first()
        if jurisdiction_id is None:
            return
        with locks.try_lock_parked_files(jurisdiction_id) as ours:
            if not ours:
                seen.elsewhere.add(jurisdiction_id)
                continue
            with context.timed("import"):
                if expired is None:
                    rows = parked.wakeable(jurisdiction_id, seen, BATCH_SIZE)
                else:
                    rows = list(expired.filter(jurisdiction_id=jurisdiction_id)[:BATCH_SIZE])
            files = _resume(context, rows, expired is not None)
        seen.tried.update(file.parked.ledger_id for file in files if file.parked)
        if any(isinstance(file.error, Busy) for file in files):
            # The jurisdiction's other files would only wait as long.
            log_busy(jurisdiction_id)
            seen.elsewhere.add(jurisdiction_id)
        elif expired is None:
            parked_again = {
                file.ledger_id
                for file in files
                if isinstance(file.outcome, Waiting) and file.ledger_id is not None
            }
            seen.tried -= parked_again
            seen.again |= parked_again
        yield files
        if outage := unavailable(files):
            raise outage


def _resume(context: RunContext, rows: Sequence[File], last_chance: bool) -> list[InFlightFile]:
    """The files of these rows, imported as far as they can be now. Left out are those that there
    was no room for, or no time."""
    files = [_parked_file(row, last_chance) for row in rows]
    known = suspects.known([_suspect_id(file) for file in files])
    tried: list[InFlightFile] = []
    for group in suspects.in_groups(files, _suspect_id, known, BATCH_SIZE):
        if tried and context.must_stop():
            break
        tried += _attempt(context, group, known)
    return tried


def _attempt(
    context: RunContext, files: Sequence[InFlightFile], known: Mapping[str, Suspicion]
) -> list[InFlightFile]:
    """Import these together, as far as there is room and time; returns those.

    Nothing says how often they were tried before, so each may be what kills the process. The
    attempt is recorded in a transaction of its own first, and taken back when the process survives
    it. A file that was left without a result by ATTEMPTS attempts alone fails without being read.
    """
    messages = {_suspect_id(file): file.delivery.message for file in files}
    spent = suspects.start_attempts(messages)
    with survived(context, lambda: _note_survived(files, messages, known)):
        for file in files:
            if (before := known.get(_suspect_id(file))) is not None:
                file.attempts = before.attempts
            if _suspect_id(file) in spent:
                _fail(file, suspects.KILLS)
        return _import_together(context, files)


def _import_together(context: RunContext, files: Sequence[InFlightFile]) -> list[InFlightFile]:
    found = [file for file in files if not file.outcome and _is_located(context, file)]
    with context.timed("fetch"):
        fetch(found, context.store, context.config, context.must_stop, context.kept)
    untried = {file for file in found if not (file.fetched or file.error)}
    for file in found:
        if file.error:
            _not_fetched(file, file.error)
    fetched = [file for file in found if file.fetched]
    uploads = _by_upload(fetched)
    for jurisdiction_id, group in by_jurisdiction(uploads.values()):
        _import(context, jurisdiction_id, group)
    for file in fetched:
        upload = uploads[file.identity]
        if file.parked and upload is not file and upload.outcome is not None:
            parked.supersede_parked(file.parked.ledger_id)
    archive.archive_read(context, fetched)
    for file in found:
        file.let_go()
    return [file for file in files if file not in untried]


def _note_survived(
    files: Sequence[InFlightFile], messages: Mapping[str, str], known: Mapping[str, Suspicion]
) -> None:
    """Record what is known of parked files after the process has survived their import."""
    now = {
        _suspect_id(file): None if file.outcome else suspicion([file], known.get(_suspect_id(file)))
        for file in files
    }
    suspects.note(messages, now)


def _suspect_id(file: InFlightFile) -> str:
    assert file.parked is not None
    return f"parked:{file.parked.ledger_id}"


def _by_upload(files: Sequence[InFlightFile]) -> dict[FileIdentity, InFlightFile]:
    """One file for each upload: where several were parked under one key, and so read as one upload
    now, the one that was parked for it."""
    overwritten_first = sorted(files, key=lambda file: not _is_overwritten(file))
    return {file.identity: file for file in overwritten_first}


def _parked_file(row: File, last_chance: bool) -> InFlightFile:
    return InFlightFile(
        FileIdentity(row.bucket, row.key, row.version, version_id=row.version_id),
        Delivery(row.queued_at, row.message, row.jurisdiction_id, row.file_archiving, row.run_id),
        parked=ParkedRow(row.id, row.version, row.meant_at is not None),
        object_type=row.object_type,
        jurisdiction_id=row.jurisdiction_id,
        last_chance=last_chance,
    )


def _is_located(context: RunContext, file: InFlightFile) -> bool:
    bucket, key = file.identity.bucket, file.identity.key
    try:
        location = locate(FileMessage(bucket, key, file.jurisdiction_id), context.config.bucket)
    except PoisonMessage as problem:
        _fail(file, problem)
        return False
    if location is not None:
        file.abbr, file.object_type = location.abbr, location.object_type
    return location is not None


def _not_fetched(file: InFlightFile, error: Exception) -> None:
    match error:
        case PoisonMessage() if not _is_overwritten(file):
            _fail(file, error)
        case PoisonMessage() | Gone():
            assert file.parked is not None
            # The upload that took its place may have been archived since.
            if not parked.supersede_overwritten(file.parked.ledger_id):
                _fail(file, PoisonMessage("gone", "it is no longer in the bucket"))
        case Unavailable() | ConfigurationError():
            # Ends the run, once what was read is imported.
            pass
        case _:
            about = {"action": "released", "key": file.identity.key, "cause": error}
            logger.warning("file stays parked", extra=about)


def _import(context: RunContext, jurisdiction_id: str, group: Sequence[InFlightFile]) -> None:
    try:
        for done in import_group(context, jurisdiction_id, group, PATIENT):
            for file in done:
                if file.parked and _is_overwritten(file):
                    # The upload that took its place has an outcome of its own now.
                    parked.supersede_parked(file.parked.ledger_id)
    except Unavailable:
        raise
    except Busy as exc:
        for file in group:
            if file.outcome is None:
                # Without its traceback, which would keep the batch in memory.
                file.error = exc.with_traceback(None)
    except RetryLater as exc:
        logger.warning(
            "parked files left to the next run",
            extra={"action": "released", "jurisdiction_id": jurisdiction_id, "cause": exc},
        )


def _is_overwritten(file: InFlightFile) -> bool:
    """Whether another upload lies under the key of a parked file now."""
    return file.parked is not None and file.parked.version != file.identity.version


def _fail(file: InFlightFile, problem: PoisonMessage) -> None:
    assert file.parked is not None
    parked.fail_parked(file.parked.ledger_id, problem)
    file.finish(Failed(problem), file.parked.ledger_id)
