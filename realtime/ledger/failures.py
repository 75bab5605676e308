"""Failed files in the ledger: which may be tried again, and that they are."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q, QuerySet

from realtime.domain.interfaces import ObjectVersion
from realtime.ledger import files as ledger_files
from realtime.models import File, Outcome, ScrapeRun

BATCH_SIZE = 100

# A file that is being tried again is parked, and keeps the reason of its failure until it has an
# outcome: a call that was killed before it sent the message knows the file again by that.
_RETRYABLE = Q(outcome=Outcome.FAILED, discarded_at=None) | (
    Q(outcome=Outcome.DEFERRED) & ~Q(reason="")
)


def retryable(
    jurisdiction_ids: Collection[str], folders: Collection[str], keys: Collection[str]
) -> Iterator[list[File]]:
    """The failed files but for discarded ones, and those that are being tried again, some at a
    time, by id.

    Of these jurisdictions, by id or for files that say none by folder (`prefix/abbr/`), and of
    these names (full keys, where the files were moved, or file names); empty means all.
    """
    files = File.objects.filter(_RETRYABLE)
    if jurisdiction_ids or folders:
        below = [Q(key__startswith=folder, jurisdiction_id="") for folder in folders]
        files = files.filter(reduce(or_, below, Q(jurisdiction_id__in=jurisdiction_ids)))
    if keys:
        named = [Q(key__endswith=f"/{key}") for key in keys if "/" not in key]
        files = files.filter(reduce(or_, named, Q(key__in=keys) | Q(archived_key__in=keys)))
    return _batches(files)


def alike(jurisdiction_id: str, reason: str) -> Iterator[list[File]]:
    """As `retryable`: those of exactly this jurisdiction that failed for this reason."""
    return _batches(File.objects.filter(_RETRYABLE, jurisdiction_id=jurisdiction_id, reason=reason))


def _batches(files: "QuerySet[File]") -> Iterator[list[File]]:
    after = 0
    while batch := list(files.filter(id__gt=after).order_by("id")[:BATCH_SIZE]):
        after = batch[-1].id
        yield batch


def again(ids: Collection[int]) -> list[File]:
    """Those of these files that are still failed or being tried again, as they are now."""
    return list(File.objects.filter(_RETRYABLE, id__in=ids).order_by("id"))


def requeue(versions: Mapping[int, ObjectVersion]) -> Sequence[int]:
    """These files lie at their keys again, as these versions: they wait to be imported.

    The rows keep all that orders them. A finalization of their run that is under way begins again
    once they have an outcome. Returns the ids of those for which a message must be sent;
    not of one that another call has finished, or whose version was received by itself meanwhile.
    """
    now = ledger_files.database_now()
    waiting = []
    with transaction.atomic():
        _begin_again(versions)
        rows = File.objects.select_for_update().filter(_RETRYABLE, id__in=versions).order_by("id")
        for row in rows:
            found = versions[row.id]
            if row.outcome == Outcome.DEFERRED:
                waiting.append(row.id)
                continue
            others = File.objects.filter(bucket=row.bucket, key=row.key, version=found.version)
            if others.exclude(id=row.id).exists():
                # A notification of S3 was faster than we are.
                row.outcome = Outcome.SUPERSEDED
                row.imported_at = row.archived_at = now
                row.archived_key = ""
            else:
                row.outcome = Outcome.DEFERRED
                row.version, row.version_id = found.version, found.version_id
                row.etag, row.size = found.etag, found.size
                row.last_modified = found.last_modified
                # A file of no run may wait as long as it could the first time.
                row.received_at = row.retried_at = now
                row.imported_at = row.acknowledged_at = row.archived_at = None
                row.archived_key = ""
                waiting.append(row.id)
            row.save()
    return waiting


def discard(ids: Collection[int], by: str, note: str) -> int:
    """These failures need no attention any longer, says `by`, for the reason in `note`.

    They stay failed, so that a run they belong to still deletes nothing, but are neither listed
    nor retried any more. Returns how many were discarded: not one that is being tried again, or
    that was discarded before.
    """
    return File.objects.filter(id__in=ids, outcome=Outcome.FAILED, discarded_at=None).update(
        discarded_at=ledger_files.database_now(),
        discarded_by=ledger_files.sanitized(by),
        discard_note=ledger_files.sanitized(note),
    )


def _begin_again(ledger_ids: Collection[int]) -> None:
    # Before the files, as everyone locks them.
    run_ids = File.objects.filter(id__in=ledger_ids, run_id__isnull=False).values("run_id")
    runs = ScrapeRun.objects.filter(run_id__in=run_ids).select_for_update().order_by("run_id")
    locked = list(runs.values_list("run_id", flat=True))
    ScrapeRun.objects.filter(run_id__in=locked).update(step="", cursor=None)
