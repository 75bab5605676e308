"""Tells a direct connection from one that a transaction pooler lends."""

from typing import Any

from django.db import connection

_ROUNDS = 3


def is_in_between() -> bool:
    """Whether the default connection goes through a transaction pooler; to be asked outside of any
    transaction.

    Such a pooler gives the server's session to somebody else between two transactions, and with it
    whatever locks the session holds. A direct connection costs one statement and is never taken for
    another. Only where something stands in between is a second connection opened for a moment; a
    busy pooler that lends it another session each time is not found out.
    """
    # A pooler makes up the process id that it greets its own clients with.
    greeted_with = connection.connection.info.backend_pid
    if _backend(connection) == greeted_with:
        return False
    return any(_lends_ours() for _ in range(_ROUNDS))


def _lends_ours() -> bool:
    """Whether another client that begins a transaction gets the session that was ours just now."""
    other = connection.copy()
    try:
        ours = _backend(connection)
        other.set_autocommit(False)
        return _backend(other) == ours
    finally:
        other.close()


def _backend(of: Any) -> int:
    with of.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
