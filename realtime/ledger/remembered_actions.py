"""The bill actions of vote events before their bills are imported again."""

from collections.abc import Collection

from django.db import connection

from realtime.domain.results import NamedAction

_REMEMBER = """
    WITH tied AS (
      SELECT vote.id, vote.bill_id, action.description, action.date, action.organization_id
      FROM opencivicdata_legislativesession AS session
      JOIN opencivicdata_bill AS bill ON bill.legislative_session_id = session.id
      JOIN opencivicdata_voteevent AS vote ON vote.bill_id = bill.id
      JOIN opencivicdata_billaction AS action ON action.id = vote.bill_action_id
      WHERE session.jurisdiction_id = %(jurisdiction)s AND session.identifier = ANY(%(sessions)s)
        AND bill.identifier = ANY(%(bills)s)
    ), remembered AS (
      INSERT INTO realtime_remembered_action AS known
        (vote_event_id, bill_id, action, date, organization_id, remembered_at)
      SELECT id, bill_id, description, date, organization_id, now() FROM tied
      WHERE NOT EXISTS (
        SELECT 1 FROM realtime_file AS file
        WHERE file.row_id = tied.id AND file.row_id <> '' AND file.identity IS NOT NULL)
      ON CONFLICT (vote_event_id) DO UPDATE
        SET bill_id = excluded.bill_id, action = excluded.action, date = excluded.date,
            organization_id = excluded.organization_id, remembered_at = excluded.remembered_at
        WHERE (known.bill_id, known.action, known.date, known.organization_id)
           <> (excluded.bill_id, excluded.action, excluded.date, excluded.organization_id)
    )
    SELECT id, bill_id, description, date, organization_id FROM tied
"""


def remember_actions(
    jurisdiction_id: str, sessions: Collection[str], bills: Collection[str]
) -> list[NamedAction]:
    """The actions to which vote events of these bills, given by session and bill identifier, are
    tied; remembers those of vote events for which the ledger has no file that says it.

    Runs in the caller's transaction, before the bills are imported.
    """
    if not bills:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            _REMEMBER,
            {"jurisdiction": jurisdiction_id, "sessions": list(sessions), "bills": list(bills)},
        )
        return [NamedAction(*row) for row in cursor.fetchall()]
