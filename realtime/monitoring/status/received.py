"""What the ledger knows of the queue: when files were received, and how long they had waited."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

# The time spans of files received within this period tell how long messages wait now.
_RECENT = timedelta(minutes=10)

_RECEIVED = """
    SELECT (SELECT received_at FROM realtime_file ORDER BY id DESC LIMIT 1),
           (SELECT max(date_part('epoch', received_at - queued_at)) FROM realtime_file
            WHERE received_at >= %(since)s AND bucket > '' AND retried_at IS NULL)
"""


@dataclass(frozen=True)
class Received:
    """When the newest file was received (None: never), and the longest time in the queue of a file
    received in the last 10 minutes, in seconds (None: there was none)."""

    newest: datetime | None
    waited_seconds: float | None


def received(now: datetime) -> Received:
    """The figures as of `now` (database time). Retried files do not count as waiting."""
    with connection.cursor() as cursor:
        cursor.execute(_RECEIVED, {"since": now - _RECENT})
        newest, waited = cursor.fetchone()
    return Received(newest, None if waited is None else max(waited, 0.0))
