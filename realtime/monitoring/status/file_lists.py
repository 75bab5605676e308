"""Lists and counts of files: parked, failed, not yet archived, or of any outcome."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models.functions import Coalesce, Left

from realtime.models import File, Outcome
from realtime.monitoring.status.paging import Cursor, Page, beyond, page

# Unarchived files are counted up to this number, to bound the query's cost.
AT_MOST = 10_000
# Large columns that no list shows.
_LARGE: tuple[str, ...] = ("traceback", "message", "detail", "identity")
# Characters of a failure's detail that a list shows.
_TOLD = 300

_PARKED = """
    SELECT jurisdiction_id, object_type, CASE WHEN reason = '' THEN detail ELSE '' END,
           count(*), min(received_at), paused_at IS NOT NULL
    FROM realtime_file
    WHERE outcome = 'deferred' AND (%(jurisdiction)s = '' OR jurisdiction_id = %(jurisdiction)s)
    GROUP BY 1, 2, 3, 6 ORDER BY min(received_at), 1, 2, 3
"""
_FAILURES = """
    SELECT jurisdiction_id, reason, count(*), max(imported_at)
    FROM realtime_file
    WHERE outcome = 'failed' AND discarded_at IS NULL
      AND (%(jurisdiction)s = '' OR jurisdiction_id = %(jurisdiction)s)
    GROUP BY 1, 2 ORDER BY count(*) DESC, 1, 2
"""
_UNARCHIVED = """
    SELECT jurisdiction_id, count(*), min(imported_at)
    FROM (
      SELECT jurisdiction_id, imported_at FROM realtime_file
      WHERE settled_at IS NULL AND imported_at IS NOT NULL
      ORDER BY imported_at LIMIT %(limit)s
    ) AS oldest
    WHERE %(jurisdiction)s = '' OR jurisdiction_id = %(jurisdiction)s
    GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Parked:
    """Parked files of one jurisdiction and type that wait for the same bill or session.

    `waiting_for` names it in words. Empty means that the files had failed, were sent again, and
    wait for the next import run. `since` is when the first of them was received. They are `paused`
    while their jurisdiction is, or until an import run finds it resumed.
    """

    jurisdiction_id: str
    object_type: str
    waiting_for: str
    files: int
    since: datetime
    paused: bool = False


@dataclass(frozen=True)
class Failures:
    """Failed files of one jurisdiction and reason, without discarded ones."""

    jurisdiction_id: str
    reason: str
    files: int
    newest: datetime


@dataclass(frozen=True)
class Unarchived:
    """Files of one jurisdiction with a final outcome that `archive_realtime` has yet to move.

    `since` is when the oldest got its outcome. Only the AT_MOST oldest files of all jurisdictions
    together are counted.
    """

    jurisdiction_id: str
    files: int
    since: datetime


def parked(jurisdiction_id: str = "") -> list[Parked]:
    """Parked files by what they wait for, longest wait first; empty id: all jurisdictions."""
    with connection.cursor() as cursor:
        cursor.execute(_PARKED, {"jurisdiction": jurisdiction_id})
        return [Parked(*row) for row in cursor.fetchall()]


def failures(jurisdiction_id: str = "") -> list[Failures]:
    """Failed files by jurisdiction and reason, most files first; empty id: all jurisdictions."""
    with connection.cursor() as cursor:
        cursor.execute(_FAILURES, {"jurisdiction": jurisdiction_id})
        return [Failures(*row) for row in cursor.fetchall()]


def unarchived(jurisdiction_id: str = "") -> list[Unarchived]:
    """Files not yet archived, by jurisdiction; empty id: all jurisdictions."""
    with connection.cursor() as cursor:
        cursor.execute(_UNARCHIVED, {"jurisdiction": jurisdiction_id, "limit": AT_MOST})
        return [Unarchived(*row) for row in cursor.fetchall()]


UNARCHIVED = "unarchived"
_MOMENT = Coalesce("imported_at", "received_at")


@dataclass(frozen=True)
class Which:
    """Which files of a jurisdiction to list; the empty id stands for files without one.

    Empty values do not limit. `outcome` is an Outcome, or UNARCHIVED: a final outcome, and not yet
    moved. `run_id` is a scrape run. Discarded failures are left out of the failed files, but for
    those of a run.
    """

    jurisdiction_id: str
    outcome: str = ""
    object_type: str = ""
    reason: str = ""
    run_id: UUID | None = None


def listed(which: Which, at: Cursor | None = None, limit: int = 50) -> Page[File]:
    """A page of files, by when they got their outcome; parked ones, by when they were received.

    Newest first. Each has the beginning of its detail as `told`; tracebacks, details and messages
    are deferred.
    """
    files = File.objects.filter(jurisdiction_id=which.jurisdiction_id)
    time_field = "imported_at"
    if which.outcome == UNARCHIVED:
        files = files.filter(archived_at=None, imported_at__isnull=False)
    elif which.outcome:
        files = files.filter(outcome=which.outcome)
    if which.run_id:
        # Sorted by what no index has, so that those of the run are read, and no others: a list of
        # all by their time may begin long after it.
        files = files.filter(run_id=which.run_id).annotate(moment=_MOMENT)
        time_field = "moment"
    elif which.outcome == Outcome.DEFERRED:
        time_field = "received_at"
    else:
        files = files.filter(imported_at__isnull=False)
    if which.outcome == Outcome.FAILED and not which.run_id:
        files = files.filter(discarded_at=None)
    if which.object_type:
        files = files.filter(object_type=which.object_type)
    if which.reason:
        files = files.filter(reason=which.reason)
    files = files.annotate(told=Left("detail", _TOLD)).defer(*_LARGE)
    return page(files, time_field, at, limit)


def beside(file: File) -> tuple[int | None, int | None]:
    """The ids of the failed files of the same jurisdiction and reason that failed next after this
    one, and next before it, without discarded ones; None: there is none."""
    if file.imported_at is None:
        return None, None
    alike = File.objects.filter(
        jurisdiction_id=file.jurisdiction_id,
        reason=file.reason,
        outcome=Outcome.FAILED,
        discarded_at=None,
    )
    newer, older = (
        beyond(alike, "imported_at", "id", Cursor(file.imported_at, file.id, side))
        for side in (True, False)
    )
    newer_id = newer.values_list("id", flat=True).first()
    return newer_id, older.values_list("id", flat=True).first()
