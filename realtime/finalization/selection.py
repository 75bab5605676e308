"""Chooses the files of a run that must be imported once more: those that could end otherwise now.

An import is decided by the file, by what its references resolve to, and by which row it is. Of a
file that is in, the ledger knows what its names could mean then, the bills that were meant by its
agenda, and its row. While these are the same, importing it again changes nothing.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from openstates.data.models import Bill, Event, Jurisdiction, LegislativeSession, VoteEvent

from realtime.importers.referents import referents_digest
from realtime.importers.specs.event import sessions_on
from realtime.models import APPLIED, File, Outcome, ScrapeRun

_TABLES = {
    "jurisdiction": Jurisdiction._meta.db_table,
    "bill": Bill._meta.db_table,
    "vote_event": VoteEvent._meta.db_table,
    "event": Event._meta.db_table,
}

# Of files that are in, only the newest of each row is anything to see. It is imported again if
# what its names can mean has changed, its row is gone (or a vote event's is another bill's), or
# another file has the same place in the scrape order. Then those that may fare better now, and vote
# events whose bill was found by its identifier before the file that they name came and turned out
# to be another bill's. And vote events of which an earlier release kept no content: it may have
# taken two for one.
_CHOSEN = """
    WITH file AS MATERIALIZED (
      SELECT id, order_ticks, scrape_id, order_stamp, outcome, reason, row_id, bill_id,
        bill_scrape_id, referents, identity->>'content' IS NULL AS without_content,
        count(*) OVER (PARTITION BY order_ticks, scrape_id, order_stamp) > 1 AS tied
      FROM realtime_file
      WHERE run_id = %(run)s AND object_type = %(type)s AND jurisdiction_id = %(jurisdiction)s
    )
    SELECT id FROM file
    WHERE (order_ticks, scrape_id, order_stamp, id) > (%(ticks)s, %(scrape_id)s, %(stamp)s, %(id)s)
      AND (
        (outcome = 'failed' AND reason IN ('unresolved', 'ambiguous'))
        OR (outcome = ANY(%(applied)s)
          AND (%(all)s OR id = ANY(%(doubtful)s) OR tied
            OR referents IS DISTINCT FROM %(referents)s
            OR NOT EXISTS (SELECT 1 FROM {table} AS core WHERE core.id = file.row_id{same_bill}))
          AND NOT EXISTS (
            SELECT 1 FROM realtime_file AS newer
            WHERE newer.row_id = file.row_id AND newer.row_id <> ''
              AND newer.outcome = ANY(%(applied)s)
              AND (newer.order_ticks, newer.scrape_id, newer.order_stamp, newer.id)
                > (file.order_ticks, file.scrape_id, file.order_stamp, file.id)))
        OR (%(type)s = 'vote_event' AND bill_scrape_id <> ''
          AND outcome = ANY(%(with_row)s) AND EXISTS (
            SELECT 1 FROM realtime_file AS bill
            WHERE bill.jurisdiction_id = %(jurisdiction)s AND bill.object_type = 'bill'
              AND bill.scrape_id = file.bill_scrape_id
              AND bill.row_id <> '' AND bill.row_id <> file.bill_id))
        OR (%(type)s = 'vote_event' AND outcome = ANY(%(with_row)s) AND row_id <> ''
          AND without_content))
    ORDER BY order_ticks, scrape_id, order_stamp, id
"""
_SAME_BILL = " AND COALESCE(core.bill_id, '') = file.bill_id"


@dataclass(frozen=True)
class Place:
    """Where a replay goes on: after this file."""

    ticks: int = -1
    scrape_id: str = ""
    stamp: int = 0
    id: int = 0


def place_of(row: File) -> Place:
    """The place of a file in a replay."""
    return Place(row.order_ticks, row.scrape_id, row.order_stamp, row.id)


def chosen(run: ScrapeRun, object_type: str, after: Place, all_files: bool = False) -> list[int]:
    """The files of the run to import once more, by ledger id, in scrape order; with `all_files`,
    also those that must end as they did.

    A file whose row a later one has been applied to has nothing to add, once its content is known.
    """
    doubtful = _with_another_agenda(run) if object_type == "event" else []
    same_bill = _SAME_BILL if object_type == "vote_event" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            _CHOSEN.format(table=_TABLES[object_type], same_bill=same_bill),
            {
                "run": run.run_id,
                "type": object_type,
                # A message can claim any run; another jurisdiction's files are none of its.
                "jurisdiction": run.jurisdiction_id,
                "all": all_files,
                "doubtful": doubtful,
                "referents": referents_digest(run.jurisdiction_id),
                "applied": [outcome.value for outcome in APPLIED],
                "with_row": [outcome.value for outcome in (*APPLIED, Outcome.SUPERSEDED)],
                **vars(after),
            },
        )
        return [row[0] for row in cursor.fetchall()]


def _with_another_agenda(run: ScrapeRun) -> list[int]:
    """The events of the run whose agendas mean other bills now, or name vote events, of which the
    ledger does not know which are meant."""
    events = File.objects.filter(
        run_id=run.run_id, object_type="event", jurisdiction_id=run.jurisdiction_id
    )
    agendas = [
        (id, identity["date"], identity.get("agenda"))
        for id, identity in events.values_list("id", "identity")
        if identity
    ]
    sessions = list(LegislativeSession.objects.filter(jurisdiction_id=run.jurisdiction_id))
    named = {bill for _, _, agenda in agendas for bill in agenda or ()}
    bills: dict[tuple[Any, str], list[str]] = defaultdict(list)
    if named:
        for id, *called in Bill.objects.filter(
            legislative_session__in=sessions, identifier__in=named
        ).values_list("id", "legislative_session_id", "identifier"):
            bills[called[0], called[1]].append(id)
    return [
        id
        for id, date, agenda in agendas
        if agenda is None or agenda != _meant(agenda, date, sessions, bills)
    ]


def _meant(
    agenda: Mapping[str, Sequence[str]],
    date: str,
    sessions: Sequence[LegislativeSession],
    bills: Mapping[tuple[Any, str], Sequence[str]],
) -> dict[str, list[str]]:
    """Which bills each identifier on an agenda of that day may mean."""
    if not agenda:
        return {}
    on = [session.id for session in sessions_on(date, sessions)]
    return {
        identifier: sorted(id for session in on for id in bills.get((session, identifier), ()))
        for identifier in agenda
    }
