"""Moves files with a final outcome to `archived/` or `failed/`, or deletes them."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from realtime.backends.s3 import DELETIONS, THREADS
from realtime.domain.config import INLINE, Config
from realtime.domain.errors import ConfigurationError, RealtimeError, RetryLater, Unavailable
from realtime.domain.in_flight import InFlightFile
from realtime.domain.interfaces import Exists, Gone, ObjectVersion, Store, StoredFile
from realtime.domain.run_context import RunContext
from realtime.ledger import files as ledger_files
from realtime.ledger import locations
from realtime.models import File, Outcome
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)

# As many as are deleted in one request.
BATCH_SIZE = DELETIONS
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
    before, after = _acknowledged_before(config), 0
    while not must_stop():
        ids = locations.unarchived(jurisdiction_ids, before, after, BATCH_SIZE)
        if not ids:
            break
        after = ids[-1]
        counts += _archive_files(store, _plan(config, ids, before), must_stop, {})
        progress(counts)
    return counts


def archive_files(
    store: Store,
    config: Config,
    ledger_ids: Sequence[int],
    must_stop: Callable[[], bool] = lambda: False,
    in_memory: Mapping[int, StoredFile] | None = None,
) -> Counter[str]:
    """Archive the files of these rows, until `must_stop` says so. Those that are `in_memory`, by
    ledger id, are written from there instead of being copied. Files that cannot be moved now are
    left, with a warning, to the next call of `archive`."""
    if must_stop():
        return Counter()
    try:
        files = _plan(config, ledger_ids, _acknowledged_before(config))
        return _archive_files(store, files, must_stop, in_memory or {})
    except RealtimeError as exc:
        fields = {"action": LATER, "files": len(ledger_ids), "cause": exc}
        logger.warning("files not archived yet", extra=fields)
        return Counter()


def archive_read(context: RunContext, files: Sequence[InFlightFile]) -> None:
    """Archive files that this run has read and finished, from memory.

    As with `archive_files`, those whose acknowledgement is not known are left, and so are those
    that cannot be archived now. Does nothing where REALTIME_ARCHIVE says `later`.
    """
    if context.config.archive != INLINE:
        return
    in_memory = {}
    for file in files:
        if file.ledger_id is not None and file.stored is not None:
            in_memory[file.ledger_id] = file.stored
    if in_memory:
        with context.timed("archive"):
            archive_files(
                context.store, context.config, list(in_memory), context.must_stop, in_memory
            )


def _acknowledged_before(config: Config) -> datetime:
    """The message of a file that was imported before this is taken to be acknowledged."""
    return ledger_files.database_now() - timedelta(seconds=2 * config.visibility_timeout)


def _plan(config: Config, ledger_ids: Sequence[int], before: datetime) -> list[File]:
    return locations.plan(ledger_ids, before, config.bucket, config.file_archiving_enabled)


def _archive_files(
    store: Store,
    files: Sequence[File],
    must_stop: Callable[[], bool],
    in_memory: Mapping[int, StoredFile],
) -> Counter[str]:
    """Copy files that are planned, delete the originals of those whose copies are proven, and
    record what was moved."""
    stored = [file for file in files if file.bucket == store.bucket and file.version]
    outages: list[RealtimeError] = []
    causes: dict[str, str] = {}

    def copy(file: File) -> str:
        if outages or must_stop():
            return LATER
        try:
            return _copy(store, file, in_memory.get(file.id))
        except (Unavailable, ConfigurationError) as exc:
            outages.append(exc)
        except RealtimeError as exc:
            causes.setdefault(_cause(file, exc), str(exc))
        return LATER

    with Threads(THREADS, "s3-copy") as threads:
        results = dict(zip(stored, threads.map(copy, stored), strict=True))
    originals = {
        file: _original(file) for file, result in results.items() if result not in (GONE, LATER)
    }
    # Not given up when the time is over: the copies would be made once more.
    try:
        deleted = store.delete_all(originals.values())
    except (Unavailable, ConfigurationError) as exc:
        outages.append(exc)
        deleted = set()
    except RealtimeError as exc:
        causes.setdefault(str(exc), str(exc))
        deleted = set()
    results |= {file: LATER for file, original in originals.items() if original not in deleted}
    # Rows without an object: bad messages, files of another bucket, files that were never read.
    archived = {file: "" for file in files if file not in results}
    for file, result in results.items():
        if result != LATER:
            archived[file] = "" if result == GONE else file.archived_key
    locations.archived(archived)
    counts = Counter(results.values())
    if outages:
        raise outages[0]
    if causes and counts[LATER] == len(stored) and not must_stop():
        raise Unavailable(f"no file can be moved: {next(iter(causes.values()))}")
    for cause in causes.values():
        logger.warning("files not archived yet", extra={"action": LATER, "cause": cause})
    return counts


def _cause(file: File, exc: RealtimeError) -> str:
    return str(exc).replace(file.key, "").replace(file.archived_key, "")


def _original(file: File) -> ObjectVersion:
    return ObjectVersion(
        key=file.key,
        etag=file.etag,
        version_id=file.version_id,
        last_modified=file.last_modified,
        size=file.size,
        metadata={},
    )


def _copy(store: Store, file: File, in_memory: StoredFile | None) -> str:
    """Write the file to its `archived_key`, if it is kept; returns what it counts as when its
    original is deleted."""
    if not file.archived_key:
        return DELETED
    if in_memory is not None:
        _put(store, file.archived_key, in_memory)
    else:
        original = _original(file)
        try:
            store.copy(original, file.archived_key)
        except Gone:
            if _holds(store, original, file.key, original.version):
                raise
            # Moved by a concurrent call, or by one killed before it recorded that; or overwritten
            # before it was archived.
            if not _holds(store, original, file.archived_key):
                return GONE
    return FAILED if file.outcome == Outcome.FAILED else ARCHIVED


def _put(store: Store, key: str, file: StoredFile) -> None:
    """Write the file to `key`, unless that was done before. Raises RetryLater when another object
    is there."""
    assert file.body is not None
    try:
        etag = store.put(key, file.body, file.object.metadata, overwrite=False)
    except Exists:
        # By a call that was killed, or at the same time.
        etag = ""
    if etag != file.object.etag and not _is_copy(store.head(key), file):
        raise RetryLater(f"{key} is another object than {file.object.key}")


def _is_copy(found: ObjectVersion, file: StoredFile) -> bool:
    if found.etag == file.object.etag:
        return True
    # S3: an ETag is a digest of the content, except after a multipart upload or encryption with a
    # customer key. Where the original's is none, the size has to do.
    digest = hashlib.md5(file.body or b"", usedforsecurity=False).hexdigest()
    return found.size == file.object.size and file.object.etag != digest


def _holds(store: Store, original: ObjectVersion, key: str, version: str = "") -> bool:
    """Whether `key` holds that version of the original or, without `version`, an object of its
    size."""
    try:
        found = store.head(key, original.version_id if version else "")
    except Gone:
        return False
    return found.version == version if version else found.size == original.size
