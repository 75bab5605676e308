"""Where files are: which must still leave the bucket's root, and where the others went."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from realtime.models import Closed, File, ScrapeRun


def _may_leave(acknowledged_or_before: datetime) -> "QuerySet[File]":
    return File.objects.filter(
        Q(acknowledged_at__isnull=False) | Q(imported_at__lt=acknowledged_or_before),
        archived_at=None,
        imported_at__isnull=False,
    )


def unarchived(
    jurisdiction_ids: Sequence[str], acknowledged_or_before: datetime, after: int, limit: int
) -> list[File]:
    """Up to `limit` files with a final outcome that still have to leave the root, by id.

    Only those whose message was acknowledged, or that were imported before
    `acknowledged_or_before`: a kill can fall between the acknowledgement and its record.
    """
    files = _may_leave(acknowledged_or_before).filter(id__gt=after)
    if jurisdiction_ids:
        files = files.filter(jurisdiction_id__in=jurisdiction_ids)
    return list(files.order_by("id")[:limit])


def unarchived_of(ledger_ids: Collection[int], acknowledged_or_before: datetime) -> list[File]:
    """Those of these files that may leave the root, as `unarchived` says."""
    return list(_may_leave(acknowledged_or_before).filter(id__in=ledger_ids))


def archived_keys(buckets: Collection[str], keys: Collection[str]) -> set[str]:
    """Where earlier versions of the objects under `keys` have been moved."""
    moved = File.objects.filter(bucket__in=buckets, key__in=keys).exclude(archived_key="")
    return set(moved.values_list("archived_key", flat=True))


def still_unarchived(files: Collection[File]) -> list[File]:
    """Those of these files that nobody has settled meanwhile, as they are now."""
    ids = [file.id for file in files]
    return list(File.objects.filter(id__in=ids, archived_at=None).order_by("id"))


def plan(files: Collection[File]) -> None:
    """Write down where each file is about to be moved: its `archived_key`."""
    File.objects.bulk_update(files, ["archived_key"])


def archived(files_to_keys: Mapping[File, str], now: datetime) -> None:
    """These files have left the root, for the key given (empty: deleted, or found gone).

    Not one whose outcome or version is another by now: it may have been put back, to be tried
    again. The next call finds out where it is.
    """
    with transaction.atomic():
        rows = (
            File.objects.select_for_update()
            .order_by("id")
            .in_bulk([file.id for file in files_to_keys])
        )
        same = []
        for file, key in files_to_keys.items():
            row = rows.get(file.id)
            if row and (row.version, row.outcome) == (file.version, file.outcome):
                row.archived_at, row.archived_key = now, key
                same.append(row)
        File.objects.bulk_update(same, ["archived_at", "archived_key"])


def final_runs(run_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the runs that have been finalized, and will not be again once a file is mended."""
    final = ScrapeRun.objects.filter(run_id__in=run_ids, finalized_at__isnull=False)
    return set(final.exclude(closed=Closed.FAILED).values_list("run_id", flat=True))


def archive_again(ids: Collection[int]) -> None:
    """These files were found in the bucket although they were settled: settle them again."""
    File.objects.filter(id__in=ids).update(archived_at=None)
