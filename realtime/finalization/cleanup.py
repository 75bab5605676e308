"""Core's `postimport` of a scrape run: deletes stale rows and links references, page by page."""

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from openstates.data.models import VoteEvent

from realtime.domain.changes import Difference, RowChange
from realtime.domain.flags import Flag
from realtime.domain.scraped_object import ticks_of
from realtime.finalization.deletion import delete_rows
from realtime.importers.batch_transaction import relink, tie_changes
from realtime.importers.linking import link_all_related_bills
from realtime.ledger import changes, flags
from realtime.ledger.files import database_now
from realtime.models import APPLIED, File, Outcome, ScrapeRun

PAGE = 300
_SEEN = [outcome.value for outcome in (*APPLIED, Outcome.SUPERSEDED)]

# No file of the run, and none scraped since its start, belongs to the row.
_UNSEEN = """
    NOT EXISTS (
      SELECT 1 FROM realtime_file AS file
      WHERE file.row_id = core.id AND file.row_id <> '' AND file.outcome = ANY(%(seen)s)
        AND (file.run_id = %(run)s OR file.order_ticks >= %(began)s))
"""
_STALE_VOTE_EVENTS = f"""
    SELECT core.id FROM opencivicdata_voteevent AS core
    WHERE core.bill_id = ANY(%(bills)s) AND {_UNSEEN}
      AND NOT EXISTS (
        SELECT 1 FROM realtime_file AS failed
        WHERE failed.bill_id = core.bill_id AND failed.bill_id <> ''
          AND failed.run_id = %(run)s AND failed.outcome = 'failed')
    ORDER BY core.id
"""
_MISSING_EVENTS = f"core.jurisdiction_id = %(jurisdiction)s AND NOT core.deleted AND {_UNSEEN}"
_MARK_EVENTS = f"""
    UPDATE opencivicdata_event AS core SET deleted = true
    WHERE {_MISSING_EVENTS}
    RETURNING core.id
"""
_EVENTS_MISSING = f"SELECT core.id FROM opencivicdata_event AS core WHERE {_MISSING_EVENTS}"
# Of a chamber, the members in office: who of them was there before the run and is in none of its
# files, if at least half are.
_MISSING_PEOPLE = f"""
    WITH member AS (
      SELECT core.id, core.name, core.current_role->>'org_classification' AS chamber,
        core.created_at < %(started)s AND {_UNSEEN} AS missing,
        EXISTS (
          SELECT 1 FROM realtime_file AS file
          WHERE file.row_id = core.id AND file.row_id <> '' AND file.outcome = ANY(%(seen)s)
            AND file.run_id = %(run)s) AS brought
      FROM opencivicdata_person AS core
      WHERE core.current_jurisdiction_id = %(jurisdiction)s
        AND COALESCE(core.current_role, 'null') <> 'null')
    SELECT id, name, chamber FROM member
    WHERE missing AND chamber IN (
      SELECT chamber FROM member GROUP BY chamber
      HAVING 2 * count(*) FILTER (WHERE brought) >= count(*))
    ORDER BY id
"""


def bills_with_votes(run: ScrapeRun, after: str) -> list[str]:
    """The next bills after id `after`, at most PAGE, that have a vote event in the run."""
    files = _files(run, "vote_event").filter(bill_id__gt=after)
    bills = files.exclude(core_id="").order_by("bill_id").values_list("bill_id", flat=True)
    return list(bills.distinct()[:PAGE])


def delete_stale_vote_events(run: ScrapeRun, bill_ids: Sequence[str]) -> int:
    """Delete the vote events of these bills that the run has not seen; returns how many.

    One that a failed file of the run may have been is not stale: its bill keeps all of them.
    """
    stale = _stale_vote_events(run, bill_ids)
    delete_rows(VoteEvent, stale, run.jurisdiction_id, run.run_id)
    return len(stale)


def _stale_vote_events(run: ScrapeRun, bill_ids: Sequence[str]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_STALE_VOTE_EVENTS, {**_params(run), "bills": list(bill_ids)})
        return [row[0] for row in cursor.fetchall()]


def stale_vote_events(run: ScrapeRun) -> list[str]:
    """The vote events that finalizing the run would delete if it were done now, by core's ids."""
    bills = _files(run, "vote_event").exclude(core_id="").exclude(bill_id="")
    return _stale_vote_events(run, list(bills.values_list("bill_id", flat=True).distinct()))


def missing_events(run: ScrapeRun) -> list[str]:
    """The events that finalizing the run would mark as deleted if it were done now, by core's
    ids."""
    if not _has(run, "event"):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_EVENTS_MISSING, {**_params(run), "jurisdiction": run.jurisdiction_id})
        return [core_id for (core_id,) in cursor.fetchall()]


def link_votes(run: ScrapeRun, bill_ids: Sequence[str], final: bool) -> None:
    """Link the vote events of these bills to the actions that their files name; logs which change.

    With `final`, this run overrides older ones. A run that is closed without all of its files must
    not: the links would change again when a late file arrives.
    """
    retied = relink(bill_ids, finalizing=run.run_id if final else None)
    if retied:
        log = tie_changes(dict.fromkeys(retied, run.run_id))
        changes.log(run.jurisdiction_id, log, database_now())


def mark_missing_events(run: ScrapeRun) -> int:
    """If the run has an event, mark the jurisdiction's events that it has not seen as deleted.

    Returns how many.
    """
    if not _has(run, "event"):
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_MARK_EVENTS, {**_params(run), "jurisdiction": run.jurisdiction_id})
        marked = [row[0] for row in cursor.fetchall()]
    deleted = Difference(("deleted",))
    changes.log(
        run.jurisdiction_id,
        [RowChange("event", "marked", id, deleted, run.run_id) for id in sorted(marked)],
        database_now(),
    )
    return len(marked)


def flag_missing_people(run: ScrapeRun) -> None:
    """Flag the members in office whom a run of people has not brought.

    Chamber by chamber, and only where the run has brought at least half of those who are there
    now: it may be of one chamber, or of one person. Nothing is flagged if a person's file of the
    run failed: it may be theirs.
    """
    if not _has(run, "person") or _files(run, "person").filter(outcome=Outcome.FAILED).exists():
        return
    params = {**_params(run), "jurisdiction": run.jurisdiction_id, "started": run.started_at}
    with connection.cursor() as cursor:
        cursor.execute(_MISSING_PEOPLE, params)
        missing = [
            Flag("person-missing", "person", id, detail={"name": name, "chamber": chamber})
            for id, name, chamber in cursor.fetchall()
        ]
    complete = [flag.of_row("person", flag.core_id) for flag in missing]
    flags.raise_flags(run.jurisdiction_id, complete, database_now())


def resolve_related_bills(run: ScrapeRun) -> None:
    """If the run has a bill, resolve the related bills of all bills of the jurisdiction."""
    if _has(run, "bill"):
        link_all_related_bills(run.jurisdiction_id)


def _has(run: ScrapeRun, object_type: str) -> bool:
    return _files(run, object_type).exclude(core_id="").exists()


def _files(run: ScrapeRun, object_type: str) -> "QuerySet[File]":
    return File.objects.filter(
        run_id=run.run_id, object_type=object_type, jurisdiction_id=run.jurisdiction_id
    )


def _params(run: ScrapeRun) -> dict[str, Any]:
    return {"run": run.run_id, "began": ticks_of(run.started_at), "seen": _SEEN}
