"""Where files are stored: which are not archived yet, and where the others were moved.

"Archived" includes files moved to `failed/`, deleted, or found missing.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from realtime.backends.postgres.locks import lock_archive
from realtime.domain.config import Bucket
from realtime.models import Closed, File, Outcome

# What the archiving of a file needs to know.
_LOCATION = (
    "bucket", "key", "version", "etag", "version_id", "last_modified", "size", "outcome",
    "archived_key",
)  # fmt: skip

# Finalizing a run reads its files again; one closed for failed files may be finalized again after a
# retry. Older scrapers use keys again, so that two versions may have one target.
_PLAN = """
    UPDATE realtime_file AS file SET settled_key = chosen.key
    FROM (
        SELECT id, CASE
            WHEN nth > 1 OR EXISTS (
                SELECT FROM realtime_file AS other WHERE other.bucket = wanted.bucket
                AND other.key = wanted.key AND other.settled_key = wanted.target
            ) THEN regexp_replace(target, '\\.json$', '') || '.' || id || '.json'
            ELSE target END AS key
        FROM (
            SELECT *, row_number() OVER (PARTITION BY key, target ORDER BY id) AS nth
            FROM (
                SELECT id, bucket, key, %(prefix)s || CASE outcome WHEN %(failed)s THEN 'failed/'
                    ELSE to_char(imported_at AT TIME ZONE 'UTC', '"archived/"YYYY-MM-DD"/"') END
                    || CASE WHEN starts_with(key, %(prefix)s)
                    THEN substr(key, length(%(prefix)s) + 1) ELSE key END AS target
                FROM realtime_file
                WHERE id = ANY(%(ids)s) AND settled_at IS NULL AND settled_key = ''
                AND bucket = %(bucket)s AND version <> ''
                AND imported_at IS NOT NULL
                AND (%(all_kept)s OR outcome = %(failed)s OR file_archiving
                     OR run_id IS NOT NULL AND NOT EXISTS (
                        SELECT FROM realtime_run AS run WHERE run.run_id = realtime_file.run_id
                        AND run.finalized_at IS NOT NULL AND run.closed <> %(failed_files)s))
                ORDER BY id FOR UPDATE
            ) AS unplanned
        ) AS wanted
    ) AS chosen
    WHERE file.id = chosen.id
"""

# Rows are locked in one order everywhere, so that two calls cannot block each other.
_ARCHIVED = """
    UPDATE realtime_file AS file SET settled_at = clock_timestamp(), settled_key = moved.target
    FROM (
        SELECT id, target FROM realtime_file JOIN unnest(
            %(ids)s::bigint[], %(versions)s::text[], %(outcomes)s::text[], %(targets)s::text[]
        ) AS moved(id, version, outcome, target) USING (id, version, outcome)
        ORDER BY id FOR UPDATE OF realtime_file
    ) AS moved
    WHERE file.id = moved.id
"""


def _archivable(acknowledged_or_before: datetime) -> "QuerySet[File]":
    return File.objects.filter(
        Q(acknowledged_at__isnull=False) | Q(imported_at__lt=acknowledged_or_before),
        archived_at=None,
        imported_at__isnull=False,
    )


def unarchived(
    jurisdiction_ids: Sequence[str], acknowledged_or_before: datetime, after: int, limit: int
) -> list[int]:
    """The ids of up to `limit` files with a final outcome that are not archived yet, in order.

    Only files whose acknowledgement is recorded, or that were imported before
    `acknowledged_or_before`: a process may be killed between the acknowledgement and its record.
    """
    files = _archivable(acknowledged_or_before).filter(id__gt=after)
    if jurisdiction_ids:
        files = files.filter(jurisdiction_id__in=jurisdiction_ids)
    return list(files.order_by("id").values_list("id", flat=True)[:limit])


def plan(
    ledger_ids: Collection[int], acknowledged_or_before: datetime, bucket: Bucket, all_kept: bool
) -> list[File]:
    """Choose and record the `archived_key` of each file that is kept, before any file is moved.

    So a concurrent call, or the next one after a kill, finds the copies that this call made.
    Returns, by id, those of these files that `unarchived` would return. One with an object and
    without an `archived_key` is not kept: unless `all_kept`, files are only kept that failed, whose
    message asks for it, or whose scrape run may be finalized yet.
    """
    with transaction.atomic():
        lock_archive()
        with connection.cursor() as cursor:
            cursor.execute(
                _PLAN,
                {
                    "ids": list(ledger_ids),
                    "bucket": bucket.name,
                    "prefix": bucket.prefix,
                    "all_kept": all_kept,
                    "failed": Outcome.FAILED.value,
                    "failed_files": Closed.FAILED.value,
                },
            )
        files = _archivable(acknowledged_or_before).filter(id__in=ledger_ids)
        return list(files.only(*_LOCATION).order_by("id"))


def archived(files_to_keys: Mapping[File, str]) -> None:
    """Record that these files were archived under the given keys (empty: deleted or missing).

    Skips a file whose outcome or version has changed, because a retry may have copied it back. The
    next archiving finds where it is.
    """
    if not files_to_keys:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _ARCHIVED,
            {
                "ids": [file.id for file in files_to_keys],
                "versions": [file.version for file in files_to_keys],
                "outcomes": [file.outcome for file in files_to_keys],
                "targets": list(files_to_keys.values()),
            },
        )


def archive_again(ids: Collection[int]) -> None:
    """Mark files as not archived: they were archived, but their object was found at its key."""
    File.objects.filter(id__in=ids).update(archived_at=None)
