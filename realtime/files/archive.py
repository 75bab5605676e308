"""Moves files with a final outcome to `archived/` or `failed/`, or deletes them."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from realtime.domain.config import INLINE, Config
from realtime.domain.errors import ConfigurationError, RealtimeError, RetryLater, Unavailable
from realtime.domain.in_flight import InFlightFile
from realtime.domain.interfaces import (
    THREADS,
    Exists,
    Gone,
    ObjectVersion,
    Renames,
    Store,
    StoredFile,
)
from realtime.domain.run_context import RunContext
from realtime.ledger import files as ledger_files
from realtime.ledger import locations
from realtime.models import File, Outcome
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)

# As many as S3 deletes in one request.
BATCH_SIZE = 1000
ARCHIVED, FAILED, DELETED, GONE, LATER = "archived", "failed", "deleted", "gone", "later"


def archive(
    store: Store,
    config: Config,
    jurisdiction_ids: Sequence[str] = (),
    must_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[], object] = lambda: None,
) -> Counter[str]:
    """Archive every file whose import is committed and whose message is acknowledged.

    An import older than twice the visibility timeout counts as acknowledged. Returns how many files
    were archived, moved to failed, deleted, already gone, or left for later.
    `jurisdiction_ids` limits the files; empty means all. `must_stop` is asked before each file is
    moved; the next call goes on. `progress` is called for each file that was looked at.

    Only the version that was imported is deleted, and only after its copy is verified. Files of
    another store are left to a call with that. If the process is killed, the next call continues.
    Raises Unavailable or ConfigurationError when S3 cannot be used at all; files moved until then
    are recorded.
    """
    counts: Counter[str] = Counter()
    before, after = _acknowledged_before(config), 0
    while not must_stop():
        ids = locations.unarchived(jurisdiction_ids, before, after, BATCH_SIZE)
        if not ids:
            break
        after = ids[-1]
        counts += _archive_files(store, _plan(config, ids, before), must_stop, {}, progress)
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
    with _else_later(ledger_ids):
        files = _plan(config, ledger_ids, _acknowledged_before(config))
        return _archive_files(store, files, must_stop, in_memory or {})
    return Counter()


def archive_read(context: RunContext, files: Sequence[InFlightFile]) -> None:
    """Archive files that this run has read and finished, from memory. Their objects are moved
    while the run goes on, if there is room to hold them, and recorded before it archives the next,
    or ends.

    As with `archive_files`, those whose acknowledgement is not known are left, and so are those
    that cannot be archived now. Does nothing where REALTIME_ARCHIVE says `later`.
    """
    if context.config.archive != INLINE:
        return
    in_memory = {}
    for file in files:
        if file.ledger_id is not None and file.stored is not None:
            in_memory[file.ledger_id] = file.stored
    if not in_memory or context.must_stop():
        return
    with context.timed("archive"), _else_later(in_memory):
        context.settled()
        planned = _plan(context.config, list(in_memory), _acknowledged_before(context.config))
        if not planned:
            return
        held = {file.id: in_memory[file.id] for file in planned if file.archived_key}
        size = sum(file.object.size for file in held.values())
        move = partial(_move_files, context.store, planned, context.must_stop, held)

        def settle(moved: _Moved) -> None:
            context.kept.end_archiving(size)
            with _else_later(planned):
                _record(moved, context.must_stop)

        if context.kept.begin_archiving(size):
            context.beside(move, settle)
        else:
            _record(move(), context.must_stop)


@contextmanager
def _else_later(files: Collection[object]) -> Iterator[None]:
    """What keeps these files from being archived is logged: the next call of `archive` goes on."""
    try:
        yield
    except RealtimeError as exc:
        fields = {"action": LATER, "files": len(files), "cause": exc}
        logger.warning("files not archived yet", extra=fields)


def archive_run_ends(store: Store, config: Config, ends: Sequence[StoredFile]) -> None:
    """Move the ends of runs, which are read, to `archived/`; delete them where archiving is off.

    One that is not deleted is read again, without harm. Raises as Store does.
    """
    if config.file_archiving_enabled:
        for end in ends:
            relative = config.bucket.strip(end.object.key)
            key = f"{config.bucket.prefix}archived/{end.object.last_modified:%Y-%m-%d}/{relative}"
            store.copy(end.object, key)
    if ends:
        store.delete_all([end.object for end in ends])


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
    progress: Callable[[], object] = lambda: None,
) -> Counter[str]:
    """Move files that are planned, and record what was moved."""
    return _record(_move_files(store, files, must_stop, in_memory, progress), must_stop)


def _move_files(
    store: Store,
    files: Sequence[File],
    must_stop: Callable[[], bool],
    in_memory: Mapping[int, StoredFile],
    progress: Callable[[], object] = lambda: None,
) -> "_Moved":
    """Copy files that are planned, and delete the originals of those whose copies are proven; a
    store that renames takes one step for both. Asks the database nothing: it may run in a thread
    that has no connection."""
    stored = [file for file in files if file.bucket == store.bucket and file.version]
    outages: list[RealtimeError] = []
    causes: dict[str, str] = {}
    in_one_step = isinstance(store, Renames)
    place = _copying(store, in_memory)
    if isinstance(store, Renames):
        place = _renaming(store, stored, in_memory, place)

    def move(file: File) -> str:
        if outages or must_stop():
            return LATER
        try:
            return _move(store, file, place)
        except (Unavailable, ConfigurationError) as exc:
            outages.append(exc)
        except RealtimeError as exc:
            causes.setdefault(_cause(file, exc), str(exc))
        return LATER

    with Threads(THREADS, "s3-copy") as threads:
        results = {}
        for file, result in zip(stored, threads.map(move, stored), strict=True):
            results[file] = result
            progress()
    left = (DELETED,) if in_one_step else (DELETED, ARCHIVED, FAILED)
    originals = {file: _original(file) for file, result in results.items() if result in left}
    # Not given up when the time is over: the copies would be made once more.
    try:
        deleted = store.delete_all(originals.values()) if originals else set()
    except (Unavailable, ConfigurationError) as exc:
        outages.append(exc)
        deleted = set()
    except RealtimeError as exc:
        causes.setdefault(str(exc), str(exc))
        deleted = set()
    results |= {file: LATER for file, original in originals.items() if original not in deleted}
    # Rows without an object: bad messages, those that name another bucket, files that were never
    # read. What was imported from another store is left to a call with that store.
    return _Moved(results, [file for file in files if not file.version], outages, causes)


@dataclass(frozen=True)
class _Moved:
    """What has become of files, and what kept others from being moved: `outages` all of them,
    `causes` some. `without_object` never had one."""

    results: Mapping[File, str]
    without_object: Sequence[File]
    outages: Sequence[RealtimeError]
    causes: Mapping[str, str]


def _record(moved: _Moved, must_stop: Callable[[], bool]) -> Counter[str]:
    """Record what was moved; returns what `archive` does. Raises the first outage."""
    archived = dict.fromkeys(moved.without_object, "")
    for file, result in moved.results.items():
        if result != LATER:
            archived[file] = "" if result == GONE else file.archived_key
    locations.archived(archived)
    counts = Counter(moved.results.values())
    if moved.outages:
        raise moved.outages[0]
    if moved.causes and counts[LATER] == len(moved.results) and not must_stop():
        raise Unavailable(f"no file can be moved: {next(iter(moved.causes.values()))}")
    for cause in moved.causes.values():
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


def _move(store: Store, file: File, place: Callable[[File], None]) -> str:
    """`place` the file at its `archived_key`, if it is kept; returns what it counts as when its
    original is gone."""
    if not file.archived_key:
        return DELETED
    try:
        place(file)
    except Gone:
        original = _original(file)
        if _holds(store, original, file.key, original.version):
            raise
        # Moved by a concurrent call, or by one killed before it recorded that; or overwritten
        # before it was archived.
        if not _holds(store, original, file.archived_key):
            return GONE
    return FAILED if file.outcome == Outcome.FAILED else ARCHIVED


def _copying(store: Store, in_memory: Mapping[int, StoredFile]) -> Callable[[File], None]:
    """Writes a file to its `archived_key`, from memory or by copying."""

    def copy(file: File) -> None:
        if file.id in in_memory:
            _put(store, file.archived_key, in_memory[file.id])
        else:
            store.copy(_original(file), file.archived_key)

    return copy


def _renaming(
    store: Renames,
    files: Sequence[File],
    in_memory: Mapping[int, StoredFile],
    copy: Callable[[File], None],
) -> Callable[[File], None]:
    """Moves the files that are kept, all at once; the function raises why one was not moved."""
    moves = {_original(file): file.archived_key for file in files if file.archived_key}
    try:
        failed = store.rename_all(moves)
    except RealtimeError as exc:
        failed = dict.fromkeys(moves, exc)

    def check(file: File) -> None:
        error = failed.get(_original(file))
        if isinstance(error, Gone) and file.id in in_memory:
            # Overwritten meanwhile: only here is what was imported.
            copy(file)
        elif error:
            raise error

    return check


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
