"""Inserts many rows with one COPY for each table. Django counts and logs these statements."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection

from realtime.importers.bulk.tables import Row, Table

# Rows of which text is made at a time; meanwhile the server works on those before.
_ROWS = 1000


def copy(table: Table, rows: Sequence[Row]) -> None:
    """Insert rows, tuples in the order of the table's columns, by `COPY`."""
    lines = _Lines(table, rows)
    columns = ", ".join(column.sql for column in table.columns)
    with connection.cursor() as cursor:

        def send(sql: str, params: Any, many: bool, context: Any) -> None:
            try:
                with connection.wrap_database_errors, _unprinted():
                    cursor.cursor.copy_expert(sql, lines)
            except DatabaseError:
                # psycopg2 has the server cancel the statement, and raises no more than that.
                if not lines.error:
                    raise
            if lines.error:
                raise lines.error

        # Django has no COPY; its own wrappers are what counts and logs this one.
        cursor._execute_with_wrappers(
            f"COPY {table.sql} ({columns}) FROM STDIN", None, many=False, executor=send
        )


class _Lines:
    """Rows as a file of `COPY` text; `error` is what kept it from being read to its end."""

    def __init__(self, table: Table, rows: Sequence[Row]) -> None:
        self._table = table
        self._rows = rows
        self._at = 0
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """The next rows, however large; psycopg2 takes more than it asks for."""
        rows = self._rows[self._at : self._at + _ROWS]
        self._at += len(rows)
        try:
            return self._table.copy_text(rows).encode() if rows else b""
        except Exception as exc:
            self.error = exc
            raise


@contextmanager
def _unprinted() -> Iterator[None]:
    """Keeps psycopg2 from printing a traceback when the server ends the session during a COPY,
    which it also raises."""
    hook, sys.excepthook = sys.excepthook, lambda *exc: None
    try:
        yield
    finally:
        sys.excepthook = hook
