"""Moves files with a final outcome to `archived/` or `failed/`, or deletes them."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, timedelta
from uuid import UUID

from django.db import transaction

from realtime.backends.postgres.locks import lock_archive
from realtime.backends.s3 import THREADS
from realtime.domain.config import Config
from realtime.domain.errors import ConfigurationError, RealtimeError, Unavailable
from realtime.domain.interfaces import Gone, ObjectVersion, Store
from realtime.ledger import files as ledger_files
from realtime.ledger import locations
from realtime.models import File, Outcome
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)

BATCH_SIZE = 200
ARCHIVED, FAILED, DELETED, GONE, LATER = "archived", "failed", "deleted", "gone", "later"


def archive(
    store: Store,
    config: Config,
    jurisdiction_ids: Sequence[str] = (),
    must_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Counter[str]], None] = lambda counts: None,
) -> Counter[str]:
    """Archive every file whose import is committed and whose message is acknowledged.

    An import older than twice the visibility timeout counts as acknowledged. Returns how many files
    were archived, moved to failed, deleted, already gone, or left for later.
    `jurisdiction_ids` limits the files; empty means all. `must_stop` is asked before each file is
    moved; the next call goes on.

    Only the version that was imported is deleted, and only after its copy is verified. If the
    process is killed, the next call continues. Raises Unavailable or ConfigurationError when S3
    cannot be used at all; files moved until then are recorded.
    """
    counts: Counter[str] = Counter()
    before = ledger_files.database_now() - timedelta(seconds=2 * config.visibility_timeout)
    after = 0
    while not must_stop():
        files = locations.unarchived(jurisdiction_ids, before, after, BATCH_SIZE)
        if not files:
            break
        after = files[-1].id
        counts += _archive_files(store, config, files, must_stop)
        progress(counts)
    return counts


def archive_files(
    store: Store,
    config: Config,
    ledger_ids: Sequence[int],
    must_stop: Callable[[], bool] = lambda: False,
) -> Counter[str]:
    """Archive the files of these rows, until `must_stop` says so. Files that cannot be moved now
    are left, with a warning, to the next call of `archive`."""
    if must_stop():
        return Counter()
    before = ledger_files.database_now() - timedelta(seconds=2 * config.visibility_timeout)
    try:
        files = locations.unarchived_of(ledger_ids, before)
        return _archive_files(store, config, files, must_stop)
    except RealtimeError as exc:
        fields = {"action": LATER, "files": len(ledger_ids), "cause": exc}
        logger.warning("files not archived yet", extra=fields)
        return Counter()


def _archive_files(
    store: Store,
    config: Config,
    files: Sequence[File],
    must_stop: Callable[[], bool] = lambda: False,
) -> Counter[str]:
    stored = [file for file in files if file.bucket == store.bucket and file.version]
    # Rows without an object: bad messages, files of another bucket, files that were never read.
    without_object = {file: "" for file in files if file not in stored}
    planned = _plan(config, stored)

    outages: list[RealtimeError] = []
    causes: dict[str, str] = {}

    def move(file: File) -> tuple[File, str]:
        if outages or must_stop():
            return file, LATER
        try:
            return file, _move(store, file)
        except (Unavailable, ConfigurationError) as exc:
            outages.append(exc)
        except RealtimeError as exc:
            causes.setdefault(_cause(file, exc), str(exc))
        return file, LATER

    with Threads(THREADS, "s3-move") as threads:
        moved = list(threads.map(move, planned))
    archived = {
        file: "" if result == GONE else file.archived_key
        for file, result in moved
        if result != LATER
    }
    locations.archived({**archived, **without_object}, ledger_files.database_now())
    counts = Counter(result for _, result in moved)
    if outages:
        raise outages[0]
    if causes and counts[LATER] == len(planned) and not must_stop():
        raise Unavailable(f"no file can be moved: {next(iter(causes.values()))}")
    for cause in causes.values():
        logger.warning("files not archived yet", extra={"action": LATER, "cause": cause})
    return counts


def _cause(file: File, exc: RealtimeError) -> str:
    return str(exc).replace(file.key, "").replace(file.archived_key, "")


def _plan(config: Config, unarchived: Sequence[File]) -> list[File]:
    """Choose and record the `archived_key` of each file that is kept, before any file is moved.

    So a concurrent call, or the next one after a kill, finds the copies that this call made.
    """
    with transaction.atomic():
        lock_archive()
        files = locations.still_unarchived(unarchived)
        finals = locations.final_runs({file.run_id for file in files if file.run_id})
        taken = locations.archived_keys(
            {file.bucket for file in files}, {file.key for file in files}
        )
        planned = [
            file for file in files if not file.archived_key and _is_kept(config, file, finals)
        ]
        for file in planned:
            target = _target(config, file)
            if target in taken:
                # Older scrapers reuse keys, so two versions may have the same archive key.
                target = f"{target.removesuffix('.json')}.{file.id}.json"
            taken.add(target)
            file.archived_key = target
        locations.plan(planned)
    return files


def _is_kept(config: Config, file: File, finals: Collection[UUID]) -> bool:
    # Finalizing a run reads its files again.
    needed_by_run = file.run_id is not None and file.run_id not in finals
    archiving = config.file_archiving_enabled or file.file_archiving
    return file.outcome == Outcome.FAILED or archiving or needed_by_run


def _target(config: Config, file: File) -> str:
    prefix = config.bucket.prefix
    abbr, _, name = file.key.removeprefix(prefix).rpartition("/")
    if file.outcome == Outcome.FAILED:
        return f"{prefix}failed/{abbr}/{name}"
    assert file.imported_at is not None
    return f"{prefix}archived/{file.imported_at.astimezone(UTC):%Y-%m-%d}/{abbr}/{name}"


def _move(store: Store, file: File) -> str:
    original = ObjectVersion(
        key=file.key,
        etag=file.etag,
        version_id=file.version_id,
        last_modified=file.last_modified,
        size=file.size,
        metadata={},
    )
    if not file.archived_key:
        store.delete(original)
        return DELETED
    try:
        store.copy(original, file.archived_key)
    except Gone:
        if _holds(store, original, file.key, original.version):
            raise
        # Moved by a concurrent call, or by one killed before it recorded that; or overwritten
        # before it was archived.
        if not _holds(store, original, file.archived_key):
            return GONE
    else:
        store.delete(original)
    return FAILED if file.outcome == Outcome.FAILED else ARCHIVED


def _holds(store: Store, original: ObjectVersion, key: str, version: str = "") -> bool:
    """Whether `key` holds that version of the original or, without `version`, an object of its
    size."""
    try:
        found = store.head(key, original.version_id if version else "")
    except Gone:
        return False
    return found.version == version if version else found.size == original.size
