"""Who is told of changes: how far each is, and what went wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce

from realtime.domain.text import sanitized
from realtime.ledger.changes import Cursor
from realtime.ledger.files import database_now
from realtime.models import ChangeReceiver

# How long a receiver may fail before it is paused, and who pauses it then.
PATIENCE = timedelta(days=3)
SENDER = "delivery"
# Seconds until a call is repeated: the first time, and at most.
_RETRY, _LONGEST = 10, 3_600
# As many changes are counted at most.
AT_MOST = 100_000

_REGISTER = """
    INSERT INTO realtime_receiver AS known
      (name, address, since, xid, change_id, delivered, failures, last_error, paused_by,
       pause_reason)
    SELECT name, address, now(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 0, 0, 0, '',
           '', ''
    FROM unnest(%(names)s::text[], %(addresses)s::text[]) AS given (name, address)
    ON CONFLICT (name) DO UPDATE SET address = excluded.address
      WHERE known.address <> excluded.address
"""
_BEHIND = f"""
    SELECT known.id, count(missing.at), min(missing.at)
    FROM realtime_receiver AS known
    LEFT JOIN LATERAL (
      SELECT at FROM realtime_change
      WHERE (xid, id) > (known.xid, known.change_id) LIMIT {AT_MOST}) AS missing ON true
    GROUP BY known.id
"""


_NOT_TOLD = """
    SELECT known.name, count(*) FROM realtime_receiver AS known JOIN realtime_change AS change
      ON (change.xid, change.id) > (known.xid, known.change_id)
    WHERE change.at < %(before)s GROUP BY known.name
"""


def register(addresses: Mapping[str, str]) -> None:
    """Make known the receivers with these names and addresses. A new one is told of what is
    committed from now on."""
    with connection.cursor() as cursor:
        cursor.execute(_REGISTER, {"names": list(addresses), "addresses": list(addresses.values())})


def delivered(row: ChangeReceiver, to: Cursor, events: int) -> bool:
    """Record that a receiver has been told of `events` more, up to a place, which is its cursor
    then. False when it must not be told of more: somebody has paused it, or put it elsewhere."""
    now = database_now()
    values: dict[str, Any] = {"xid": to.xid, "change_id": to.id, **_NOTHING_REPEATED}
    if events:
        values |= {"delivered": F("delivered") + events, "delivered_at": now, **_WELL}
    if not _where_it_was(row).update(**values):
        return False
    row.refresh_from_db()
    return row.paused_at is None


_NOTHING_REPEATED = {"until_xid": None, "until_id": None}
_WELL = {"failures": 0, "failing_since": None, "next_try_at": None, "last_error": ""}


def failed(
    row: ChangeReceiver, until: Cursor, error: str, for_good: bool = False, wait: int = 0
) -> bool:
    """Record that a call with changes up to a place was not answered well; when it is to be
    repeated, with the same changes: not within the `wait` seconds that the receiver asks for, but
    within the hour; and the pause, when that goes on for three days, or the receiver is gone
    `for_good`. Returns whether it is paused now."""
    now = database_now()
    since = row.failing_since or now
    seconds = min(max(_RETRY * 2 ** min(row.failures, 10), wait), _LONGEST)
    values = {
        "until_xid": until.xid,
        "until_id": until.id,
        "failures": row.failures + 1,
        "failing_since": since,
        "next_try_at": now + timedelta(seconds=seconds),
        "last_error": sanitized(error),
    }
    paused = for_good or now - since >= PATIENCE
    if paused:
        reason = "it says that it is gone" if for_good else f"it has failed since {since:%F %H:%M}"
        values |= {"paused_at": now, "paused_by": SENDER, "pause_reason": reason}
    _where_it_was(row).filter(paused_at=None).update(**values)
    return paused


def could_not(name: str, error: str) -> None:
    """Record why a receiver could not be told of anything, whatever it would have answered."""
    failing_since = Coalesce("failing_since", Value(database_now()))
    known = ChangeReceiver.objects.filter(name=name, paused_at=None)
    known.update(last_error=sanitized(error), failing_since=failing_since)


def is_due(row: ChangeReceiver) -> bool:
    """Whether a receiver is to be told now: it is not paused, and its last failure is old enough.
    No wait is longer than an hour: one that seems so was noted by a clock that was ahead."""
    if row.paused_at or row.next_try_at is None:
        return row.paused_at is None
    return not timedelta() < row.next_try_at - database_now() <= timedelta(seconds=_LONGEST)


def _where_it_was(row: ChangeReceiver) -> "QuerySet[ChangeReceiver]":
    return ChangeReceiver.objects.filter(pk=row.pk, xid=row.xid, change_id=row.change_id)


def pause(name: str, by: str, reason: str) -> bool:
    """Stop telling a receiver; False when it is unknown, or paused already."""
    return bool(
        ChangeReceiver.objects.filter(name=name, paused_at=None).update(
            paused_at=database_now(), paused_by=sanitized(by), pause_reason=sanitized(reason)
        )
    )


def resume(name: str) -> bool:
    """Tell a receiver again, at once and from where it is; False when it is unknown, or neither
    paused nor failing."""
    known = ChangeReceiver.objects.filter(name=name)
    return bool(
        known.exclude(paused_at=None, failing_since=None).update(
            paused_at=None, paused_by="", pause_reason="", **_WELL
        )
    )


def replay(name: str, after: Cursor) -> bool:
    """Tell a receiver of everything after a place, again or for the first time; False when it is
    unknown."""
    return bool(
        ChangeReceiver.objects.filter(name=name).update(
            xid=after.xid, change_id=after.id, **_NOTHING_REPEATED, **_WELL
        )
    )


def forget(name: str) -> bool:
    """Forget a receiver that the settings do not name any more; False when it is unknown."""
    return bool(ChangeReceiver.objects.filter(name=name).delete()[0])


def not_told(before: datetime) -> dict[str, int]:
    """How many changes older than that each receiver has not been told of, by name; those without
    any are left out."""
    with connection.cursor() as cursor:
        cursor.execute(_NOT_TOLD, {"before": before})
        return dict(cursor.fetchall())


def in_trouble() -> "QuerySet[ChangeReceiver]":
    """The receivers that fail or are paused, by name."""
    return ChangeReceiver.objects.exclude(paused_at=None, failing_since=None).order_by("name")


@dataclass(frozen=True)
class Progress:
    """How far a receiver is. `behind` changes (counted up to AT_MOST) are not sent yet, of whatever
    kind, the oldest of which is of `oldest`."""

    row: ChangeReceiver
    behind: int
    oldest: datetime | None

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.row.xid, self.row.change_id)


def progress() -> list[Progress]:
    """All receivers that are known, by name."""
    with connection.cursor() as cursor:
        cursor.execute(_BEHIND)
        behind = {id: (count, oldest) for id, count, oldest in cursor.fetchall()}
    rows = ChangeReceiver.objects.order_by("name")
    return [Progress(row, *behind.get(row.pk, (0, None))) for row in rows]
