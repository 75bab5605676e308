"""Failed files in the ledger: which can be retried, and how a retry or discard is recorded."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q, QuerySet

from realtime.domain.interfaces import ObjectVersion
from realtime.domain.text import sanitized
from realtime.ledger import files as ledger_files
from realtime.models import File, Outcome, ScrapeRun

BATCH_SIZE = 100

_RETRYABLE = Q(outcome=Outcome.FAILED, discarded_at=None) | ledger_files.UNDER_RETRY


def retryable(
    jurisdiction_ids: Collection[str], folders: Collection[str], keys: Collection[str]
) -> Iterator[list[File]]:
    """Batches of files, by id, that failed and were not discarded or that are under retry.

    `jurisdiction_ids` limits them; files without a jurisdiction are matched by `folders`
    (`prefix/abbr/`). `keys` limits them to full keys, archived keys or file names. Empty means no
    limit.
    """
    files = File.objects.filter(_RETRYABLE)
    if jurisdiction_ids or folders:
        in_folders = [Q(key__startswith=folder, jurisdiction_id="") for folder in folders]
        files = files.filter(reduce(or_, in_folders, Q(jurisdiction_id__in=jurisdiction_ids)))
    if keys:
        by_name = [Q(key__endswith=f"/{key}") for key in keys if "/" not in key]
        files = files.filter(reduce(or_, by_name, Q(key__in=keys) | Q(archived_key__in=keys)))
    return _batches(files)


def alike(jurisdiction_id: str, reason: str) -> Iterator[list[File]]:
    """Like `retryable`, for the files of one jurisdiction that failed for one reason."""
    return _batches(File.objects.filter(_RETRYABLE, jurisdiction_id=jurisdiction_id, reason=reason))


def _batches(files: "QuerySet[File]") -> Iterator[list[File]]:
    after = 0
    while batch := list(files.filter(id__gt=after).order_by("id")[:BATCH_SIZE]):
        after = batch[-1].id
        yield batch


def again(ids: Collection[int]) -> list[File]:
    """The current rows of those of these files that are still retryable, by id."""
    return list(File.objects.filter(_RETRYABLE, id__in=ids).order_by("id"))


def requeue(versions: Mapping[int, ObjectVersion]) -> Sequence[int]:
    """Park these files, which have been copied back to their keys as these versions.

    The rows keep their place in the scrape order. If a run of theirs is being finalized, that
    starts over once they have an outcome. Returns the ids of files for which a message must be
    sent. Left out are files that another call has finished, and files whose new version has been
    received already.
    """
    now = ledger_files.database_now()
    to_send = []
    with transaction.atomic():
        _restart_finalization(versions)
        rows = File.objects.select_for_update().filter(_RETRYABLE, id__in=versions).order_by("id")
        for row in rows:
            found = versions[row.id]
            if row.outcome == Outcome.DEFERRED:
                to_send.append(row.id)
                continue
            others = File.objects.filter(bucket=row.bucket, key=row.key, version=found.version)
            if others.exclude(id=row.id).exists():
                # S3's own notification of the copy was received first.
                row.outcome = Outcome.SUPERSEDED
                row.imported_at = row.archived_at = now
                row.archived_key = ""
            else:
                row.outcome = Outcome.DEFERRED
                row.version, row.version_id = found.version, found.version_id
                row.etag, row.size = found.etag, found.size
                row.last_modified = found.last_modified
                # The time limit of a parked file starts anew.
                row.received_at = row.retried_at = now
                row.imported_at = row.acknowledged_at = row.archived_at = None
                row.archived_key = ""
                to_send.append(row.id)
            row.save()
    return to_send


def discard(ids: Collection[int], by: str, note: str) -> int:
    """Mark failed files as needing no attention; `by` and `note` say who decided so and why.

    Their outcome stays failed, so a run of theirs still deletes nothing, but they are no longer
    listed or retried. Returns how many were discarded: files under retry and files discarded
    before do not count.
    """
    return File.objects.filter(id__in=ids, outcome=Outcome.FAILED, discarded_at=None).update(
        discarded_at=ledger_files.database_now(),
        discarded_by=sanitized(by),
        discard_note=sanitized(note),
    )


def _restart_finalization(ledger_ids: Collection[int]) -> None:
    # Runs are locked before files everywhere, to avoid deadlocks.
    run_ids = File.objects.filter(id__in=ledger_ids, run_id__isnull=False).values("run_id")
    runs = ScrapeRun.objects.filter(run_id__in=run_ids).select_for_update().order_by("run_id")
    locked = list(runs.values_list("run_id", flat=True))
    ScrapeRun.objects.filter(run_id__in=locked).update(step="", cursor=None)
