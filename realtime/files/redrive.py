"""Sends failed files again, in the place that they had in the scrape order."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from urllib.parse import quote

from realtime.backends.s3 import THREADS
from realtime.backends.sqs import BATCH
from realtime.domain.config import Config
from realtime.domain.errors import (
    ConfigurationError,
    PoisonMessage,
    RealtimeError,
    RetryLater,
    Unavailable,
)
from realtime.domain.interfaces import Gone, ObjectVersion, Queue, Store
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.domain.messages import FileMessage
from realtime.domain.scraped_object import RUN_ID_METADATA, SCRAPED_AT_METADATA, parse_time, time_of
from realtime.files import archive
from realtime.files.fetch import locate
from realtime.ledger import failures
from realtime.models import File, Outcome
from realtime.process.threads import Threads

RETRIED, LATER, GONE, REFUSED = "retried", "later", "gone", "refused"


def retry(
    store: Store,
    queue: Queue,
    config: Config,
    jurisdictions: Mapping[str, str],
    keys: Collection[str],
    tell: Callable[[str], None],
) -> Counter[str]:
    """Put failed files back to their keys and send a message for each.

    Returns how many were retried, can only be later, are gone, or cannot be retried because it is
    their message that is wrong (refused); `tell` hears a sentence about each but the first.
    `jurisdictions` maps abbreviations to ids and limits it, as `keys` does; empty means all.

    A file is copied to its key before the copy in `failed/` is deleted, is parked in the ledger
    after that, and sent last. Killed at any point, the next call goes on. The copy is stamped with
    the file's place in the scrape order, so that it keeps that however the file is received.
    Raises Unavailable when AWS cannot be reached at all.
    """
    # Congress is one jurisdiction under two abbreviations.
    abbreviations = {"us", "usa"} if {"us", "usa"} & set(jurisdictions) else set()
    folders = [f"{config.bucket.prefix}{abbr}/" for abbr in abbreviations | set(jurisdictions)]
    batches = failures.retryable(set(jurisdictions.values()), folders, keys)
    return retry_files(store, queue, config, batches, tell)


def retry_files(
    store: Store,
    queue: Queue,
    config: Config,
    batches: Iterable[Sequence[File]],
    tell: Callable[[str], None],
) -> Counter[str]:
    """As `retry`, of these failed files."""
    counts: Counter[str] = Counter()
    for batch in batches:
        counts += _retry(store, queue, config, batch, tell)
    return counts


def _retry(
    store: Store,
    queue: Queue,
    config: Config,
    rows: Sequence[File],
    tell: Callable[[str], None],
) -> Counter[str]:
    counts: Counter[str] = Counter()

    def problem(row: File, what: str, why: object) -> None:
        counts[what] += 1
        tell(f"{row.key}: {why}")

    messages = {}
    for row in rows:
        try:
            messages[row.id] = _message(config, row)
        except PoisonMessage as exc:
            problem(row, REFUSED, f"the message is what is wrong, publish the file anew: {exc}")
    # One that has not left the root yet goes the same way as the others.
    archive.archive_files(store, config, list(messages))
    rows = failures.again(messages)
    versions = {}
    with Threads(THREADS, "s3-put-back") as threads:
        for row, found in zip(rows, threads.map(lambda row: _try(store, row), rows), strict=True):
            if isinstance(found, ObjectVersion):
                versions[row.id] = found
            else:
                problem(row, GONE if isinstance(found, Gone) else LATER, found)
    waiting = failures.requeue(versions)
    counts[RETRIED] += len(versions) - len(waiting)
    by_id = {row.id: row for row in rows}
    remaining = iter(waiting)
    while ids := list(islice(remaining, BATCH)):
        refused = queue.send([messages[id] for id in ids])
        counts[RETRIED] += len(ids) - len(refused)
        for index in refused:
            problem(by_id[ids[index]], LATER, "the queue refused the message")
    return counts


def _message(config: Config, row: File) -> str:
    """The message to send. Raises PoisonMessage when none could bring the file."""
    if row.key.startswith("message:") and not row.bucket:
        raise PoisonMessage("bad-message", "it named no file")
    key = locate(FileMessage(row.bucket, row.key, row.jurisdiction_id), config.bucket)
    jurisdiction_id = row.jurisdiction_id or (jurisdiction_of(key.abbr) if key else "")
    if not jurisdiction_id:
        raise PoisonMessage("unknown-jurisdiction", "nothing says which jurisdiction it is of")
    body = {
        "file_path": quote(row.key),
        "bucket": row.bucket,
        "jurisdiction_id": jurisdiction_id,
        "file_archiving_enabled": row.file_archiving,
    }
    return json.dumps({**body, "run_id": str(row.run_id)} if row.run_id else body)


def _try(store: Store, row: File) -> ObjectVersion | RealtimeError:
    try:
        return _put_back(store, row)
    except (ConfigurationError, Unavailable):
        raise
    except RealtimeError as exc:
        return exc


def _put_back(store: Store, row: File) -> ObjectVersion:
    """The file at its key, stamped. Raises Gone, or RetryLater when it must stay aside for now."""
    there = _head(store, row.key)
    if row.outcome == Outcome.DEFERRED:
        # Put back by a call that was killed before it could send the message.
        return there or _gone(row)
    if row.archived_at is None:
        raise RetryLater("its message may still be in the queue, try again later")
    aside = _head(store, row.archived_key) if row.archived_key else None
    if aside is None:
        never_read = not row.version
        if there is None or not (never_read or there.metadata == _stamped(row, there)):
            return _gone(row)
        source, metadata = there, _stamped(row, there)
    else:
        source, metadata = aside, _stamped(row, aside)
        if there and (there.metadata, there.size) != (metadata, aside.size):
            raise RetryLater("a newer upload lies at its key, try again once that has left")
    if there is None or there.metadata != metadata:
        store.copy(source, row.key, metadata, overwrite=source is there)
        there = store.head(row.key)
        if there.metadata != metadata:
            raise RetryLater("it was overwritten by a newer upload, try again later")
    if source.key != row.key or (source.version_id and source.version != there.version):
        store.delete(source)
    return there


def _head(store: Store, key: str) -> ObjectVersion | None:
    try:
        return store.head(key)
    except Gone:
        return None


def _gone(row: File) -> ObjectVersion:
    raise Gone(f"neither {row.key} nor {row.archived_key or 'a copy of it'} is in the bucket")


def _stamped(row: File, source: ObjectVersion) -> dict[str, str]:
    # As it was ordered when it was first read; the queue's time of a new message would be later.
    first = time_of(row.order_stamp) if row.order_stamp else row.queued_at
    stamp = parse_time(source.metadata.get(SCRAPED_AT_METADATA), first)
    metadata = {**source.metadata, SCRAPED_AT_METADATA: stamp.isoformat(timespec="microseconds")}
    return {**metadata, RUN_ID_METADATA: str(row.run_id)} if row.run_id else metadata
