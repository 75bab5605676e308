"""Measures what the simulation of more scrapers assumes: seconds of real import runs."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from bench import programs
from bench.capacity import Service
from bench.data import Scrape
from bench.emulator import Emulator
from bench.importing import scratch
from bench.programs import MANAGE, Finished
from bench.whole import messages
from bench.workers import database_cpu
from realtime.devstack import EmbeddedPostgres

Whose = tuple[str, str]


def measure(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    one: tuple[Whose, Scrape],
    several: Mapping[Whose, Scrape],
) -> Service:
    """Import as many files of `one` jurisdiction as of `several` together, each in one run; what
    the second takes longer is the cost of its batches."""
    idle = _run(postgres, emulator, template, {})[0]
    alone, cpu = _run(postgres, emulator, template, dict([one]))
    apart, _ = _run(postgres, emulator, template, several)
    files, start = alone.report["received"], idle.seconds - _total(idle)
    batch = max((_total(apart) - _total(alone)) / max(len(several) - 1, 1), 0.001)
    file = max((_total(alone) - _total(idle) - batch) / files, 0.0001)
    database = min(cpu / (batch + file * files), 1.0)
    return Service(start, _total(idle), batch, file, database)


def _total(run: Finished) -> float:
    seconds: float = run.report["seconds"]["total"]
    return seconds


def _run(
    postgres: EmbeddedPostgres, emulator: Emulator, template: str, scrapes: Mapping[Whose, Any]
) -> tuple[Finished, float]:
    """A run on a new database, and the CPU seconds of the database."""
    with scratch(postgres, template, nullcontext) as url:
        place = emulator.place()
        variables = programs.environment(**place.environment, DATABASE_URL=url)
        command = (*MANAGE, "import_realtime", "--json")
        # Compiles the modules, and fills the caches.
        programs.run(command, variables)
        for whose, scrape in scrapes.items():
            place.publish(messages(scrape, whose, place.store.bucket))
        with database_cpu(postgres) as used:
            run = programs.run((*command, "--max-messages", "100000"), variables)
        return run, used["database CPU"]
