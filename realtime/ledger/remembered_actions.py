"""The bill actions of vote events for which the ledger has no file."""

from collections.abc import Collection

from django.db import connection

_REMEMBER = """
    INSERT INTO realtime_remembered_action AS known
      (vote_event_id, bill_id, action, date, organization_id, remembered_at)
    SELECT vote.id, vote.bill_id, action.description, action.date, action.organization_id, now()
    FROM opencivicdata_legislativesession AS session
    JOIN opencivicdata_bill AS bill ON bill.legislative_session_id = session.id
    JOIN opencivicdata_voteevent AS vote ON vote.bill_id = bill.id
    JOIN opencivicdata_billaction AS action ON action.id = vote.bill_action_id
    WHERE session.jurisdiction_id = %(jurisdiction)s AND session.identifier = ANY(%(sessions)s)
      AND bill.identifier = ANY(%(bills)s)
      AND NOT EXISTS (
        SELECT 1 FROM realtime_file AS file
        WHERE file.row_id = vote.id AND file.row_id <> '' AND file.identity IS NOT NULL)
    ON CONFLICT (vote_event_id) DO UPDATE
      SET bill_id = excluded.bill_id, action = excluded.action, date = excluded.date,
          organization_id = excluded.organization_id, remembered_at = excluded.remembered_at
      WHERE (known.bill_id, known.action, known.date, known.organization_id)
         <> (excluded.bill_id, excluded.action, excluded.date, excluded.organization_id)
"""


def remember_actions(
    jurisdiction_id: str, sessions: Collection[str], bills: Collection[str]
) -> None:
    """Remember the actions of vote events of these bills, given by session and bill identifier.

    Runs in the caller's transaction, before the bills are imported. Vote events for which the
    ledger has a file are left out: the file says what their action is.
    """
    if bills:
        with connection.cursor() as cursor:
            cursor.execute(
                _REMEMBER,
                {
                    "jurisdiction": jurisdiction_id,
                    "sessions": list(sessions),
                    "bills": list(bills),
                },
            )
