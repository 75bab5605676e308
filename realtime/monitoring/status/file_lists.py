"""Lists and counts of files: parked, failed, not yet archived, newest."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models.functions import Left

from realtime.models import File, Outcome

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


def newest(jurisdiction_id: str, limit: int = 50) -> list[File]:
    """A jurisdiction's files by the time of their final outcome, newest first.

    Tracebacks, details and messages are deferred.
    """
    files = File.objects.filter(jurisdiction_id=jurisdiction_id, imported_at__isnull=False)
    return list(files.order_by("-imported_at").defer(*_LARGE)[:limit])


def failed(jurisdiction_id: str, reason: str = "", start: int = 0, limit: int = 50) -> list[File]:
    """A jurisdiction's failed files that are not discarded, newest first, from offset `start` on.

    An empty id means files of no jurisdiction; an empty reason means every reason. Each has the
    beginning of its detail as `told`; tracebacks, details and messages are deferred.
    """
    found = File.objects.filter(
        jurisdiction_id=jurisdiction_id, outcome=Outcome.FAILED, discarded_at=None
    )
    if reason:
        found = found.filter(reason=reason)
    found = found.annotate(told=Left("detail", _TOLD)).order_by("-imported_at", "-id")
    return list(found.defer(*_LARGE)[start : start + limit])
