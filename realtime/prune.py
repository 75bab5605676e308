"""Deletes what the ledger need not remember any longer."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from django.db import connection

# Rows of one transaction: small enough that nobody waits for it.
BATCH = 5_000

# What is over: files that have left the root, of runs that are final or closed, or of no run.
_OLD_FILES = """
    DELETE FROM realtime_file WHERE id IN (
      SELECT file.id FROM realtime_file AS file
      LEFT JOIN realtime_run AS run ON run.run_id = file.run_id
      WHERE file.imported_at < %(before)s AND file.settled_at IS NOT NULL
        AND (file.run_id IS NULL OR coalesce(run.finalized_at, run.closed_at) < %(before)s)
      LIMIT %(limit)s)
"""
_OLD_RUNS = """
    DELETE FROM realtime_run AS run
    WHERE coalesce(finalized_at, closed_at) < %(before)s
      AND NOT EXISTS (SELECT 1 FROM realtime_file AS file WHERE file.run_id = run.run_id)
      AND EXISTS (
        SELECT 1 FROM realtime_run AS newer
        WHERE newer.jurisdiction_id = run.jurisdiction_id AND newer.finalized_at IS NOT NULL
          AND newer.started_at > run.started_at)
"""
_OLD_SUSPECTS = "DELETE FROM realtime_suspect WHERE attempted_at < %(before)s"


def prune(before: datetime, must_stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Forget files of runs that were final, and files of no run that were imported, before
    `before` (aware UTC); returns how many rows of each kind.

    Each transaction deletes at most 5,000 rows; killed at any point, the next call goes on. Never
    forgotten: files that are parked or still in the bucket's root, runs that are open, and the
    newest final run of each jurisdiction, which tells stragglers from news.
    """
    counts: Counter[str] = Counter()
    with connection.cursor() as cursor:
        while not must_stop():
            cursor.execute(_OLD_FILES, {"before": before, "limit": BATCH})
            counts["files"] += cursor.rowcount
            if cursor.rowcount < BATCH:
                break
        cursor.execute(_OLD_RUNS, {"before": before})
        counts["runs"] += cursor.rowcount
        cursor.execute(_OLD_SUSPECTS, {"before": before})
        counts["messages"] += cursor.rowcount
    return counts
