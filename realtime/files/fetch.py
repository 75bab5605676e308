"""From what a message says to a file that can be imported."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from realtime.backends.s3 import THREADS
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, PoisonMessage, RealtimeError, Unavailable
from realtime.domain.interfaces import ObjectVersion, Store, StoredFile
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.domain.messages import FileMessage
from realtime.domain.results import Delivery, FetchedFile, FileIdentity
from realtime.domain.scraped_object import (
    RUN_ID_METADATA,
    SCRAPED_AT_METADATA,
    Key,
    ScrapedObject,
    is_archived,
    parse_key,
    parse_time,
    read,
)
from realtime.process.threads import Threads


@dataclass(frozen=True)
class Wanted:
    """A file that a message, or the ledger, says should be imported.

    `body` is the message's, `queued_at` when the file was first queued; `version_id` asks for
    that version of it.
    """

    message: FileMessage
    body: str
    queued_at: datetime
    version_id: str = ""
    last_chance: bool = False


@dataclass(frozen=True)
class BadFile:
    """A file that was read, or weighed, and can never be imported."""

    identity: FileIdentity
    delivery: Delivery
    problem: PoisonMessage


Fetched = FetchedFile | BadFile | RealtimeError | None


def locate(message: FileMessage, bucket: Bucket) -> Key | None:
    """The parts of the key a message names; None when the file there is archived or failed.

    Raises PoisonMessage (`foreign-bucket`, `bad-key`, `unknown-type`, `wrong-jurisdiction`).
    """
    require_ours(message.bucket, bucket)
    relative = bucket.strip(message.key)
    if relative is None:
        raise PoisonMessage(
            "bad-key", f"{message.key[:200]!r} is not below {bucket.prefix!r}", "file_path"
        )
    if is_archived(relative):
        return None
    key = parse_key(relative)
    expected = jurisdiction_of(key.abbr)
    if expected and message.jurisdiction_id and message.jurisdiction_id != expected:
        raise PoisonMessage(
            "wrong-jurisdiction",
            f"jurisdiction_id is {message.jurisdiction_id[:200]!r}, {key.abbr} is {expected}",
            "jurisdiction_id",
        )
    return key


def require_ours(name: str, bucket: Bucket) -> None:
    """Raises PoisonMessage (`foreign-bucket`) when a message names another bucket."""
    # Core once took the whole base, prefix included, for the bucket's name.
    if name not in (bucket.name, f"{bucket.name}/{bucket.prefix}".rstrip("/")):
        raise PoisonMessage("foreign-bucket", f"bucket {name!r} is not ours", "bucket")


def fetch(
    wanted: Sequence[tuple[Wanted, Key]],
    store: Store,
    max_bytes: int,
    must_stop: Callable[[], bool],
) -> list[Fetched]:
    """Read the files, in parallel: for each the file, the error that says why it could not be
    read (Gone, RetryLater), or None when it was not tried: there was no time left, or S3 had
    become unavailable."""
    unavailable = threading.Event()

    def one(item: tuple[Wanted, Key]) -> Fetched:
        if must_stop() or unavailable.is_set():
            return None
        wanted, key = item
        try:
            stored = store.get(wanted.message.key, max_bytes, wanted.version_id)
        except RealtimeError as exc:
            if isinstance(exc, Unavailable | ConfigurationError):
                unavailable.set()
            return exc
        identity = identify(store.bucket, stored.object)
        delivery = _delivery(wanted, key, stored.object)
        try:
            return _file(wanted, key, stored, identity, delivery, max_bytes)
        except PoisonMessage as exc:
            return BadFile(identity, delivery, exc)

    if not wanted:
        return []
    with Threads(THREADS, "s3-get") as threads:
        return list(threads.map(one, wanted))


def _file(
    wanted: Wanted,
    key: Key,
    stored: StoredFile,
    identity: FileIdentity,
    delivery: Delivery,
    max_bytes: int,
) -> FetchedFile:
    message, found = wanted.message, stored.object
    if stored.body is None:
        raise PoisonMessage(
            "too-large", f"{found.size} bytes are more than REALTIME_MAX_FILE_BYTES ({max_bytes})"
        )
    stamp = parse_time(found.metadata.get(SCRAPED_AT_METADATA), wanted.queued_at)
    content = read(key.object_type, stored.body, stamp)
    jurisdiction_id = whose(content, message.jurisdiction_id, key.abbr)
    return FetchedFile(
        identity=identity,
        jurisdiction_id=jurisdiction_id,
        content=content,
        delivery=delivery,
        last_chance=wanted.last_chance,
    )


def whose(content: ScrapedObject, claimed: str, abbr: str) -> str:
    """The jurisdiction of a file below `abbr/` that is `claimed` to be of one, or of none.

    Raises PoisonMessage (`unknown-jurisdiction`, `wrong-jurisdiction`) when nothing says which it
    is, or the file, the claim and the abbreviation differ.
    """
    jurisdiction_id = claimed or content.jurisdiction_id or jurisdiction_of(abbr)
    if not jurisdiction_id:
        raise PoisonMessage(
            "unknown-jurisdiction",
            f"nothing says which jurisdiction {abbr!r} is",
            "jurisdiction_id",
        )
    expected = jurisdiction_of(abbr)
    if expected and jurisdiction_id != expected:
        raise PoisonMessage(
            "wrong-jurisdiction",
            f"the file is of {jurisdiction_id[:200]}, {abbr} is {expected}",
            "jurisdiction",
        )
    if content.jurisdiction_id and content.jurisdiction_id != jurisdiction_id:
        raise PoisonMessage(
            "wrong-jurisdiction",
            f"the file is of {content.jurisdiction_id[:200]}, not of {jurisdiction_id[:200]}",
            "jurisdiction",
        )
    return jurisdiction_id


def identify(bucket: str, found: ObjectVersion) -> FileIdentity:
    """The file that a version of an object is."""
    return FileIdentity(
        bucket=bucket,
        key=found.key,
        version=found.version,
        etag=found.etag,
        version_id=found.version_id,
        last_modified=found.last_modified,
        size=found.size,
    )


def _delivery(wanted: Wanted, key: Key, found: ObjectVersion) -> Delivery:
    return Delivery(
        queued_at=wanted.queued_at,
        message=wanted.body,
        # S3's own notifications claim none, and of a file that cannot be read nothing else says.
        jurisdiction_id=wanted.message.jurisdiction_id or jurisdiction_of(key.abbr),
        file_archiving=wanted.message.file_archiving_enabled,
        run_id=wanted.message.run_id or _run_id(found.metadata.get(RUN_ID_METADATA)),
    )


def _run_id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
