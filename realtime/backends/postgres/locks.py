"""PostgreSQL advisory locks: worker slots, and one import at a time for each jurisdiction."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, OperationalError, connection

from realtime.backends.postgres import pooler_check
from realtime.domain.config import APPLICATION_NAME, SLOT_SEEKER_NAME
from realtime.domain.errors import Busy, ConfigurationError, RetryLater, Unavailable

# First halves of the two-part lock keys; any other application that takes advisory locks in this
# database must not use them.
SLOTS = 0x6F737274  # "osrt"
JURISDICTIONS = 0x6F736A75  # "osju"
PEOPLE = 0x6F737065  # "ospe"
ARCHIVE = 0x6F736172  # "osar"
PARKED = 0x6F737061  # "ospa"

_OTHER_LOCKS = "30s"


class WorkerSlot:
    """One of `slots` places to work, held by this process's database connection.

    A session lock: it goes when the connection does, however that happens. `take` returns False
    when all are taken, having held a connection named SLOT_SEEKER_NAME for a moment; on success
    the connection goes by APPLICATION_NAME.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._slot: int | None = None
        self._session: Any = None

    def take(self) -> bool:
        """Raises Unavailable when the database cannot be reached, ConfigurationError when the
        connection goes through a transaction pooler."""
        try:
            self._connect()
            slots = random.sample(range(self._slots), self._slots)
            self._slot = next((slot for slot in slots if self._try(slot)), None)
            if self._slot is not None:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT set_config('application_name', %s, false)", [APPLICATION_NAME]
                    )
        except OperationalError as exc:
            raise Unavailable(f"the database cannot be reached: {_line(exc)}") from exc
        except DatabaseError as exc:
            raise Unavailable(f"the database refused: {_line(exc)}") from exc
        self._session = connection.connection
        return self._slot is not None

    def lost(self) -> bool:
        """Whether the connection that took the slot is gone. Another may be in its place: Django
        makes one when the transaction ends that broke."""
        return connection.connection is not self._session or not connection.is_usable()

    def verify(self) -> None:
        """Raises RetryLater when this session no longer holds the slot, so that nothing is
        committed by an eleventh worker. Call it right before each commit."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND pid = pg_backend_pid() AND classid = %s AND objid = %s AND objsubid = 2"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                [SLOTS, self._slot],
            )
            if cursor.fetchone() is None:
                raise RetryLater(
                    "this worker no longer holds its slot: its connection was replaced"
                )

    def release(self) -> None:
        """Give the slot back by closing the connection; never raises."""
        self._slot = self._session = None
        connection.close()

    def _connect(self) -> None:
        connect_as(SLOT_SEEKER_NAME)
        if pooler_check.is_in_between():
            raise ConfigurationError(
                "DATABASE_URL goes through a transaction pooler: runs need a direct connection"
            )

    def _try(self, slot: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [SLOTS, slot])
            return bool(cursor.fetchone()[0])


def connect_as(name: str) -> None:
    """Open the database's connection anew, to go by `name` in pg_stat_activity."""
    connection.close()
    options = connection.settings_dict.setdefault("OPTIONS", {})
    named = options.get("application_name")
    options["application_name"] = name
    try:
        connection.ensure_connection()
    finally:
        if named is None:
            del options["application_name"]
        else:
            options["application_name"] = named


def lock_jurisdiction(jurisdiction_id: str, wait_seconds: float) -> None:
    """Hold this jurisdiction until the transaction ends; to be called at its very beginning.

    Raises Busy when another transaction holds it for `wait_seconds` longer. No other lock of the
    transaction is waited for longer than half a minute.
    """
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                "SELECT set_config('lock_timeout', %s, true)", [f"{int(wait_seconds * 1000)}ms"]
            )
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, %s)", [JURISDICTIONS, number(jurisdiction_id)]
            )
        except OperationalError as exc:
            if getattr(exc.__cause__, "pgcode", "") == "55P03":
                raise Busy(f"{jurisdiction_id} is being imported by another worker") from exc
            raise
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [_OTHER_LOCKS])


@contextmanager
def parked_files(jurisdiction_id: str) -> Iterator[bool]:
    """Whether this session may see to the jurisdiction's parked files: no other one is at it.

    A session lock, let go at the end of the block; by an exception, with the connection.
    """
    key = [PARKED, number(jurisdiction_id)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        ours = bool(cursor.fetchone()[0])
    yield ours
    if ours:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def lock_person(person_id: str) -> None:
    """Hold this person until the transaction ends: people belong to several jurisdictions."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [PEOPLE, number(person_id)])


def lock_archive() -> None:
    """Hold the choice of where files are moved until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [ARCHIVE])


def number(text: str) -> int:
    """The second half of the lock key for a jurisdiction or person."""
    return zlib.crc32(text.encode()) - 2**31


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
