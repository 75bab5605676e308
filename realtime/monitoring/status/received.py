"""What the ledger knows of the queue: when files were received, and how long they had waited."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from realtime.monitoring.status.queue_depth import QueueStatus

# The time spans of files received within this period tell how long messages wait now.
_RECENT = timedelta(minutes=10)

# `pauses.resume` gives the files that it frees its own time, to the microsecond.
_RECEIVED = """
    SELECT (SELECT max(received_at) FROM realtime_file WHERE bucket > '' AND retried_at IS NULL),
           (SELECT max(date_part('epoch', received_at - queued_at)) FROM realtime_file
            WHERE received_at >= %(since)s AND bucket > '' AND retried_at IS NULL
              AND received_at NOT IN
                (SELECT resumed_at FROM realtime_pause WHERE resumed_at >= %(since)s))
"""


@dataclass(frozen=True)
class Received:
    """When the newest file was received, of those that came from the queue or the store's root
    (None: none ever), and the longest time in the queue of a file received in the last 10 minutes,
    in seconds (None: there was none)."""

    newest: datetime | None
    waited_seconds: float | None


def oldest_message(queue: QueueStatus, received: Received) -> tuple[float | None, str]:
    """The age of the oldest message in seconds, and its source.

    `cloudwatch`: the age of the oldest message in the queue. `store`: without a queue, that of
    the oldest file in the store's root. `ledger`: the longest time in the queue of a file received
    in the last 10 minutes. Empty: unknown, or the queue is empty.
    """
    depth = queue.depth
    if depth is not None and not (depth.visible or depth.in_flight or depth.delayed):
        return None, ""
    if queue.oldest_seconds is not None:
        return queue.oldest_seconds, queue.source
    if received.waited_seconds is not None:
        return received.waited_seconds, "ledger"
    return None, ""


def received(now: datetime) -> Received:
    """The figures as of `now` (database time). Retried files do not count as waiting, nor do those
    of which a pause was ended, which counts as their time of receipt."""
    with connection.cursor() as cursor:
        cursor.execute(_RECEIVED, {"since": now - _RECENT})
        newest, waited = cursor.fetchone()
    return Received(newest, None if waited is None else max(waited, 0.0))
