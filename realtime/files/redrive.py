"""Retries failed files: copies them back and sends their messages again.

A retried file keeps its place in the scrape order.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from urllib.parse import quote

from realtime.backends.sqs import BATCH
from realtime.domain.config import Config
from realtime.domain.errors import (
    ConfigurationError,
    PoisonMessage,
    RealtimeError,
    RetryLater,
    Unavailable,
)
from realtime.domain.interfaces import THREADS, Gone, ObjectVersion, Sends, Store
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.domain.messages import FileMessage
from realtime.domain.scraped_object import (
    RUN_ID_METADATA,
    SCRAPED_AT_METADATA,
    STORED_AT_METADATA,
    parse_time,
    time_of,
)
from realtime.files import archive
from realtime.files.fetch import locate
from realtime.ledger import failures
from realtime.models import File, Outcome
from realtime.process.threads import Threads

RETRIED, LATER, GONE, REFUSED = "retried", "later", "gone", "refused"
# Of a file: what became of it, and why if it was not retried.
Note = Callable[[File, str, str], None]
_OVERWRITTEN = "it was overwritten by a newer upload, try again later"


def retry(
    store: Store,
    queue: Sends,
    config: Config,
    jurisdictions: Mapping[str, str],
    keys: Collection[str],
    tell: Callable[[str], None],
    counts: Counter[str] | None = None,
    progress: Callable[[Counter[str]], None] = lambda counts: None,
) -> Counter[str]:
    """Copy failed files back to their keys and send a message for each.

    Returns how many were retried, must be retried later, are gone, or were refused because their
    message itself is bad. `tell` gets a sentence about each file that was not retried.
    `jurisdictions` (abbreviations to ids) and `keys` limit the files; empty means all. `progress`
    is told the counts so far, after each file.

    The steps of a file: copy it to its key, delete the copy in `failed/`, park it in the ledger,
    send its message. If the process is killed, the next call continues. The copy's metadata carries
    the file's place in the scrape order. Raises Unavailable when AWS cannot be reached at all;
    `counts` then holds what was done until then.
    """
    # Keys of Congress may begin with either abbreviation.
    abbreviations = {"us", "usa"} if {"us", "usa"} & set(jurisdictions) else set()
    folders = [f"{config.bucket.prefix}{abbr}/" for abbr in abbreviations | set(jurisdictions)]
    batches = failures.retryable(set(jurisdictions.values()), folders, keys)
    counts = Counter() if counts is None else counts

    def note(row: File, what: str, why: str) -> None:
        counts[what] += 1
        if why:
            tell(f"{row.key}: {why}")
        progress(counts)

    for batch in batches:
        before = counts.total()
        try:
            retry_files(store, queue, config, batch, note)
        except RealtimeError:
            # Copied back and parked or not: the next call goes on with them.
            counts[LATER] += len(batch) - (counts.total() - before)
            raise
    return counts


def retry_files(
    store: Store, queue: Sends, config: Config, rows: Sequence[File], note: Note
) -> None:
    """Like `retry`, for these files, at most some hundred.

    `note` gets each file with what became of it (RETRIED, LATER, GONE or REFUSED), and why if it
    was not retried. Of files that are no longer failed or under retry it gets nothing.
    """
    messages = {}
    for row in rows:
        try:
            messages[row.id] = _message(config, row)
        except PoisonMessage as exc:
            note(row, REFUSED, f"the message is what is wrong, publish the file anew: {exc}")
    # So that every file is retried from failed/.
    archive.archive_files(store, config, list(messages))
    rows = failures.again(messages)
    versions = {}
    with Threads(THREADS, "s3-put-back") as threads:
        for row, found in zip(rows, threads.map(lambda row: _try(store, row), rows), strict=True):
            if isinstance(found, ObjectVersion):
                versions[row.id] = found
            else:
                note(row, GONE if isinstance(found, Gone) else LATER, str(found))
    to_send = failures.requeue(versions)
    by_id = {row.id: row for row in rows}
    for id in versions.keys() - set(to_send):
        note(by_id[id], RETRIED, "")
    remaining = iter(to_send)
    while ids := list(islice(remaining, BATCH)):
        refused = queue.send([messages[id] for id in ids])
        for index, id in enumerate(ids):
            if index in refused:
                note(by_id[id], LATER, "the queue refused the message")
            else:
                note(by_id[id], RETRIED, "")


def _message(config: Config, row: File) -> str:
    """The message to send for a file. Raises PoisonMessage when no message could import it."""
    if row.key.startswith("message:") and not row.bucket:
        raise PoisonMessage("bad-message", "it named no file")
    if not row.bucket:
        raise PoisonMessage("gone", "it is in a source, with no message: import that again")
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
    """Copy a file back to its key, with its place in the scrape order as metadata.

    Raises Gone when no copy is left, RetryLater when the file cannot be copied back now.
    """
    current = _head(store, row.key)
    if row.outcome == Outcome.DEFERRED:
        # Copied back by a call that was killed before it sent the message.
        return current or _gone(row)
    if row.archived_at is None:
        raise RetryLater("its message may still be in the queue, try again later")
    archived = _head(store, row.archived_key) if row.archived_key else None
    if archived is None:
        never_read = not row.version
        if current is None or not (never_read or current.metadata == _stamped(row, current)):
            return _gone(row)
        source, metadata = current, _stamped(row, current)
    else:
        source, metadata = archived, _stamped(row, archived)
        if current and (current.metadata, current.size) != (metadata, archived.size):
            raise RetryLater("a newer upload is at its key, try again once that is archived")
    if current is None or current.metadata != metadata:
        try:
            store.copy(source, row.key, metadata, overwrite=source is current)
        except Gone as exc:
            if _head(store, source.key) is None:
                raise
            raise RetryLater(_OVERWRITTEN) from exc
        current = store.head(row.key)
        if current.metadata != metadata:
            raise RetryLater(_OVERWRITTEN)
    if source.key != row.key or (source.version_id and source.version != current.version):
        store.delete(source)
    return current


def _head(store: Store, key: str) -> ObjectVersion | None:
    try:
        return store.head(key)
    except Gone:
        return None


def _gone(row: File) -> ObjectVersion:
    raise Gone(f"neither {row.key} nor {row.archived_key or 'a copy of it'} is in the bucket")


def _stamped(row: File, source: ObjectVersion) -> dict[str, str]:
    # Its first place in the scrape order: the new message's time would be later.
    first_stamp = time_of(row.order_stamp) if row.order_stamp else row.queued_at
    stamp = parse_time(source.metadata.get(SCRAPED_AT_METADATA), first_stamp)
    stored = row.last_modified or source.last_modified
    metadata = {
        **({STORED_AT_METADATA: stored.isoformat()} if stored else {}),
        **source.metadata,
        SCRAPED_AT_METADATA: stamp.isoformat(timespec="microseconds"),
    }
    return {**metadata, RUN_ID_METADATA: str(row.run_id)} if row.run_id else metadata
