"""Moves what is done with out of the bucket's root: to `archived/`, or to `failed/`."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from realtime import ledger
from realtime.config import Config
from realtime.errors import RealtimeError
from realtime.models import File, Outcome
from realtime.s3 import THREADS, Gone, ObjectVersion, S3Store
from realtime.scraped import parse_key

logger = logging.getLogger(__name__)

BATCH_SIZE = 200
ARCHIVED, FAILED, DELETED, GONE, LATER = "archived", "failed", "deleted", "gone", "later"


def archive(
    store: S3Store,
    config: Config,
    jurisdiction_ids: Sequence[str] = (),
    must_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Counter[str]], None] = lambda counts: None,
) -> Counter[str]:
    """Move every file that may leave the root; returns how many were archived, failed, deleted,
    gone already, or must be tried later.

    A file may leave once its import is committed and its message acknowledged. The original is
    deleted only after its copy is proven, and only the version that was imported. Killed at any
    point, the next call goes on. `jurisdiction_ids` limits it, empty means all; `must_stop` is
    asked between batches of 200 files.
    """
    counts: Counter[str] = Counter()
    before = ledger.database_now() - timedelta(seconds=2 * config.visibility_timeout)
    after = 0
    while not must_stop():
        files = ledger.unsettled(jurisdiction_ids, before, after, BATCH_SIZE)
        if not files:
            break
        after = files[-1].id
        counts += _settle(store, config, files)
        progress(counts)
    return counts


def settle(store: S3Store, config: Config, row_ids: Sequence[int]) -> Counter[str]:
    """Move the files of these rows of the ledger, as `archive` does."""
    before = ledger.database_now() - timedelta(seconds=2 * config.visibility_timeout)
    return _settle(store, config, ledger.unsettled_of(row_ids, before))


def _settle(store: S3Store, config: Config, files: Sequence[File]) -> Counter[str]:
    ours = [file for file in files if file.bucket == store.bucket and file.version]
    targets = _targets(config, ours)

    def move(file: File) -> tuple[File, str]:
        try:
            return file, _move(store, file, targets[file.id])
        except RealtimeError as exc:
            logger.warning("%s stays for now: %s", file.key, exc, extra={"action": LATER})
            return file, LATER

    with ThreadPoolExecutor(THREADS, "s3-move") as threads:
        moved = list(threads.map(move, ours))
    # What was never read has nothing to move: a message without a file, a bucket not ours.
    nowhere = [file for file in files if file not in ours]
    kept = {file.id: targets[file.id] for file, what in moved if what in (ARCHIVED, FAILED)}
    lost = {file.id: "" for file, what in moved if what in (DELETED, GONE)}
    ledger.settled({**kept, **lost, **{file.id: "" for file in nowhere}}, datetime.now(UTC))
    return Counter(what for _, what in moved)


def _targets(config: Config, files: Sequence[File]) -> dict[int, str]:
    """Where each file goes; empty means that it is deleted."""
    finals = ledger.final_runs({file.run_id for file in files if file.run_id})
    taken = ledger.settled_keys({file.bucket for file in files}, {file.key for file in files})
    targets = {}
    for file in files:
        wanted = config.file_archiving_enabled or file.file_archiving
        # Finalizing reads a run's files once more.
        needed = file.run_id is not None and file.run_id not in finals
        target = ""
        if file.outcome == Outcome.FAILED or wanted or needed:
            target = _target(config, file)
            if target in taken:
                # Older scrapers reuse keys, so two versions may meet in one folder.
                target = f"{target.removesuffix('.json')}.{file.id}.json"
            taken.add(target)
        targets[file.id] = target
    return targets


def _target(config: Config, file: File) -> str:
    prefix = config.bucket.prefix
    key = parse_key(file.key.removeprefix(prefix))
    if file.outcome == Outcome.FAILED:
        return f"{prefix}failed/{key.abbr}/{key.file}"
    assert file.imported_at is not None
    return f"{prefix}archived/{file.imported_at.astimezone(UTC):%Y-%m-%d}/{key.abbr}/{key.file}"


def _is_there(store: S3Store, original: ObjectVersion) -> bool:
    try:
        return store.head(original.key, original.version_id).version == original.version
    except Gone:
        return False


def _move(store: S3Store, file: File, target: str) -> str:
    original = ObjectVersion(
        key=file.key,
        etag=file.etag,
        version_id=file.version_id,
        last_modified=file.last_modified,
        size=file.size,
        metadata={},
    )
    if target:
        try:
            store.copy(original, target)
        except Gone:
            # Moved by a call that was killed before it could say so, or overwritten.
            if _is_there(store, original):
                raise
            return GONE
    store.delete(original)
    if not target:
        return DELETED
    return FAILED if file.outcome == Outcome.FAILED else ARCHIVED
