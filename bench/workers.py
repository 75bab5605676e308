"""Compares ten workers importing ten jurisdictions at once with core importing one by one."""

import itertools
import os
import pickle
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg2

from bench import programs
from bench.data import Scrape
from bench.emulator import Emulator
from bench.importing import CORE, import_once, scratch
from bench.programs import MANAGE, Running
from bench.whole import importers, messages
from realtime.devstack import EmbeddedPostgres

# Each has two chambers, as the generated files need.
JURISDICTIONS = {
    "wy": "Wyoming", "ut": "Utah", "nv": "Nevada", "id": "Idaho", "mt": "Montana",
    "co": "Colorado", "az": "Arizona", "or": "Oregon", "me": "Maine", "vt": "Vermont",
}  # fmt: skip
_SAMPLE_SECONDS = 0.02
_LOOK_SECONDS = 0.2
_NAMED = "openstates-realtime%"

Whose = Mapping[tuple[str, str], Scrape]


def compare(
    postgres: EmbeddedPostgres, emulator: Emulator, template: str, scrapes: Whose, pairs: int
) -> dict[str, Any]:
    """Import the same files by workers and by core, in turn; keys of `scrapes` are (abbr, id)."""
    ways: dict[str, list[dict[str, float]]] = {"core": [], "ours": []}
    for number in range(pairs):
        for who in list(ways) if number % 2 else reversed(ways):
            if who == "ours":
                ways[who].append(by_workers(postgres, emulator, template, scrapes))
                continue
            with scratch(postgres, template, nullcontext), database_cpu(postgres) as used:
                used["seconds"] = _by_core(scrapes)
                used["connections"] = 1
            ways[who].append(used)
    return {
        "emulator": emulator.name,
        "files": sum(len(objects) for scrape in scrapes.values() for objects in scrape.values()),
        "workers": len(scrapes),
        **{
            who: {name: statistics.median(used[name] for used in runs) for name in runs[0]}
            for who, runs in ways.items()
        },
        "core ÷ ours": statistics.median(
            core["seconds"] / ours["seconds"]
            for core, ours in zip(ways["core"], ways["ours"], strict=True)
        ),
    }


def by_workers(
    postgres: EmbeddedPostgres, emulator: Emulator, template: str, scrapes: Whose
) -> dict[str, float]:
    """What it costs to import these files by one worker for each jurisdiction, all at once."""
    with scratch(postgres, template, nullcontext) as url, database_cpu(postgres) as used:
        used.update(_by_workers(emulator, url, scrapes))
    return used


def _by_core(scrapes: Whose) -> float:
    return sum(
        import_once(CORE, jurisdiction_id, pickle.dumps(scrape)).seconds
        for (_, jurisdiction_id), scrape in scrapes.items()
    )


def _by_workers(emulator: Emulator, url: str, scrapes: Whose) -> dict[str, float]:
    place = emulator.place()
    variables = programs.environment(**place.environment, DATABASE_URL=url)
    # Compiles the modules.
    programs.run((*MANAGE, "import_realtime", "--json"), variables)
    place.publish(interleaved(scrapes, place.store.bucket))
    command = (*MANAGE, "import_realtime", "--json", "--until-empty", "--importer", importers()[0])
    with _most_connections(url) as connections:
        start, waves, end = time.perf_counter(), 0, 0.0
        statements = 0
        while not waves or place.waiting():
            wave = [Running(command, variables) for _ in scrapes]
            reports = [worker.wait().report for worker in wave]
            statements += sum(report["statements"] for report in reports)
            if any(report["received"] for report in reports):
                end = time.perf_counter()
            waves += 1
            time.sleep(_LOOK_SECONDS)
    return {
        "seconds": end - start,
        "waves": waves,
        "statements": statements,
        "connections": max(connections),
    }


def interleaved(scrapes: Whose, bucket: str) -> list[tuple[str, bytes, str]]:
    """The key, body and message of each file, as scrapers that run side by side publish them."""
    every = [messages(one, whose, bucket) for whose, one in scrapes.items()]
    turns = itertools.zip_longest(*every)
    return [file for turn in turns for file in turn if file is not None]


@contextmanager
def _most_connections(url: str) -> Iterator[list[int]]:
    """The numbers of connections that workers held, sampled by a thread during the block."""
    seen, done = [0], threading.Event()

    def sample() -> None:
        connection = psycopg2.connect(url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            while not done.wait(_SAMPLE_SECONDS):
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE %s",
                    [_NAMED],
                )
                seen.append(cursor.fetchone()[0])
        connection.close()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@contextmanager
def database_cpu(postgres: EmbeddedPostgres) -> Iterator[dict[str, float]]:
    """The CPU seconds of the database server during the block, ended connections included."""
    before, used = server_cpu(postgres.pid), dict[str, float]()
    yield used
    used["database CPU"] = server_cpu(postgres.pid) - before


def server_cpu(pid: int | None) -> float:
    """CPU seconds of a server and its child processes, ended ones included (Linux); 0 of none."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue
        fields = text.rpartition(")")[2].split()
        if path.parent.name == str(pid):
            ticks += sum(map(int, fields[11:15]))
        elif fields[1] == str(pid):
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def share(files: int, made: Sequence[str]) -> int:
    """How many of `files` each jurisdiction gets; at least 4."""
    return max(files // len(made), 4)
