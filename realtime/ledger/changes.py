"""The change log: what imports and finalizations did to core's rows, in commit order."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db import connection

from realtime.domain.changes import RowChange
from realtime.domain.errors import ConfigurationError

# The bill and session of a row are looked up here, once for all rows.
_INSERT = """
    INSERT INTO realtime_change
      (xid, at, jurisdiction_id, run_id, object_type, change, core_id, bill_identifier, session,
       fields, before, after, file_id)
    SELECT pg_current_xact_id()::text::bigint, %(now)s, %(jurisdiction)s, one.run_id,
           one.object_type, one.verb, one.core_id, coalesce(bill.identifier, ''),
           coalesce(session.identifier, ''), one.fields, one.before, one.after, one.file_id
    FROM jsonb_to_recordset(%(changes)s) AS one
      (n int, run_id uuid, object_type text, verb text, core_id text, fields jsonb, before jsonb,
       after jsonb, file_id bigint)
    LEFT JOIN opencivicdata_voteevent AS vote
      ON one.object_type = 'vote_event' AND vote.id = one.core_id
    LEFT JOIN opencivicdata_bill AS bill
      ON bill.id = CASE one.object_type WHEN 'bill' THEN one.core_id ELSE vote.bill_id END
    LEFT JOIN opencivicdata_legislativesession AS session
      ON session.id = coalesce(bill.legislative_session_id, vote.legislative_session_id)
    ORDER BY one.n
"""
# A transaction that is still open may commit rows that come before those of others: rows are read
# only once no transaction as old as theirs is open.
_READ = """
    SELECT id, xid, at, jurisdiction_id, run_id, object_type, change, core_id, bill_identifier,
           session, fields, before, after, file_id
    FROM realtime_change
    WHERE (xid, id) > (%(xid)s, %(id)s)
      AND xid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
      AND (%(jurisdiction)s = '' OR jurisdiction_id = %(jurisdiction)s)
    ORDER BY xid, id LIMIT %(limit)s
"""
PAGE = 1_000


def log(jurisdiction_id: str, changes: Iterable[RowChange], now: datetime) -> None:
    """Write changes, in order, in one statement.

    Must run in the transaction that makes them, before it deletes a row and after it made one: the
    bill and session of a row are read from core's tables.
    """
    rows = [
        {
            "n": n,
            "run_id": change.run_id and str(change.run_id),
            "object_type": change.object_type,
            "verb": change.verb,
            "core_id": change.core_id,
            "fields": change.difference.fields,
            "before": change.difference.before,
            "after": change.difference.after,
            "file_id": change.file_id,
        }
        for n, change in enumerate(changes)
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(
                _INSERT,
                {"now": now, "jurisdiction": jurisdiction_id, "changes": json.dumps(rows)},
            )


class Cursor(NamedTuple):
    """A place in the log: what has been read so far."""

    xid: int = 0
    id: int = 0

    def __str__(self) -> str:
        return f"{self.xid}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that `str` of a cursor says. Raises ConfigurationError for any other text."""
        xid, _, id = text.partition("-")
        if not (xid.isascii() and xid.isdigit() and id.isascii() and id.isdigit()):
            raise ConfigurationError(f"{text!r} is no cursor: one looks like 7131-42")
        return cls(int(xid), int(id))


@dataclass(frozen=True)
class Logged:
    """One change, as it is read. Times are aware UTC."""

    cursor: Cursor
    at: datetime
    jurisdiction_id: str
    run_id: UUID | None
    object_type: str
    verb: str
    core_id: str
    bill_identifier: str
    session: str
    fields: Sequence[str]
    before: Mapping[str, int]
    after: Mapping[str, int]
    file_id: int | None


def read(after: Cursor, jurisdiction_id: str = "") -> Iterator[Logged]:
    """The changes after a place, in an order that never changes, to the newest that may be read.

    A reader who goes on from the cursor of the last change misses none. Changes of a transaction
    appear once no older transaction that writes is open.
    """
    while True:
        page = _page(after, jurisdiction_id)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].cursor


def _page(after: Cursor, jurisdiction_id: str) -> list[Logged]:
    params: dict[str, Any] = {"jurisdiction": jurisdiction_id, "limit": PAGE, **after._asdict()}
    with connection.cursor() as cursor:
        cursor.execute(_READ, params)
        rows = cursor.fetchall()
    return [_logged(row) for row in rows]


def _logged(row: tuple[Any, ...]) -> Logged:
    id, xid, *plain, fields, before, after, file_id = row
    texts: list[Any] = list(map(json.loads, (fields, before, after)))
    values = [Cursor(xid, id), *plain, *texts, file_id]
    return Logged(*values)
