"""`python -m bench.upgrade`: what each migration costs on a large ledger, and who waits for it.

Prints for each migration its seconds, the strongest lock that it holds on a table of ours that was
there before and for how long, and the longest that another connection waited to insert a file.
"""

import argparse
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

import django

django.setup()

import psycopg2  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.migrations.executor import MigrationExecutor  # noqa: E402

from bench import ledger  # noqa: E402  (models)
from realtime.devstack import EmbeddedPostgres  # noqa: E402
from realtime.devstack.database import migrate, using_database  # noqa: E402
from realtime.ledger.files import database_now  # noqa: E402

# The last migration of the release before.
BEFORE = "0006_remembered_actions"

# Weakest first.
MODES = ("AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock",
         "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock")  # fmt: skip
_TABLES = "SELECT oid FROM pg_class WHERE relname LIKE 'realtime%' AND relkind = 'r'"
_HELD = """
    SELECT relation::regclass::text, mode FROM pg_locks
    WHERE pid = pg_backend_pid() AND granted AND relation = ANY(%s::oid[])
"""
# One file in a hundred, as a scraper leaves them whose clock is a day ahead.
_AHEAD = """
    UPDATE realtime_file SET order_ticks =
      ((extract(epoch FROM received_at) + 86400) * 10000000)::bigint + 122192928000000000
    WHERE id % 100 = 0
"""
_INSERT = """
    INSERT INTO realtime_file SELECT (jsonb_populate_record(NULL::realtime_file, to_jsonb(file)
      || jsonb_build_object('id', nextval(pg_get_serial_sequence('realtime_file', 'id')),
                            'version', gen_random_uuid()))).*
    FROM realtime_file AS file WHERE id = (SELECT min(id) FROM realtime_file)
"""


@dataclass
class Cost:
    """What a migration costs: its seconds; the lock modes that it held on each table that was there
    before it, with the seconds until its end; the longest wait of a writer, in seconds."""

    name: str
    seconds: float = 0
    held: dict[tuple[str, str], float] = field(default_factory=dict)
    longest_wait: float = 0

    @property
    def strongest(self) -> tuple[str, str, float]:
        """Table, mode and seconds of its strongest lock; empty and 0 without one."""
        table, mode = max(self.held, key=lambda one: MODES.index(one[1]), default=("", ""))
        return table, mode, self.held.get((table, mode), 0)


def measure(url: str, files: int) -> list[Cost]:
    """Fill a migrated, empty ledger with `files` files as of the release before, and migrate it.

    The default database must be the one at `url`.
    """
    call_command("migrate", "realtime", BEFORE, verbosity=0)
    ledger.fill(files, database_now())
    with connection.cursor() as cursor:
        cursor.execute(_AHEAD)
    plan = MigrationExecutor(connection).migration_plan(
        MigrationExecutor(connection).loader.graph.leaf_nodes("realtime")
    )
    return [
        _measure(url, migration.name) for migration, _ in plan if migration.app_label == "realtime"
    ]


def _measure(url: str, name: str) -> Cost:
    cost = Cost(name)
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = [oid for (oid,) in cursor.fetchall()]
    seen: dict[tuple[str, str], float] = {}

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        began = time.perf_counter()
        result = execute(sql, params, many, context)
        if connection.in_atomic_block:
            # Beside the wrapper, on the same connection: what the transaction holds now.
            with connection.connection.cursor() as cursor:
                cursor.execute(_HELD, [tables])
                for lock in cursor.fetchall():
                    seen.setdefault(lock, began)
        return result

    with _writing(url, cost), connection.execute_wrapper(note):
        began = time.perf_counter()
        call_command("migrate", "realtime", name, verbosity=0)
        ended = time.perf_counter()
    cost.seconds = ended - began
    cost.held = {lock: ended - since for lock, since in seen.items()}
    return cost


@contextmanager
def _writing(url: str, cost: Cost) -> Iterator[None]:
    """Within the block another connection inserts a file again and again."""
    done, ready = threading.Event(), threading.Event()
    broke: list[BaseException] = []

    def write() -> None:
        other = psycopg2.connect(url)
        other.autocommit = True
        try:
            with other.cursor() as cursor:
                while not done.is_set():
                    began = time.perf_counter()
                    cursor.execute(_INSERT)
                    cost.longest_wait = max(cost.longest_wait, time.perf_counter() - began)
                    ready.set()
                    done.wait(0.005)
        except psycopg2.Error as exc:
            broke.append(exc)
        finally:
            ready.set()
            other.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        ready.wait()
        cost.longest_wait = 0
        yield
    finally:
        done.set()
        writer.join()
    if broke:
        raise broke[0]


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(prog="bench.upgrade", description=__doc__)
    made.add_argument("--files", type=int, default=1_000_000, metavar="N", help="(1000000)")
    files = made.parse_args(arguments).files
    with EmbeddedPostgres() as postgres:
        url = postgres.create_database("upgrade")
        with using_database(url):
            migrate()
            print("| migration | s | strongest lock | held, s | longest wait of a writer, s |")
            print("|---|---|---|---|---|")
            for cost in measure(url, files):
                table, mode, held = cost.strongest
                print(
                    f"| `{cost.name}` | {cost.seconds:.2f} | {mode} on `{table}` | {held:.3f}"
                    f" | {cost.longest_wait:.3f} |"
                )


if __name__ == "__main__":
    main()
