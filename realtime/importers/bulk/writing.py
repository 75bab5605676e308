"""Writes many rows with one statement for each table. Django counts and logs these statements."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection

from realtime.importers.bulk.deleting import Statement
from realtime.importers.bulk.tables import Column, Row, Table

# Rows of which text is made at a time; meanwhile the server works on those before.
_ROWS = 1000
# When foreign keys are checked; what waits for the commit is checked at once, too.
CHECK_AT_ONCE: Statement = "SET CONSTRAINTS ALL IMMEDIATE", []
CHECK_AT_COMMIT: Statement = "SET CONSTRAINTS ALL DEFERRED", []


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


def update(table: Table, columns: Sequence[Column], rows: Sequence[tuple[Any, ...]]) -> Statement:
    """The statement that sets these columns; each row is its key and then the values."""
    assignments = ", ".join(
        f"{column.sql} = v.c{n}::{column.sql_type}" for n, column in enumerate(columns, 1)
    )
    names = ", ".join(f"c{n}" for n in range(len(columns) + 1))
    one = "(" + ", ".join(["%s"] * (len(columns) + 1)) + ")"
    sql = (
        f"UPDATE {table.sql} AS t SET {assignments}"
        f" FROM (VALUES {', '.join([one] * len(rows))}) AS v ({names})"
        f" WHERE t.{table.pk.sql} = v.c0"
    )
    return sql, [value for row in rows for value in row]


def execute(statements: Sequence[Statement]) -> None:
    """Send all in one round trip, in order."""
    if statements:
        with connection.cursor() as cursor:
            cursor.execute(
                "; ".join(sql for sql, _ in statements),
                [value for _, params in statements for value in params],
            )


def check_foreign_keys() -> None:
    """Raises IntegrityError for a bad foreign key; core's are deferred until the commit."""
    execute([CHECK_AT_ONCE, CHECK_AT_COMMIT])
