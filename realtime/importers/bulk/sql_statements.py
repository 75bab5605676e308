"""SQL of a batch: updates of many rows, and statements sent in one round trip."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from realtime.importers.bulk.deleting import Statement
from realtime.importers.bulk.tables import Column, Table

# When foreign keys are checked; what waits for the commit is checked at once, too.
CHECK_AT_ONCE: Statement = "SET CONSTRAINTS ALL IMMEDIATE", []
CHECK_AT_COMMIT: Statement = "SET CONSTRAINTS ALL DEFERRED", []


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
