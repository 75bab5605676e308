"""Core's importers and ours over the same objects, and the floor: the same rows by `COPY`."""

import gc
import io
import pickle
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from openstates import importers as core

from bench.data import TYPES, Scrape, changed
from realtime import importers as ours
from realtime.devstack import DevStack
from realtime.devstack.database import using_database

CORE = (core.JurisdictionImporter, core.BillImporter, core.VoteEventImporter, core.EventImporter)
OURS = (ours.JurisdictionImporter, ours.BillImporter, ours.VoteEventImporter, ours.EventImporter)
Away = Callable[[str], Any]


@dataclass
class Cost:
    """What one import took. `peak_mib` is above what the process held before it."""

    seconds: float
    cpu_seconds: float
    database_seconds: float
    statements: float
    peak_mib: float


class Meter:
    """Counts statements, and the time they take."""

    def __init__(self) -> None:
        self.statements = 0
        self.seconds = 0.0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.statements += 1
            self.seconds += time.perf_counter() - start


def import_once(classes: Sequence[Any], jurisdiction_id: str, content: bytes) -> Cost:
    """One import in one transaction, its commit included; what it reads is made before."""
    scrape = pickle.loads(content)
    connection.ensure_connection()
    gc.collect()
    meter, before = Meter(), _reset_peak()
    cpu, start = time.process_time(), time.perf_counter()
    with transaction.atomic():
        with connection.execute_wrapper(meter):
            _import(classes, jurisdiction_id, scrape)
        committing = time.perf_counter()
    end = time.perf_counter()
    return Cost(
        end - start,
        time.process_time() - cpu,
        meter.seconds + end - committing,
        meter.statements,
        _peak() - before,
    )


def _import(classes: Sequence[Any], jurisdiction_id: str, scrape: Scrape) -> None:
    jurisdictions, bills = (one(jurisdiction_id) for one in classes[:2])
    votes = classes[2](jurisdiction_id, bills)
    events = classes[3](jurisdiction_id, votes)
    for importer, name in zip((jurisdictions, bills, votes, events), TYPES, strict=True):
        if scrape[name]:
            importer.import_data(scrape[name], allow_duplicates=True)


def compare(
    stack: DevStack,
    template: str,
    jurisdiction_id: str,
    scrape: Scrape,
    pairs: int,
    away: Callable[[str], Any],
) -> dict[str, Any]:
    """Medians of core's cost, ours and core ÷ ours, for each kind of import."""
    steps = {"insert": scrape, "unchanged": scrape, "update": changed(scrape)}
    contents = {name: pickle.dumps(one) for name, one in steps.items()}
    costs: dict[str, dict[str, list[Cost]]] = {name: {"core": [], "ours": []} for name in steps}
    floors: list[float] = []
    for number in range(pairs):
        both: list[tuple[str, Sequence[Any]]] = [("core", CORE), ("ours", OURS)]
        # Whoever goes first finds the machine in another state.
        for who, classes in both if number % 2 else reversed(both):
            with scratch(stack, template, away):
                for name, content in contents.items():
                    costs[name][who].append(import_once(classes, jurisdiction_id, content))
                    if name == "insert" and who == "ours":
                        floors.append(floor(stack, template, away))
    result: dict[str, Any] = {}
    for name, by in costs.items():
        ratios = [c.seconds / o.seconds for c, o in zip(by["core"], by["ours"], strict=True)]
        result[name] = {
            **{who: median(some) for who, some in by.items()},
            "core ÷ ours": statistics.median(ratios),
        }
    ours_seconds = [cost.seconds for cost in costs["insert"]["ours"]]
    result["insert"]["floor seconds"] = statistics.median(floors)
    result["insert"]["ours ÷ floor"] = statistics.median(
        o / f for o, f in zip(ours_seconds, floors, strict=True)
    )
    return result


def median(costs: Sequence[Cost]) -> dict[str, float]:
    every = [asdict(cost) for cost in costs]
    return {name: statistics.median(one[name] for one in every) for name in every[0]}


@contextmanager
def scratch(stack: DevStack, template: str, away: Callable[[str], Any]) -> Iterator[str]:
    """A copy of the template as the default database, as far away as `away` puts it."""
    name = f"bench_{time.monotonic_ns()}"
    url = stack.postgres.create_database(name, template=template)
    try:
        with away(url) as farther, using_database(farther):
            yield url
    finally:
        connection.close()
        stack.postgres.drop_database(name)


def floor(stack: DevStack, template: str, away: Callable[[str], Any]) -> float:
    """Seconds that `COPY` takes, commit included, for what the import under way has added."""
    tables = _core_tables()
    rows = {table: _copied(f"COPY {table} TO STDOUT") for table in tables}
    with scratch(stack, template, away):
        kept = {table: set(_copied(f"COPY {table} TO STDOUT").splitlines(True)) for table in tables}
        new = {
            table: b"".join(line for line in lines.splitlines(True) if line not in kept[table])
            for table, lines in rows.items()
        }
        start = time.perf_counter()
        with transaction.atomic(), connection.cursor() as cursor:
            for table, lines in new.items():
                # The jurisdiction was there, and has changed.
                if lines and "jurisdiction" not in table:
                    cursor.copy_expert(f"COPY {table} FROM STDIN", io.BytesIO(lines), 1 << 16)
        return time.perf_counter() - start


def _core_tables() -> list[str]:
    return [model._meta.db_table for model in apps.get_app_config("data").get_models()]


def _copied(statement: str) -> bytes:
    lines = io.BytesIO()
    with connection.cursor() as cursor:
        cursor.copy_expert(statement, lines)
    return lines.getvalue()


def _reset_peak() -> float:
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    return _peak()


def _peak() -> float:
    """The most memory held since the last reset, in MiB; since the start where none is possible."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
