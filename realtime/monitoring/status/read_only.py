"""Reading the ledger without disturbing imports."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

# Milliseconds. A statement that takes longer only adds to whatever is wrong.
_STATEMENT_TIMEOUT = 15_000


@contextmanager
def read_only_transaction() -> Iterator[None]:
    """A read-only transaction on one snapshot, so that the figures agree with each other.

    A statement that takes more than 15 seconds raises OperationalError. Takes no advisory lock and
    no worker slot.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # JIT compilation would take longer than any of these statements.
            cursor.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('jit', 'off', true)",
                [str(_STATEMENT_TIMEOUT)],
            )
        yield
