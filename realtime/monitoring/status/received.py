"""What the ledger alone says about the queue."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

# "Lately": what was received within this time says how long messages wait.
LATELY = timedelta(minutes=10)

_RECEIVED = """
    SELECT (SELECT received_at FROM realtime_file ORDER BY id DESC LIMIT 1),
           (SELECT max(date_part('epoch', received_at - queued_at)) FROM realtime_file
            WHERE received_at >= %(since)s AND bucket > '' AND retried_at IS NULL)
"""


@dataclass(frozen=True)
class Received:
    """When a file was first received last (None: never), and the longest that one of those
    received within LATELY had waited, in seconds (None: none was)."""

    newest: datetime | None
    waited_seconds: float | None


def received(now: datetime) -> Received:
    """As the ledger knows at `now`, the database's time."""
    with connection.cursor() as cursor:
        cursor.execute(_RECEIVED, {"since": now - LATELY})
        newest, waited = cursor.fetchone()
    return Received(newest, None if waited is None else max(waited, 0.0))
