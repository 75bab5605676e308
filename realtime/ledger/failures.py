"""Failed files in the ledger: which can be retried, and how a retry or discard is recorded."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db import transaction
from django.db.models import Q, QuerySet

from realtime.domain.interfaces import ObjectVersion
from realtime.domain.text import sanitized
from realtime.ledger import files as ledger_files
from realtime.models import File, Outcome, ScrapeRun

BATCH_SIZE = 100
_ANY = Q()

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


def is_retryable(text: str) -> bool:
    """Whether `retryable` gives a file for this full key, archived key or file name."""
    return File.objects.filter(_RETRYABLE, _called(text)).exists()


def retryable_beginning(text: str, limit: int) -> list[str]:
    """The keys, in order and at most `limit`, of files that `retryable` may give whose key,
    archived key, file name or scrape `_id` begins so."""
    begins = Q(key__startswith=text) | Q(archived_key__startswith=text)
    if "/" not in text:
        begins |= Q(key__contains=f"/{text}") | Q(scrape_id__startswith=text)
    keys = File.objects.filter(_RETRYABLE, begins).order_by("key").values_list("key", flat=True)
    return list(keys.distinct()[:limit])


def is_known(text: str) -> bool:
    """Whether the ledger has a file, failed or not, with this full key, archived key or name."""
    return File.objects.filter(_called(text)).exists()


def _called(text: str) -> Q:
    by_name = Q(key__endswith=f"/{text}") if "/" not in text else Q(archived_key=text)
    return Q(key=text) | by_name


@dataclass(frozen=True)
class Group:
    """Failed files that are alike (None: those of which that is not known), not discarded; of one
    jurisdiction unless that is None."""

    alike: str | None
    jurisdiction_id: str | None = None

    def files(self) -> "QuerySet[File]":
        """The files that are in the group now."""
        files = File.objects.filter(outcome=Outcome.FAILED, discarded_at=None, alike=self.alike)
        if self.jurisdiction_id is None:
            return files
        return files.filter(jurisdiction_id=self.jurisdiction_id)

    @property
    def alike_now(self) -> Q:
        """The condition for files that failed, last, as those of the group; whatever has become of
        them."""
        alike = Q(alike=self.alike)
        if self.jurisdiction_id is None:
            return alike
        return alike & Q(jurisdiction_id=self.jurisdiction_id)


def _batches(files: "QuerySet[File]") -> Iterator[list[File]]:
    after = 0
    while batch := list(files.filter(id__gt=after).order_by("id")[:BATCH_SIZE]):
        after = batch[-1].id
        yield batch


def again(ids: Collection[int], still: Q = _ANY) -> list[File]:
    """The current rows of those of these files that are still retryable, and `still` so, by id."""
    return list(File.objects.filter(_RETRYABLE, still, id__in=ids).order_by("id"))


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


def forget(keys: Collection[str]) -> None:
    """Members of a source are about to be tried again: what is recorded of their failures, in
    whatever version, no longer holds."""
    File.objects.filter(bucket="", key__in=keys, outcome=Outcome.FAILED).delete()


@transaction.atomic
def discard(
    ids: Collection[int], by: str, note: str, at: datetime | None = None, still: Q = _ANY
) -> list[int]:
    """Mark failed files as needing no attention; `by` and `note` say who decided so and why, `at`
    when (None: now).

    Their outcome stays failed, so a run of theirs still deletes nothing, but they are no longer
    listed or retried. Returns which were discarded: files under retry, files discarded before and
    files that are not `still` so are not.
    """
    at = at or ledger_files.database_now()
    return _mark(ids, Q(discarded_at=None) & still, at, sanitized(by), sanitized(note))


@transaction.atomic
def undiscard(ids: Collection[int], still: Q = _ANY) -> list[int]:
    """Bring discarded files back to the lists; returns which were discarded, `still` so, and still
    there."""
    return _mark(ids, Q(discarded_at__isnull=False) & still, None, "", "")


def _mark(ids: Collection[int], only: Q, at: datetime | None, by: str, note: str) -> list[int]:
    files = File.objects.filter(only, id__in=ids, outcome=Outcome.FAILED)
    found = list(files.select_for_update().order_by("id").values_list("id", flat=True))
    File.objects.filter(id__in=found).update(discarded_at=at, discarded_by=by, discard_note=note)
    return found


def _restart_finalization(ledger_ids: Collection[int]) -> None:
    # Runs are locked before files everywhere, to avoid deadlocks.
    run_ids = File.objects.filter(id__in=ledger_ids, run_id__isnull=False).values("run_id")
    runs = ScrapeRun.objects.filter(run_id__in=run_ids).select_for_update().order_by("run_id")
    locked = list(runs.values_list("run_id", flat=True))
    ScrapeRun.objects.filter(run_id__in=locked).update(step="", cursor=None)
