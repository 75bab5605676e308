"""How the ledger is looked at without being in anybody's way."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

# Milliseconds that a statement may take: beyond, something is wrong, and looking on makes it worse.
_LIMIT = 15_000


@contextmanager
def reading() -> Iterator[None]:
    """One short transaction that only reads, on one snapshot, so that its figures agree.

    A statement that takes more than 15 seconds is given up with OperationalError. Takes no lock
    and no worker slot.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # Compiling takes longer than any of these statements.
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('jit', 'off', true)",
                [str(_LIMIT)],
            )
        yield
