"""Files that want attention: parked, failed, not yet archived; and the newest ones."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from realtime.models import File, Outcome

# What is counted is counted up to here; more says no more.
AT_MOST = 10_000
# Columns that may hold a lot and that no list shows.
_BULKY: tuple[str, ...] = ("traceback", "message")

_PARKED = """
    SELECT jurisdiction_id, object_type, CASE WHEN reason = '' THEN detail ELSE '' END,
           count(*), min(received_at)
    FROM realtime_file
    WHERE outcome = 'deferred' AND (%(jurisdiction)s = '' OR jurisdiction_id = %(jurisdiction)s)
    GROUP BY 1, 2, 3 ORDER BY min(received_at), 1, 2, 3
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
    """Parked files that wait for the same: `waiting_for` says in words what; empty, they were
    failed, have been sent again, and wait for their messages. `since` is when the first came."""

    jurisdiction_id: str
    object_type: str
    waiting_for: str
    files: int
    since: datetime


@dataclass(frozen=True)
class Failures:
    """Failed files of one jurisdiction and reason that nobody has discarded."""

    jurisdiction_id: str
    reason: str
    files: int
    newest: datetime


@dataclass(frozen=True)
class Unarchived:
    """Files with a final outcome that have not left the bucket's root, and since when the oldest
    has had it; at most the AT_MOST oldest of all jurisdictions are counted."""

    jurisdiction_id: str
    files: int
    since: datetime


def parked(jurisdiction_id: str = "") -> list[Parked]:
    """What parked files wait for, those that have waited longest first; empty id: everywhere."""
    with connection.cursor() as cursor:
        cursor.execute(_PARKED, {"jurisdiction": jurisdiction_id})
        return [Parked(*row) for row in cursor.fetchall()]


def failures(jurisdiction_id: str = "") -> list[Failures]:
    """Failed files by jurisdiction and reason, most first; empty id: everywhere."""
    with connection.cursor() as cursor:
        cursor.execute(_FAILURES, {"jurisdiction": jurisdiction_id})
        return [Failures(*row) for row in cursor.fetchall()]


def unarchived(jurisdiction_id: str = "") -> list[Unarchived]:
    """Files that archive_realtime has yet to move, by jurisdiction; empty id: everywhere."""
    with connection.cursor() as cursor:
        cursor.execute(_UNARCHIVED, {"jurisdiction": jurisdiction_id, "limit": AT_MOST})
        return [Unarchived(*row) for row in cursor.fetchall()]


def newest(jurisdiction_id: str, limit: int = 50) -> list[File]:
    """The files of a jurisdiction that got their outcome last, newest first, without their
    tracebacks and messages."""
    files = File.objects.filter(jurisdiction_id=jurisdiction_id, imported_at__isnull=False)
    return list(files.order_by("-imported_at").defer(*_BULKY)[:limit])


def failed(jurisdiction_id: str, reason: str = "", start: int = 0, limit: int = 50) -> list[File]:
    """The failed files of exactly this jurisdiction that nobody has discarded, newest first from
    number `start` on, without their tracebacks and messages; empty reason: whatever it is."""
    found = File.objects.filter(
        jurisdiction_id=jurisdiction_id, outcome=Outcome.FAILED, discarded_at=None
    )
    if reason:
        found = found.filter(reason=reason)
    return list(found.order_by("-imported_at", "-id").defer(*_BULKY)[start : start + limit])
