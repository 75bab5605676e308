"""The words of bills' titles, kept beside core's table to be searched."""

from collections.abc import Callable, Collection

from django.db import connection

from realtime.backends.postgres.statements import unlimited_statements
from realtime.models import WITHOUT_ACCENTS

# Bills of one statement.
BATCH = 5_000
# Both in the order of their ids, so that two of these statements never wait for each other. A
# tsvector of a text of any length would be refused by PostgreSQL, and the import with it.
_NOTE = f"""
    INSERT INTO realtime_bill_title AS known (core_id, words, updated_at)
    SELECT bill.id,
           to_tsvector('simple', {WITHOUT_ACCENTS % "left(bill.title, 2000)"})
             || array_to_tsvector(ARRAY['@' || session.jurisdiction_id]),
           bill.updated_at
    FROM opencivicdata_bill AS bill
    JOIN opencivicdata_legislativesession AS session ON session.id = bill.legislative_session_id
    {{which}}
    ON CONFLICT (core_id) DO UPDATE SET words = excluded.words, updated_at = excluded.updated_at
"""
_THESE = _NOTE.format(which="WHERE bill.id = ANY(%(bills)s) ORDER BY bill.id")
_NEXT = _NOTE.format(
    which="""
      LEFT JOIN realtime_bill_title AS noted ON noted.core_id = bill.id
      WHERE noted.core_id IS NULL OR noted.updated_at < bill.updated_at
      ORDER BY bill.id LIMIT %(batch)s
    """
)
_GONE = """
    DELETE FROM realtime_bill_title AS known WHERE NOT EXISTS (
      SELECT 1 FROM opencivicdata_bill AS bill WHERE bill.id = known.core_id)
"""


def note(bill_ids: Collection[str]) -> None:
    """Note the titles of these bills as they are now. In the transaction that has changed them."""
    if bill_ids:
        with connection.cursor() as cursor:
            cursor.execute(_THESE, {"bills": list(bill_ids)})


def note_all(must_stop: Callable[[], bool] = lambda: False) -> int:
    """Note the titles of bills that something else has written since they were noted last, and
    forget those of bills that are gone; returns how many were noted.

    5,000 bills a transaction. Killed or stopped, the next call goes on.
    """
    total = 0
    with unlimited_statements(), connection.cursor() as cursor:
        while not must_stop():
            cursor.execute(_NEXT, {"batch": BATCH})
            total += cursor.rowcount
            if cursor.rowcount < BATCH:
                cursor.execute(_GONE)
                break
    return total
