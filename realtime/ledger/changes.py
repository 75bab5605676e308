"""The change log: what imports and finalizations did to core's rows, in commit order."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from django.db import connection

from realtime.domain.changes import EVERYTHING, ChangeFilter, RowChange
from realtime.domain.errors import ConfigurationError

# Where readers are told that there is something new. A notice says nothing more.
CHANNEL = "realtime_changes"
# The bill and session of a row are looked up here, once for all rows. The notice is sent when the
# transaction commits, and not at all if it does not.
_INSERT = f"""
    WITH logged AS (
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
    )
    SELECT pg_notify('{CHANNEL}', '')
"""
# A transaction that is still open may commit rows that come before those of others: rows are read
# only once no transaction as old as theirs is open.
_END = """
    SELECT pg_snapshot_xmin(now)::text::bigint, pg_snapshot_xmax(now)::text::bigint
    FROM pg_current_snapshot() AS now
"""
_READ = """
    SELECT change.id, change.xid, change.at, change.jurisdiction_id, change.run_id,
           change.object_type, change.change, change.core_id, change.bill_identifier,
           change.session, file.bucket,
           CASE WHEN file.settled_at IS NULL THEN file.key ELSE file.settled_key END,
           change.fields, change.before, change.after, change.file_id
    FROM realtime_change AS change LEFT JOIN realtime_file AS file ON file.id = change.file_id
    WHERE (change.xid, change.id) > (%(xid)s, %(id)s)
      AND (change.xid, change.id) <= (%(end_xid)s, %(end_id)s)
      AND (%(jurisdictions)s = '{}' OR change.jurisdiction_id = ANY(%(jurisdictions)s))
      AND (%(types)s = '{}' OR change.object_type = ANY(%(types)s)
           OR change.object_type || '.' || change.change = ANY(%(types)s))
      AND (%(bill)s = '' OR change.bill_identifier = %(bill)s)
    ORDER BY change.xid, change.id LIMIT %(limit)s
"""
# What is not to be read yet may have been written after that time as well.
_AT = """
    SELECT least(min(xid), pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
    FROM realtime_change WHERE at >= %(time)s
"""
_IS_KEPT = "SELECT EXISTS (SELECT FROM realtime_change WHERE (xid, id) <= (%(xid)s, %(id)s))"
PAGE = 1_000


def log(jurisdiction_id: str, changes: Iterable[RowChange], now: datetime) -> None:
    """Write changes, in order, in one statement.

    Must run in the transaction that makes them, before it deletes a row and after it made one: the
    bill and session of a row are read from core's tables. That transaction must have locked the
    jurisdiction before it wrote anything: so its number is above those of all that committed
    before it, and the order of the log is the order of the commits.
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
        if not cls.is_one(text):
            raise ConfigurationError(f"{text!r} is no cursor: one looks like 7131-42")
        xid, _, id = text.partition("-")
        return cls(int(xid), int(id))

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether `text` is a cursor."""
        # No more digits than PostgreSQL's numbers have.
        return re.fullmatch(r"\d{1,18}-\d{1,18}", text, re.ASCII) is not None


START = Cursor()


@dataclass(frozen=True)
class Logged:
    """One change, as it is read. Times are aware UTC.

    `file` is the bucket's name and the full key where the file that made the change is now; None
    if no file made it, it is deleted, or the ledger has forgotten it.
    """

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
    file: tuple[str, str] | None
    file_id: int | None


def end(after: Cursor = START) -> Cursor:
    """The place up to which the log is complete: nothing will appear there or before it.

    Raises ConfigurationError when `after` lies beyond all that this database has written.
    """
    with connection.cursor() as cursor:
        cursor.execute(_END)
        complete, newest = cursor.fetchone()
    if after.xid > newest:
        raise ConfigurationError(
            f"{after} is a cursor of another database, or of this one before it was restored:"
            " begin anew, from a time"
        )
    return Cursor(complete, 0)


def has_all_after(place: Cursor) -> bool:
    """Whether nothing after a place can have been deleted: what is there or before it is still
    kept, and the oldest go first."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_KEPT, place._asdict())
        [kept] = cursor.fetchone()
    return bool(kept)


def at(time: datetime) -> Cursor:
    """The place before all changes since a time. Some that are a little older may follow it."""
    with connection.cursor() as cursor:
        cursor.execute(_AT, {"time": time})
        [xid] = cursor.fetchone()
    return Cursor(xid, 0)


def read(
    after: Cursor, wanted: ChangeFilter = EVERYTHING, to: Cursor | None = None
) -> Iterator[Logged]:
    """The changes after a place that are wanted, to the place `to` (default: `end`), in an order
    that never changes.

    A reader who goes on from `to`, or from the cursor of the last change, misses none. Changes of a
    transaction appear once no older transaction that writes is open.
    """
    to = to or end(after)
    while True:
        page = _page(after, wanted, to)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].cursor


def _page(after: Cursor, wanted: ChangeFilter, to: Cursor) -> list[Logged]:
    params: dict[str, Any] = {
        **after._asdict(),
        "end_xid": to.xid,
        "end_id": to.id,
        "jurisdictions": list(wanted.jurisdictions),
        "types": list(wanted.types),
        "bill": wanted.bill,
        "limit": PAGE,
    }
    with connection.cursor() as cursor:
        cursor.execute(_READ, params)
        rows = cursor.fetchall()
    return [_logged(row) for row in rows]


def _logged(row: tuple[Any, ...]) -> Logged:
    id, xid, *plain, bucket, key, fields, before, after, file_id = row
    texts: list[Any] = list(map(json.loads, (fields, before, after)))
    values = [Cursor(xid, id), *plain, *texts, (bucket, key) if key else None, file_id]
    return Logged(*values)
