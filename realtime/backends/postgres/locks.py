"""PostgreSQL advisory locks: worker slots, and locks on jurisdictions, people, archiving and
receivers."""

import random
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, OperationalError, connection

from realtime.backends.postgres import pooler_check
from realtime.domain.config import APPLICATION_NAME, SLOT_SEEKER_NAME
from realtime.domain.errors import Busy, ConfigurationError, RetryLater, Unavailable

# First halves of the two-part lock keys. No other application may take advisory locks with these
# in the same database.
SLOTS = 0x6F737274  # "osrt"
JURISDICTIONS = 0x6F736A75  # "osju"
PEOPLE = 0x6F737065  # "ospe"
ARCHIVE = 0x6F736172  # "osar"
PARKED = 0x6F737061  # "ospa"
SWEEP = 0x6F737377  # "ossw"
ACTIONS = 0x6F736163  # "osac"
RECEIVERS = 0x6F737265  # "osre"
# One thread at a time changes the name that connections are opened with, which all share.
_NAMING = threading.Lock()

# 30 seconds, or half of a short statement timeout: who waits for others has not timed out itself.
_OTHER_LOCKS_TIMEOUT = """
    SELECT set_config('lock_timeout', CASE WHEN timeout > 0 AND timeout < 60
                      THEN (timeout * 500)::int::text ELSE '30000' END, true)
    FROM (SELECT extract(epoch FROM current_setting('statement_timeout')::interval)) AS now(timeout)
"""


class WorkerSlot:
    """One of `slots` worker slots, held by this process's database connection.

    The slot is a session lock, so it is free as soon as the connection ends for any reason.
    Statements of the connection are cancelled after `statement_timeout` seconds.
    """

    def __init__(self, slots: int, statement_timeout: int) -> None:
        self._slots = slots
        self._statement_timeout = statement_timeout
        self._slot: int | None = None
        self._session: Any = None

    def take(self) -> bool:
        """Take a free slot; False when all are taken.

        The connection's `application_name` is SLOT_SEEKER_NAME during the search and
        APPLICATION_NAME once a slot is taken. Raises Unavailable when the database cannot be
        reached, ConfigurationError when the connection goes through a transaction pooler.
        """
        try:
            self._connect()
            slots = random.sample(range(self._slots), self._slots)
            self._slot = next((slot for slot in slots if self._try(slot)), None)
            if self._slot is not None:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT set_config('application_name', %s, false),"
                        " set_config('statement_timeout', %s, false)",
                        [APPLICATION_NAME, f"{self._statement_timeout}s"],
                    )
        except OperationalError as exc:
            raise Unavailable(f"the database cannot be reached: {_one_line(exc)}") from exc
        except DatabaseError as exc:
            raise Unavailable(f"the database refused: {_one_line(exc)}") from exc
        self._session = connection.connection
        return self._slot is not None

    def lost(self) -> bool:
        """Whether the connection that took the slot has ended. Django may have opened another one
        since, which does not hold the slot."""
        return connection.connection is not self._session or not connection.is_usable()

    def verify(self) -> None:
        """Raises RetryLater when this connection does not hold the slot. Call it right before each
        commit, so that no worker without a slot commits."""
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
        """Free the slot by closing the connection; never raises."""
        self._slot = self._session = None
        connection.close()

    def _connect(self) -> None:
        connect_as(SLOT_SEEKER_NAME)
        if pooler_check.is_pooled():
            raise ConfigurationError(
                "DATABASE_URL goes through a transaction pooler: runs need a direct connection"
            )

    def _try(self, slot: int) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [SLOTS, slot])
            return bool(cursor.fetchone()[0])


def connect_as(name: str) -> None:
    """Reopen the database connection with `name` as its application_name."""
    connection.close()
    with _NAMING:
        options = connection.settings_dict.setdefault("OPTIONS", {})
        previous = options.get("application_name")
        options["application_name"] = name
        try:
            connection.ensure_connection()
        finally:
            if previous is None:
                del options["application_name"]
            else:
                options["application_name"] = previous


def lock_jurisdiction(jurisdiction_id: str, wait_seconds: float) -> None:
    """Lock this jurisdiction until the transaction ends. Call it first in the transaction.

    Raises Busy when another transaction still holds it after `wait_seconds`. Also limits the wait
    for any later lock of the transaction to 30 seconds, or half of the statement timeout.
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
        cursor.execute(_OTHER_LOCKS_TIMEOUT)


@contextmanager
def try_lock_parked_files(jurisdiction_id: str) -> Iterator[bool]:
    """Try to lock a jurisdiction's parked files; yields False when another worker has them.

    A session lock, released at the end of the block. After an exception it is held until the
    connection ends.
    """
    key = [PARKED, number(jurisdiction_id)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
        locked = bool(cursor.fetchone()[0])
    yield locked
    if locked:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


def try_lock_folder(folder: str) -> bool:
    """Try to lock a folder of the store's root, so that no other sweep takes its files; False when
    another worker has it.

    A session lock: held until `unlock_folder`, or until the connection ends.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [SWEEP, number(folder)])
        return bool(cursor.fetchone()[0])


def unlock_folder(folder: str) -> None:
    """Let other sweeps take the files of this folder."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [SWEEP, number(folder)])


@contextmanager
def try_lock_receiver(name: str) -> Iterator[bool]:
    """Try to be the one who tells this receiver of changes; yields False when another is.

    A session lock, released at the end of the block, or when the connection ends.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [RECEIVERS, number(name)])
        locked = bool(cursor.fetchone()[0])
    session = connection.connection
    try:
        yield locked
    finally:
        if locked and connection.connection is session and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [RECEIVERS, number(name)])


def lock_people(person_ids: Iterable[str]) -> None:
    """Lock these people until the transaction ends: imports of several jurisdictions may write the
    same person. The order of the locks is always the same, so that two calls cannot deadlock."""
    with connection.cursor() as cursor:
        for person in sorted({number(person_id) for person_id in person_ids}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [PEOPLE, person])


def lock_archive() -> None:
    """Let one transaction at a time choose archive keys; held until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [ARCHIVE])


def lock_actions() -> None:
    """Let one transaction at a time take an operator's action in hand; held until it ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [ACTIONS])


def number(text: str) -> int:
    """The second half of the lock key for a jurisdiction's or person's id."""
    return zlib.crc32(text.encode()) - 2**31


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())
