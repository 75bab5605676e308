"""Which errors of the database say that it is away."""

import psycopg2
import pytest
from django.db import OperationalError, connection

from realtime.backends.postgres.interruptions import is_away, was_cancelled


def error_of(sql: str) -> OperationalError:
    with pytest.raises(OperationalError) as caught, connection.cursor() as cursor:
        cursor.execute(sql)
    return caught.value


def test_is_away__connection_refused_or_lost__only_then(database: str) -> None:
    word = "x" * 3_000
    assert not is_away(error_of(f"SELECT '{word}'::tsquery")), "it has answered"
    slow = error_of("SET statement_timeout = 1; SELECT pg_sleep(5)")
    assert was_cancelled(slow) and not is_away(slow)
    assert is_away(error_of("SELECT pg_terminate_backend(pg_backend_pid())"))
    connection.close()
    refused = OperationalError()
    with pytest.raises(psycopg2.OperationalError) as caught:
        psycopg2.connect(host="127.0.0.1", port=9, user="x")
    refused.__cause__ = caught.value
    assert is_away(refused)
