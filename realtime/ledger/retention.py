"""Deletes old rows of the ledger."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from realtime.backends.postgres.statements import unlimited_statements
from realtime.ledger.history import authoritative_runs, naming

# Rows looked at in one transaction: small enough not to make others wait.
BATCH = 5_000

# A finalized run's files decide whether a late file is stale, until a newer finalized run replaces
# it. A closed run has deleted nothing, so it replaces only other closed runs.
_REPLACED = """
    EXISTS (
      SELECT 1 FROM realtime_run AS newer
      WHERE newer.jurisdiction_id = run.jurisdiction_id AND newer.finalized_at IS NOT NULL
        AND newer.started_at > run.started_at
        AND (newer.closed_at IS NULL OR run.closed_at IS NOT NULL))
"""
# Archived files without a run, or of a run that is replaced.
_OLD = f"""
    SELECT file.id FROM realtime_file AS file
    LEFT JOIN realtime_run AS run ON run.run_id = file.run_id
    WHERE file.id > %(after)s AND file.id <= %(after)s + %(batch)s
      AND file.imported_at < %(before)s AND file.settled_at IS NOT NULL
      AND (run.run_id IS NULL OR (
        coalesce(run.finalized_at, run.closed_at) < %(before)s
        AND {_REPLACED}))
"""
_THEIR_BILLS = f"""
    SELECT DISTINCT bill_id FROM realtime_file
    WHERE id IN ({_OLD}) AND bill_id <> '' AND bill_action <> ''
"""
# The action that a vote event's newest file names is remembered: a later import of the bill makes
# its actions anew. Only of files that still say which action it has (see history.named_actions).
_OLD_FILES = f"""
    WITH forgotten AS (DELETE FROM realtime_file WHERE id IN ({_OLD}) RETURNING *),
    named AS (
      SELECT DISTINCT ON (file.row_id) file.*
      FROM forgotten AS file JOIN opencivicdata_voteevent AS vote ON vote.id = file.row_id
      LEFT JOIN unnest(%(authoritative)s::text[], %(runs)s::uuid[], %(began)s::bigint[])
        AS authoritative (bill_id, run_id, began) ON authoritative.bill_id = file.bill_id
      WHERE file.row_id <> '' AND file.bill_id <> '' AND file.bill_action <> ''
        AND file.identity IS NOT NULL AND file.outcome = ANY(%(outcomes)s)
        AND (authoritative.bill_id IS NULL OR file.run_id = authoritative.run_id
             OR file.order_ticks >= authoritative.began)
      ORDER BY file.row_id, file.order_ticks DESC, file.scrape_id DESC, file.order_stamp DESC
    ), remembered AS (
      INSERT INTO realtime_remembered_action AS known
        (vote_event_id, bill_id, action, date, organization_id, order_ticks, scrape_id,
         order_stamp, remembered_at)
      SELECT row_id, bill_id, bill_action, coalesce(identity->>'date', ''),
             coalesce(identity->>'organization_id', ''), order_ticks, scrape_id, order_stamp, now()
      FROM named
      ON CONFLICT (vote_event_id) DO UPDATE
        SET bill_id = excluded.bill_id, action = excluded.action, date = excluded.date,
            organization_id = excluded.organization_id, order_ticks = excluded.order_ticks,
            scrape_id = excluded.scrape_id, order_stamp = excluded.order_stamp,
            remembered_at = excluded.remembered_at
        WHERE (known.order_ticks, known.scrape_id, known.order_stamp)
            < (excluded.order_ticks, excluded.scrape_id, excluded.order_stamp)
    )
    SELECT count(*) FROM forgotten
"""
_OLD_RUNS = f"""
    DELETE FROM realtime_run AS run
    WHERE coalesce(finalized_at, closed_at) < %(before)s
      AND NOT EXISTS (SELECT 1 FROM realtime_file AS file WHERE file.run_id = run.run_id)
      AND {_REPLACED}
"""
# Actions of vote events that have a file by now, which says what their action is, or that are
# deleted. Deleted before the files: without its file, such a row would count again.
_OUTDATED_ACTIONS = """
    DELETE FROM realtime_remembered_action AS known
    WHERE EXISTS (
        SELECT 1 FROM realtime_file AS file
        WHERE file.row_id = known.vote_event_id AND file.row_id <> ''
          AND file.identity IS NOT NULL)
      OR NOT EXISTS (
        SELECT 1 FROM opencivicdata_voteevent AS vote WHERE vote.id = known.vote_event_id)
"""
# Whose run was pruned before its end had decided about them.
_OLD_LISTED = """
    DELETE FROM realtime_listed_person AS listed
    WHERE NOT EXISTS (SELECT 1 FROM realtime_run AS run WHERE run.run_id = listed.run_id)
"""
_OLD_SUSPECTS = "DELETE FROM realtime_suspect WHERE attempted_at < %(before)s"
_OLD_FLAGS = "DELETE FROM realtime_flag WHERE resolved_at < %(before)s"
_OLD_PAUSES = "DELETE FROM realtime_pause WHERE resumed_at < %(before)s"
_OLD_CHANGES = """
    DELETE FROM realtime_change WHERE id IN (
      SELECT id FROM realtime_change WHERE at < %(before)s LIMIT %(batch)s)
"""


def prune(before: datetime, must_stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Delete the rows of old files, runs and suspect messages; returns how many of each kind.

    Deletes files that were imported before `before` (aware UTC), if their run, when they have one,
    was finalized or closed before then too. Keeps files that are parked or not archived, open runs,
    and the newest finalized run of each jurisdiction and the newest one that was not closed, with
    their files, which decide whether a late file is stale. Failed files are deleted too, and can
    then not be retried. The action that a vote event's forgotten file named is remembered, until
    the vote event has another file, or is deleted. Flags go that were resolved before then, and
    pauses that ended; open ones stay.

    Each transaction looks at 5,000 rows, and takes as long as it needs. If the process is killed,
    the next call continues.
    """
    counts: Counter[str] = Counter()
    with unlimited_statements(), connection.cursor() as cursor:
        cursor.execute(_OUTDATED_ACTIONS)
        cursor.execute("SELECT coalesce(min(id), 0) - 1, coalesce(max(id), 0) FROM realtime_file")
        after, last = cursor.fetchone()
        while after < last and not must_stop():
            counts["files"] += _forget_files({"before": before, "after": after, "batch": BATCH})
            after += BATCH
        cursor.execute(_OLD_RUNS, {"before": before})
        counts["runs"] += cursor.rowcount
        cursor.execute(_OLD_LISTED)
        cursor.execute(_OLD_SUSPECTS, {"before": before})
        counts["messages"] += cursor.rowcount
        cursor.execute(_OLD_FLAGS, {"before": before})
        counts["flags"] += cursor.rowcount
        cursor.execute(_OLD_PAUSES, {"before": before})
    return counts


def prune_changes(before: datetime, must_stop: Callable[[], bool] = lambda: False) -> int:
    """Delete from the change log what is older than `before` (aware UTC), 5,000 rows at a time;
    returns how many."""
    total = 0
    with unlimited_statements(), connection.cursor() as cursor:
        while not must_stop():
            cursor.execute(_OLD_CHANGES, {"before": before, "batch": BATCH})
            total += cursor.rowcount
            if cursor.rowcount < BATCH:
                break
    return total


@transaction.atomic
def _forget_files(which: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_THEIR_BILLS, which)
        authoritative = authoritative_runs([bill for (bill,) in cursor.fetchall()])
        cursor.execute(_OLD_FILES, {**which, **naming(authoritative)})
        return int(cursor.fetchone()[0])
