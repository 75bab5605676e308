"""Deletes old rows of the ledger."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from realtime.backends.postgres.statements import unlimited_statements
from realtime.domain.config import Config
from realtime.domain.errors import ConfigurationError
from realtime.ledger import receivers, titles
from realtime.ledger.files import database_now
from realtime.ledger.history import authoritative_runs, naming

logger = logging.getLogger(__name__)

# Rows looked at in one transaction: small enough not to make others wait.
BATCH = 5_000
# Import runs that are kept at most, the newest.
IMPORT_RUNS = 100_000

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
# its actions anew. Only of files that still say which action it has (see history.named_actions),
# and not where the action is there and the vote is not tied to it: a file that named it first keeps
# it from others, and is forgotten, too.
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
        AND (vote.bill_action_id IS NOT NULL OR 1 <> (
          SELECT count(*) FROM opencivicdata_billaction AS action
          WHERE action.bill_id = file.bill_id AND action.description = file.bill_action
            AND action.date = file.identity->>'date'
            AND action.organization_id = file.identity->>'organization_id'))
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
_OLD_ITEMS = """
    DELETE FROM realtime_action_item AS item USING realtime_action AS action
    WHERE action.id = item.action_id AND action.proposed_at < %(before)s
"""
_OLD_OPERATOR_ACTIONS = "DELETE FROM realtime_action WHERE proposed_at < %(before)s"
_OLD_CHANGES = """
    DELETE FROM realtime_change WHERE id IN (
      SELECT id FROM realtime_change WHERE at < %(before)s LIMIT %(batch)s)
"""
_OLD_IMPORT_RUNS = """
    DELETE FROM realtime_import_run WHERE id IN (
      SELECT id FROM realtime_import_run
      WHERE began_at < %(before)s OR id <= %(last)s ORDER BY id LIMIT %(batch)s)
"""
_LAST_IMPORT_RUN = """
    SELECT coalesce(
      (SELECT id FROM realtime_import_run ORDER BY id DESC OFFSET %s LIMIT 1), 0)
"""


@dataclass(frozen=True)
class Pruned:
    """What was deleted: how many of each kind; and of the changes among it, how many each receiver
    was never told of, by its name."""

    counts: Mapping[str, int]
    not_told: Mapping[str, int]


def prune_all(
    config: Config, days: int | None = None, must_stop: Callable[[], bool] = lambda: False
) -> Pruned:
    """Delete what the ledger has kept for longer than the settings say (`days` in place of
    REALTIME_LEDGER_DAYS), and note the titles of bills that something else than imports wrote.

    Changes that a receiver was never told of are counted, and logged. Killed or stopped, the next
    call goes on. Raises ConfigurationError for more days than a calendar has.
    """
    now = database_now()
    before = _ago(now, days or config.ledger_days)
    runs_before = _ago(now, config.import_runs_days)
    changes_before = _ago(now, config.changes_days)
    counts = prune(before, must_stop)
    counts["import_runs"] = prune_import_runs(runs_before, must_stop)
    missed = receivers.not_told(changes_before)
    counts["changes"] = prune_changes(changes_before, must_stop)
    # Time may have been up: these are still there to be told.
    left = receivers.not_told(changes_before) if missed else {}
    not_told = {name: events - left.get(name, 0) for name, events in missed.items()}
    not_told = {name: events for name, events in not_told.items() if events > 0}
    for name, events in not_told.items():
        about = {"action": "pruned", "receiver": name, "events": events}
        logger.warning("changes pruned that a receiver was not told of", extra=about)
    titles.note_all(must_stop)
    return Pruned(counts, not_told)


def prune(before: datetime, must_stop: Callable[[], bool] = lambda: False) -> Counter[str]:
    """Delete the rows of old files, runs and suspect messages; returns how many of each kind.

    Deletes files that were imported before `before` (aware UTC), if their run, when they have one,
    was finalized or closed before then too. Keeps files that are parked or not archived, open runs,
    and the newest finalized run of each jurisdiction and the newest one that was not closed, with
    their files, which decide whether a late file is stale. Failed files are deleted too, and can
    then not be retried. The action that a vote event's forgotten file named is remembered, until
    the vote event has another file, or is deleted. Flags go that were resolved before then, and
    pauses that ended; open ones stay. Operators' actions go that were begun before then.

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
        with transaction.atomic():
            cursor.execute(_OLD_ITEMS, {"before": before})
            cursor.execute(_OLD_OPERATOR_ACTIONS, {"before": before})
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


def prune_import_runs(before: datetime, must_stop: Callable[[], bool] = lambda: False) -> int:
    """Delete the import runs that began before `before` (aware UTC), and all but the newest
    IMPORT_RUNS, 5,000 rows at a time; returns how many."""
    total = 0
    with unlimited_statements(), connection.cursor() as cursor:
        cursor.execute(_LAST_IMPORT_RUN, [IMPORT_RUNS])
        (last,) = cursor.fetchone()
        while not must_stop():
            cursor.execute(_OLD_IMPORT_RUNS, {"before": before, "last": last, "batch": BATCH})
            total += cursor.rowcount
            if cursor.rowcount < BATCH:
                break
    return total


def _ago(now: datetime, days: int) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError as exc:
        raise ConfigurationError(f"nothing is {days} days old: keep fewer days") from exc


@transaction.atomic
def _forget_files(which: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_THEIR_BILLS, which)
        authoritative = authoritative_runs([bill for (bill,) in cursor.fetchall()])
        cursor.execute(_OLD_FILES, {**which, **naming(authoritative)})
        return int(cursor.fetchone()[0])
