"""Where the file of a message is, and what it holds."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from realtime.domain.config import Bucket, Config
from realtime.domain.errors import (
    ConfigurationError,
    PoisonMessage,
    RealtimeError,
    Unavailable,
    WrongClaim,
)
from realtime.domain.in_flight import InFlightFile
from realtime.domain.interfaces import THREADS, ObjectVersion, Store, StoredFile
from realtime.domain.jurisdictions import jurisdiction_of
from realtime.domain.kept import Kept
from realtime.domain.messages import FileMessage
from realtime.domain.results import FetchedFile, FileIdentity
from realtime.domain.scraped_object import (
    ARCHIVING_METADATA,
    RUN_ID_METADATA,
    SCRAPED_AT_METADATA,
    STORED_AT_METADATA,
    Key,
    ScrapedObject,
    is_archived,
    is_run_end,
    parse_key,
    parse_time,
    read,
)
from realtime.files.portion import Room
from realtime.process.threads import Threads


def locate(message: FileMessage, bucket: Bucket) -> Key | None:
    """The parts of the key a message names; None when the file there is archived or failed, or the
    end of a run.

    Raises PoisonMessage (`foreign-bucket`, `bad-key`, `unknown-type`), and WrongClaim
    (`wrong-jurisdiction`) when the key is another jurisdiction's than the message says.
    """
    require_ours(message.bucket, bucket)
    relative = bucket.strip(message.key)
    if relative is None:
        raise PoisonMessage(
            "bad-key", f"{message.key[:200]!r} is not below {bucket.prefix!r}", "file_path"
        )
    if is_archived(relative) or is_run_end(relative):
        return None
    key = parse_key(relative)
    expected = jurisdiction_of(key.abbr)
    if expected and message.jurisdiction_id and message.jurisdiction_id != expected:
        raise _wrong_claim(message.jurisdiction_id, message.key, expected)
    return key


def require_ours(name: str, bucket: Bucket) -> None:
    """Raises PoisonMessage (`foreign-bucket`) when a message names another bucket."""
    # Core once took the whole base, prefix included, for the bucket's name.
    if name not in (bucket.name, f"{bucket.name}/{bucket.prefix}".rstrip("/")):
        raise PoisonMessage("foreign-bucket", f"bucket {name!r} is not ours", "bucket")


def fetch(
    files: Sequence[InFlightFile],
    store: Store,
    config: Config,
    must_stop: Callable[[], bool],
    kept: Kept,
) -> None:
    """Read the files, in parallel, as many as may be held at once (REALTIME_MAX_BATCH_BYTES, what
    is `kept` included). Parked files that are kept are not read from the store again.

    Each gets `fetched`, or the `error` that says why it could not be read; neither when it was not
    tried: it did not fit, there was no time left, or S3 had become unavailable. If none of these
    two, at least one file was tried.
    """
    unavailable = threading.Event()
    room = Room(config.max_batch_bytes - kept.bytes)
    again = {file: kept.take(file.parked.ledger_id) for file in files if file.parked}

    def one(file: InFlightFile) -> None:
        stored = again.get(file)
        if must_stop() or (stored is None and (unavailable.is_set() or room.full)):
            return
        try:
            stored = stored or _get(file, store, config.max_file_bytes, room)
            if stored is not None:
                if stored.body is not None:
                    file.stored = stored
                _fetch(file, stored, config.max_file_bytes)
        except RealtimeError as exc:
            if isinstance(exc, Unavailable | ConfigurationError):
                unavailable.set()
            file.error = exc
            if isinstance(exc, WrongClaim) and file.message:
                file.blame_message()

    if not files:
        return
    with Threads(THREADS, "s3-get") as threads:
        # Raises what a thread did.
        list(threads.map(one, files))


def _get(file: InFlightFile, store: Store, max_bytes: int, room: Room) -> StoredFile | None:
    """The file with its body, unless it exceeds `max_bytes`; None when there is no room for it."""
    key, version_id = file.identity.key, file.identity.version_id
    small = min(room.unknown, max_bytes)
    if not room.change(0, small):
        return None
    stored = store.get(key, small, version_id)
    size = stored.object.size
    if stored.body is None and small < size <= max_bytes:
        # Its size is known only now.
        if not room.change(small, size):
            return None
        return store.get(key, size, version_id)
    room.change(small, min(size, small))
    return stored


def _fetch(file: InFlightFile, stored: StoredFile, max_bytes: int) -> None:
    claimed, metadata = file.delivery.jurisdiction_id, stored.object.metadata
    file.identity = identify(file.identity.bucket, stored.object)
    file.delivery = replace(
        file.delivery,
        # S3's own notifications claim none, and of a file that cannot be read nothing else says.
        jurisdiction_id=claimed or jurisdiction_of(file.abbr),
        file_archiving=file.delivery.file_archiving or metadata.get(ARCHIVING_METADATA) == "true",
        run_id=file.delivery.run_id or _run_id(metadata.get(RUN_ID_METADATA)),
    )
    content = _content(file, stored, max_bytes)
    file.jurisdiction_id = whose(content, claimed, file.abbr)
    file.fetched = FetchedFile(
        identity=file.identity,
        jurisdiction_id=file.jurisdiction_id,
        content=content,
        delivery=file.delivery,
        last_chance=file.last_chance,
    )


def _content(file: InFlightFile, stored: StoredFile, max_bytes: int) -> ScrapedObject:
    found = stored.object
    if stored.body is None:
        raise PoisonMessage(
            "too-large", f"{found.size} bytes are more than REALTIME_MAX_FILE_BYTES ({max_bytes})"
        )
    stamp = parse_time(found.metadata.get(SCRAPED_AT_METADATA), file.delivery.queued_at)
    return read(file.object_type, stored.body, stamp, stored_at=_stored_at(found))


def _stored_at(found: ObjectVersion) -> datetime | None:
    if found.last_modified is None:
        return None
    return min(
        found.last_modified, parse_time(found.metadata.get(STORED_AT_METADATA), found.last_modified)
    )


def whose(content: ScrapedObject, claimed: str, abbr: str) -> str:
    """The jurisdiction of a file below `abbr/` that is `claimed` to be of one, or of none.

    Raises PoisonMessage (`unknown-jurisdiction`, `wrong-jurisdiction`) when nothing says which it
    is, or the file and the abbreviation differ, and WrongClaim when these differ from the claim.
    """
    expected = jurisdiction_of(abbr)
    if expected and content.jurisdiction_id and content.jurisdiction_id != expected:
        raise PoisonMessage(
            "wrong-jurisdiction",
            f"the file is of {content.jurisdiction_id[:200]}, {abbr} is {expected}",
            "jurisdiction",
        )
    jurisdiction_id = content.jurisdiction_id or expected or claimed
    if not jurisdiction_id:
        raise PoisonMessage(
            "unknown-jurisdiction",
            f"nothing says which jurisdiction {abbr!r} is",
            "jurisdiction_id",
        )
    if claimed and claimed != jurisdiction_id:
        raise _wrong_claim(claimed, f"{abbr}/{content.scrape_id}", jurisdiction_id)
    return jurisdiction_id


def _wrong_claim(claimed: str, key: str, owner: str) -> WrongClaim:
    return WrongClaim(
        "wrong-jurisdiction",
        f"jurisdiction_id is {claimed[:200]!r}, {key[:200]!a} is of {owner}",
        "jurisdiction_id",
    )


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


def _run_id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
