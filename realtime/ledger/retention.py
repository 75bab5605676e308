"""Deletes what the ledger need not remember any longer."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

from django.db import connection

# Rows of one transaction: small enough that nobody waits for it.
BATCH = 5_000

# A final run tells stragglers from news, by its files, until a newer one does: one that was closed
# has deleted nothing, and so cannot take the place of one that has.
_OVERTAKEN = """
    EXISTS (
      SELECT 1 FROM realtime_run AS newer
      WHERE newer.jurisdiction_id = run.jurisdiction_id AND newer.finalized_at IS NOT NULL
        AND newer.started_at > run.started_at
        AND (newer.closed_at IS NULL OR run.closed_at IS NOT NULL))
"""
# What is over: files that have left the root, of no run, or of a run that is overtaken.
_OLD_FILES = f"""
    DELETE FROM realtime_file WHERE id IN (
      SELECT file.id FROM realtime_file AS file
      LEFT JOIN realtime_run AS run ON run.run_id = file.run_id
      WHERE file.id > %(after)s AND file.id <= %(after)s + %(batch)s
        AND file.imported_at < %(before)s AND file.settled_at IS NOT NULL
        AND (run.run_id IS NULL OR (
          coalesce(run.finalized_at, run.closed_at) < %(before)s
          AND {_OVERTAKEN})))
"""
_OLD_RUNS = f"""
    DELETE FROM realtime_run AS run
    WHERE coalesce(finalized_at, closed_at) < %(before)s
      AND NOT EXISTS (SELECT 1 FROM realtime_file AS file WHERE file.run_id = run.run_id)
      AND {_OVERTAKEN}
"""
_OLD_SUSPECTS = "DELETE FROM realtime_suspect WHERE attempted_at < %(before)s"


def prune(before: datetime, must_stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Forget files of runs that were final, and files of no run that were imported, before
    `before` (aware UTC); returns how many rows of each kind.

    Each transaction looks at 5,000 rows; killed at any point, the next call goes on. Never
    forgotten: files that are parked or still in the bucket's root, runs that are open, the newest
    final run of each jurisdiction and the newest that was not closed, with their files, which tell
    stragglers from news. Failed files are forgotten too, and can then not be retried any more.
    """
    counts: Counter[str] = Counter()
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(min(id), 0) - 1, coalesce(max(id), 0) FROM realtime_file")
        after, last = cursor.fetchone()
        while after < last and not must_stop():
            cursor.execute(_OLD_FILES, {"before": before, "after": after, "batch": BATCH})
            counts["files"] += cursor.rowcount
            after += BATCH
        cursor.execute(_OLD_RUNS, {"before": before})
        counts["runs"] += cursor.rowcount
        cursor.execute(_OLD_SUSPECTS, {"before": before})
        counts["messages"] += cursor.rowcount
    return counts
