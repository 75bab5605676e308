"""Forces races between workers, and refusals of the database. Does not import the project."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from django.db import connection

from tests.support import wait_until

# The advisory lock that a closed gate is; ours have two halves.
_GATE = 1
_WAITING = """
    SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE NOT granted AND datname = current_database()
    AND clock_timestamp() - waitstart >= make_interval(secs => %s)
"""


@contextmanager
def session(url: str) -> Iterator[Any]:
    """A cursor of another worker's connection, which commits each statement."""
    with closing(psycopg2.connect(url)) as opened:
        opened.autocommit = True
        yield opened.cursor()


def waiting(cursor: Any, seconds: float = 0) -> int:
    """The number of connections that have waited for a lock for so long."""
    cursor.execute(_WAITING, [seconds])
    return int(cursor.fetchone()[0])


def together(url: str, write: str, *workers: Callable[[], object]) -> None:
    """Run these at once: each begins when those before it wait at a `write`, such as `INSERT ON
    realtime_file`, or for a lock of one that does. When all wait, they go on."""
    with session(url) as cursor, ThreadPoolExecutor(len(workers)) as threads:
        cursor.execute(
            f"CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" PERFORM pg_advisory_xact_lock_shared({_GATE}); RETURN NULL; END $$;"
            f"CREATE TRIGGER gate BEFORE {write} EXECUTE FUNCTION gate();"
            f"SELECT pg_advisory_lock({_GATE})"
        )
        started: list[Future[object]] = []
        for number, worker in enumerate(workers, 1):
            started.append(threads.submit(_and_disconnect, worker))
            all_wait = wait_until(lambda count=number: waiting(cursor) == count)  # type: ignore[misc]
            if not all_wait:
                break
        cursor.execute("SELECT pg_advisory_unlock_all()")
        for future in started:
            future.result()
        assert all_wait, "a worker ended, or never came to write"
        cursor.execute("DROP FUNCTION gate CASCADE")


@contextmanager
def refusing(write: str, code: str) -> Iterator[None]:
    """Within the block the database refuses each `write`, such as `INSERT ON realtime_file`, with
    this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;"
            f"CREATE TRIGGER refuse BEFORE {write} EXECUTE FUNCTION refuse()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


def _and_disconnect(worker: Callable[[], object]) -> object:
    try:
        return worker()
    finally:
        connection.close()
