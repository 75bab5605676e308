"""Compares core's importers and ours on the same objects, and with the floor: plain `COPY`."""

import gc
import io
import pickle
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from django.apps import apps
from django.db import connection, transaction
from openstates import importers as core

from bench import memory
from bench.data import TYPES, Scrape, changed
from realtime import importers as ours
from realtime.devstack import EmbeddedPostgres
from realtime.devstack.database import using_database

CORE = (core.JurisdictionImporter, core.BillImporter, core.VoteEventImporter, core.EventImporter)
OURS = (ours.JurisdictionImporter, ours.BillImporter, ours.VoteEventImporter, ours.EventImporter)
Away = Callable[[str], Any]


@dataclass
class Cost:
    """The cost of one import. `database_seconds` includes the commit."""

    seconds: float
    cpu_seconds: float
    database_seconds: float
    statements: float


class Meter:
    """An execute wrapper that counts statements and their seconds."""

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
    """Measure one import in one transaction, commit included; unpickling `content` is not."""
    scrape = pickle.loads(content)
    connection.ensure_connection()
    gc.collect()
    meter = Meter()
    cpu, start = time.process_time(), time.perf_counter()
    with transaction.atomic():
        with connection.execute_wrapper(meter):
            import_all(classes, jurisdiction_id, scrape)
        committing = time.perf_counter()
    end = time.perf_counter()
    return Cost(
        end - start,
        time.process_time() - cpu,
        meter.seconds + end - committing,
        meter.statements,
    )


def import_all(classes: Sequence[Any], jurisdiction_id: str, scrape: Scrape) -> None:
    """Import each type in core's order."""
    jurisdictions, bills = (cls(jurisdiction_id) for cls in classes[:2])
    votes = classes[2](jurisdiction_id, bills)
    events = classes[3](jurisdiction_id, votes)
    for importer, name in zip((jurisdictions, bills, votes, events), TYPES, strict=True):
        if scrape[name]:
            importer.import_data(scrape[name], allow_duplicates=True)


def compare(
    postgres: EmbeddedPostgres,
    template: str,
    jurisdiction_id: str,
    scrape: Scrape,
    pairs: int,
    away: Callable[[str], Any],
) -> dict[str, Any]:
    """Medians of core's cost, our cost and core ÷ ours, for each of `steps`."""
    contents = steps(scrape)
    costs: dict[str, dict[str, list[Cost]]] = {name: {"core": [], "ours": []} for name in contents}
    floors: list[float] = []
    for number in range(pairs):
        both: list[tuple[str, Sequence[Any]]] = [("core", CORE), ("ours", OURS)]
        # Alternate the order: the first run of a pair finds the machine in another state.
        for who, classes in both if number % 2 else reversed(both):
            with scratch(postgres, template, away):
                for name, content in contents.items():
                    costs[name][who].append(import_once(classes, jurisdiction_id, content))
                    if name == "insert" and who == "ours":
                        floors.append(floor(postgres, template, away))
    result: dict[str, Any] = {}
    for name, by in costs.items():
        ratios = [c.seconds / o.seconds for c, o in zip(by["core"], by["ours"], strict=True)]
        result[name] = {
            **{who: median(some) for who, some in by.items()},
            "core ÷ ours": statistics.median(ratios),
        }
    for who in ("core", "ours"):
        with scratch(postgres, template, nullcontext) as url:
            for name, peak in memory.peaks(who, url, jurisdiction_id, contents).items():
                result[name][who]["peak_mib"] = peak
    ours_seconds = [cost.seconds for cost in costs["insert"]["ours"]]
    result["insert"]["floor seconds"] = statistics.median(floors)
    result["insert"]["ours ÷ floor"] = statistics.median(
        o / f for o, f in zip(ours_seconds, floors, strict=True)
    )
    return result


def steps(scrape: Scrape) -> dict[str, bytes]:
    """The imports to measure in turn: insert, unchanged, update."""
    scrapes = {"insert": scrape, "unchanged": scrape, "update": changed(scrape)}
    return {name: pickle.dumps(content) for name, content in scrapes.items()}


def median(costs: Sequence[Cost]) -> dict[str, float]:
    dicts = [asdict(cost) for cost in costs]
    return {name: statistics.median(cost[name] for cost in dicts) for name in dicts[0]}


@contextmanager
def scratch(postgres: EmbeddedPostgres, template: str, away: Callable[[str], Any]) -> Iterator[str]:
    """A copy of the template as the default database, reached through `away`; yields its URL."""
    name = f"bench_{time.monotonic_ns()}"
    url = postgres.create_database(name, template=template)
    try:
        with away(url) as farther, using_database(farther):
            yield url
    finally:
        connection.close()
        postgres.drop_database(name)


def floor(postgres: EmbeddedPostgres, template: str, away: Callable[[str], Any]) -> float:
    """Seconds that `COPY`, commit included, takes for the rows that the last import added to the
    default database."""
    tables = _core_tables()
    rows = {table: _copied(f"COPY {table} TO STDOUT") for table in tables}
    with scratch(postgres, template, away):
        kept = {table: set(_copied(f"COPY {table} TO STDOUT").splitlines(True)) for table in tables}
        new = {
            table: b"".join(line for line in lines.splitlines(True) if line not in kept[table])
            for table, lines in rows.items()
        }
        start = time.perf_counter()
        with transaction.atomic(), connection.cursor() as cursor:
            for table, lines in new.items():
                # The jurisdiction's row exists already: it was changed, not added.
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
