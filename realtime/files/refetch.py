"""Reads files again, from wherever the ledger says they are now."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from realtime.backends.s3 import THREADS
from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import Gone, Store, StoredFile
from realtime.domain.results import Delivery, FetchedFile, FileIdentity
from realtime.domain.scraped_object import ScrapeOrder, read, time_of
from realtime.models import APPLIED, File
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)


def read_again(store: Store, max_bytes: int, rows: Sequence[File]) -> list[FetchedFile | None]:
    """The content of these files, each with the place in the scrape order that it was given
    first; None, with a warning, for one that is gone or cannot be read any more.

    One that is being moved meanwhile is found where it went. Raises RetryLater (Unavailable when
    nothing answers) when S3 does not let them be read now.
    """
    read = _read_all(store, max_bytes, rows)
    missing = [row.id for row, file in zip(rows, read, strict=True) if file is None]
    moved = File.objects.in_bulk(missing)
    found = dict(zip(moved, _read_all(store, max_bytes, list(moved.values())), strict=True))
    files = [file or found.get(row.id) for row, file in zip(rows, read, strict=True)]
    for row, file in zip(rows, files, strict=True):
        if file is None:
            logger.warning(
                "file cannot be read again and is taken as it was imported",
                extra={"action": "not-replayed", "key": row.key, "run_id": row.run_id},
            )
    return files


def _read_all(store: Store, max_bytes: int, rows: Sequence[File]) -> list[FetchedFile | None]:

    def one(row: File) -> FetchedFile | None:
        try:
            return _read(store, max_bytes, row)
        except (Gone, PoisonMessage):
            return None

    if not rows:
        return []
    with Threads(THREADS, "s3-get") as threads:
        return list(threads.map(one, rows))


def _read(store: Store, max_bytes: int, row: File) -> FetchedFile:
    stored = _stored(store, max_bytes, row)
    if stored.body is None:
        raise Gone(f"{row.key} has {stored.object.size} bytes: more than REALTIME_MAX_FILE_BYTES")
    content = read(row.object_type, stored.body, time_of(row.order_stamp))
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
        # The order that it was given cannot change, whatever a clock or a copy says now.
        content=replace(
            content,
            order=ScrapeOrder(row.order_ticks, row.scrape_id, row.order_stamp),
            scraped_at=row.scraped_at or content.scraped_at,
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


def _stored(store: Store, max_bytes: int, row: File) -> StoredFile:
    if row.archived_at is None:
        try:
            stored = store.get(row.key, max_bytes, row.version_id)
            if stored.object.version == row.version:
                return stored
        except Gone:
            # A move may have been cut short before it was written down.
            pass
    if not row.archived_key:
        raise Gone(f"s3://{row.bucket}/{row.key} is no longer there")
    return store.get(row.archived_key, max_bytes)
