"""Reads files again, from their key or archived key in the ledger."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace

from realtime.domain.config import Bucket
from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import THREADS, Gone, Store, StoredFile
from realtime.domain.results import Delivery, FetchedFile, FileIdentity
from realtime.domain.scraped_object import (
    SCRAPED_AT_METADATA,
    ScrapeOrder,
    clock_ahead,
    parse_time,
    read,
    time_of,
)
from realtime.models import APPLIED, File
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)


def read_again(store: Store, max_bytes: int, rows: Sequence[File]) -> list[FetchedFile | None]:
    """Read these files; each keeps its recorded place in the scrape order.

    None, with a warning, stands for a file that is gone, can no longer be parsed, or whose copy is
    not what was imported, by its ETag or size. A file that is archived meanwhile is found under its
    new key. Raises RetryLater (Unavailable when S3 does not answer) when a file cannot be read now.
    """
    first_pass = _read_all(store, max_bytes, rows)
    missing = [row.id for row, file in zip(rows, first_pass, strict=True) if file is None]
    moved = File.objects.in_bulk(missing)
    second_pass = dict(zip(moved, _read_all(store, max_bytes, list(moved.values())), strict=True))
    files = [file or second_pass.get(row.id) for row, file in zip(rows, first_pass, strict=True)]
    for row, file in zip(rows, files, strict=True):
        if file is None:
            logger.warning(
                "file cannot be read again, its import stays as it is",
                extra={"action": "not-replayed", "key": row.key, "run_id": row.run_id},
            )
    return files


def _read_all(store: Store, max_bytes: int, rows: Sequence[File]) -> list[FetchedFile | None]:

    def read_or_none(row: File) -> FetchedFile | None:
        try:
            return _read(store, max_bytes, row)
        except (Gone, PoisonMessage):
            return None

    if not rows:
        return []
    with Threads(THREADS, "s3-get") as threads:
        return list(threads.map(read_or_none, rows))


def _read(store: Store, max_bytes: int, row: File) -> FetchedFile:
    copy = stored(store, max_bytes, row)
    if copy.body is None:
        raise Gone(f"{row.key} has {copy.object.size} bytes: more than REALTIME_MAX_FILE_BYTES")
    metadata = copy.object.metadata
    stamp = parse_time(metadata.get(SCRAPED_AT_METADATA), time_of(row.order_stamp))
    content = read(row.object_type, copy.body, stamp)
    # From the ledger: a copy's metadata may differ, and it is younger.
    order = ScrapeOrder(row.order_ticks, row.scrape_id, row.order_stamp)
    return FetchedFile(
        identity=FileIdentity(
            row.bucket,
            row.key,
            row.version,
            row.etag,
            row.version_id,
            row.last_modified,
            row.size,
        ),
        jurisdiction_id=row.jurisdiction_id,
        content=replace(
            content,
            order=order,
            scraped_at=row.scraped_at or content.scraped_at,
            clock_ahead=clock_ahead(content.order.ticks, order),
        ),
        delivery=Delivery(
            queued_at=row.queued_at,
            message=row.message,
            jurisdiction_id=row.jurisdiction_id,
            file_archiving=row.file_archiving,
            run_id=row.run_id,
        ),
        last_chance=True,
        core_id=row.core_id if row.outcome in APPLIED else "",
    )


def stored(store: Store, max_bytes: int, row: File) -> StoredFile:
    """The very version that a row is about, under its key or archived key.

    Without its body when it exceeds `max_bytes`. Raises Gone when the store has that version no
    more, whatever else it has under its key, and as the store does.
    """
    if not row.bucket and store.bucket:
        raise Gone(f"{row.key} is in no store: only importing it again reads it")
    # The members of a source stay where they are.
    if row.archived_at is None or not row.bucket:
        try:
            found = store.get(row.key, max_bytes, row.version_id)
            if found.object.version == row.version:
                return found
        except Gone:
            # An archiving call may have been killed before it recorded the move.
            pass
    if not row.archived_key:
        raise Gone(f"{Bucket(row.bucket).url_of(row.key)} is no longer there")
    found = store.get(row.archived_key, max_bytes)
    if not _is_copy(found, row):
        logger.warning(
            "copy differs from the file that was imported, it counts as gone",
            extra={"action": "differs", "key": row.key, "archived_key": row.archived_key},
        )
        raise Gone(f"{row.archived_key} is not a copy of {row.key}")
    return found


def _is_copy(stored: StoredFile, row: File) -> bool:
    found = stored.object
    if not row.etag or found.etag == row.etag:
        return True
    if found.size != row.size:
        return False
    # An ETag is a digest of the content, except after a multipart upload and with encryption keys:
    # there the size has to do.
    digest = hashlib.md5(stored.body or b"", usedforsecurity=False).hexdigest()
    return found.etag != digest or "-" in row.etag
