"""Where files are stored: which are not archived yet, and where the others were moved.

"Archived" includes files moved to `failed/`, deleted, or found missing.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from realtime.models import Closed, File, ScrapeRun


def _archivable(acknowledged_or_before: datetime) -> "QuerySet[File]":
    return File.objects.filter(
        Q(acknowledged_at__isnull=False) | Q(imported_at__lt=acknowledged_or_before),
        archived_at=None,
        imported_at__isnull=False,
    )


def unarchived(
    jurisdiction_ids: Sequence[str], acknowledged_or_before: datetime, after: int, limit: int
) -> list[File]:
    """Up to `limit` files with a final outcome that are not archived yet, by id.

    Only files whose acknowledgement is recorded, or that were imported before
    `acknowledged_or_before`: a process may be killed between the acknowledgement and its record.
    """
    files = _archivable(acknowledged_or_before).filter(id__gt=after)
    if jurisdiction_ids:
        files = files.filter(jurisdiction_id__in=jurisdiction_ids)
    return list(files.order_by("id")[:limit])


def unarchived_of(ledger_ids: Collection[int], acknowledged_or_before: datetime) -> list[File]:
    """Those of these files that `unarchived` would return."""
    return list(_archivable(acknowledged_or_before).filter(id__in=ledger_ids))


def archived_keys(buckets: Collection[str], keys: Collection[str]) -> set[str]:
    """The archived keys in use for any version of the objects under `keys`."""
    moved = File.objects.filter(bucket__in=buckets, key__in=keys).exclude(archived_key="")
    return set(moved.values_list("archived_key", flat=True))


def still_unarchived(files: Collection[File]) -> list[File]:
    """The current rows of those of these files that are not archived yet, by id."""
    ids = [file.id for file in files]
    return list(File.objects.filter(id__in=ids, archived_at=None).order_by("id"))


def plan(files: Collection[File]) -> None:
    """Save each file's `archived_key`, before the file is moved there."""
    File.objects.bulk_update(files, ["archived_key"])


def archived(files_to_keys: Mapping[File, str], now: datetime) -> None:
    """Record that these files were archived under the given keys (empty: deleted or missing).

    Skips a file whose outcome or version has changed, because a retry may have copied it back. The
    next archiving finds where it is.
    """
    with transaction.atomic():
        rows = (
            File.objects.select_for_update()
            .order_by("id")
            .in_bulk([file.id for file in files_to_keys])
        )
        unchanged = []
        for file, key in files_to_keys.items():
            row = rows.get(file.id)
            if row and (row.version, row.outcome) == (file.version, file.outcome):
                row.archived_at, row.archived_key = now, key
                unchanged.append(row)
        File.objects.bulk_update(unchanged, ["archived_at", "archived_key"])


def final_runs(run_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of these runs that are finalized for good, and need their files no more.

    A run closed for failed files may be finalized again after a retry, so it is not among them.
    """
    final = ScrapeRun.objects.filter(run_id__in=run_ids, finalized_at__isnull=False)
    return set(final.exclude(closed=Closed.FAILED).values_list("run_id", flat=True))


def archive_again(ids: Collection[int]) -> None:
    """Mark files as not archived: they were archived, but their object was found at its key."""
    File.objects.filter(id__in=ids).update(archived_at=None)
