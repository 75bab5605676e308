"""Which worker slots are taken, and which jurisdictions each worker is importing."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from realtime.backends.postgres import locks

# PostgreSQL hides the activity of other users' sessions, but not their locks.
_BUSY = """
    SELECT slot.objid::int, activity.backend_start,
           array(SELECT held.objid::bigint FROM pg_locks AS held
                 WHERE held.pid = slot.pid AND held.locktype = 'advisory' AND held.granted
                   AND held.database = slot.database
                   AND held.classid = %(jurisdictions)s AND held.objsubid = 2),
           slot.pid,
           CASE WHEN activity.state = 'active' THEN activity.query_start
                ELSE activity.state_change END
    FROM pg_locks AS slot
    LEFT JOIN pg_stat_activity AS activity ON activity.pid = slot.pid
    WHERE slot.locktype = 'advisory' AND slot.granted AND slot.classid = %(slots)s
      AND slot.objsubid = 2
      AND slot.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY 1
"""


@dataclass(frozen=True)
class Worker:
    """A taken worker slot, since when (None when PostgreSQL hides it), and the jurisdictions whose
    locks it holds: those it is importing now.

    `backend_pid` is the process id of its connection in PostgreSQL, and `active_at` when that last
    began a statement that still runs, or ended one (None when PostgreSQL hides it).
    """

    slot: int
    since: datetime | None
    jurisdiction_ids: tuple[str, ...]
    backend_pid: int = 0
    active_at: datetime | None = None


def busy(jurisdiction_ids: Collection[str]) -> list[Worker]:
    """The taken worker slots, by number. Names only jurisdictions among `jurisdiction_ids`."""
    # pg_locks shows lock numbers unsigned.
    names = {locks.number(one) % 2**32: one for one in jurisdiction_ids}
    with connection.cursor() as cursor:
        cursor.execute(_BUSY, {"slots": locks.SLOTS, "jurisdictions": locks.JURISDICTIONS})
        return [
            Worker(
                slot,
                since,
                tuple(names[held] for held in sorted(hold) if held in names),
                pid,
                active,
            )
            for slot, since, hold, pid, active in cursor.fetchall()
        ]
