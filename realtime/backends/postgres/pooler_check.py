"""Detects a transaction pooler between this process and PostgreSQL."""

from typing import Any

from django.db import connection

_ROUNDS = 3


def is_pooled() -> bool:
    """Whether the default connection goes through a transaction pooler. Call it outside any
    transaction.

    Between two transactions such a pooler lends the server session, and the session locks in it,
    to other clients. A direct connection costs one statement and is always recognized. Only behind
    a pooler is a second connection opened for a moment. A busy pooler that gives it another session
    each time is not detected.
    """
    # A pooler invents the process id in its own handshake.
    handshake_pid = connection.connection.info.backend_pid
    if _backend(connection) == handshake_pid:
        return False
    return any(_session_is_shared() for _ in range(_ROUNDS))


def _session_is_shared() -> bool:
    """Whether a second client's transaction gets the server session that this client just used."""
    other = connection.copy()
    try:
        session_pid = _backend(connection)
        other.set_autocommit(False)
        return _backend(other) == session_pid
    finally:
        other.close()


def _backend(of: Any) -> int:
    with of.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])
