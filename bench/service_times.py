"""Measures what the simulation of more scrapers assumes: seconds of real import runs."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from bench import programs
from bench.capacity import Service
from bench.data import Scrape
from bench.emulator import Emulator
from bench.importing import scratch
from bench.programs import MANAGE, Finished
from bench.workers import database_cpu, interleaved
from realtime.devstack import EmbeddedPostgres

Whose = tuple[str, str]


def measure(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    one: tuple[Whose, Scrape],
    several: Mapping[Whose, Scrape],
) -> Service:
    """Import the files of `one` jurisdiction, and as many of `several`, interleaved as from so many
    scrapers, each by one worker in runs of 300: the second makes more batches of the same files,
    and what it takes longer is their cost."""
    idle = _run(postgres, emulator, template, {})[0]
    alone, _ = _run(postgres, emulator, template, dict([one]))
    apart, cpu = _run(postgres, emulator, template, several)
    files = alone.report["received"]
    runs = math.ceil(files / 300)
    seconds = _total(apart) - _total(alone)
    batch = max(seconds / (runs * (len(several) - 1)), 0.001)
    file = max((_total(alone) - runs * (_total(idle) + batch)) / files, 0.0001)
    database = min(cpu / (runs * len(several) * batch + file * files), 1.0)
    return Service(idle.seconds - _total(idle), _total(idle), batch, file, database)


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
        place.publish(interleaved(scrapes, place.store.bucket))
        with database_cpu(postgres) as used:
            run = programs.run((*command, "--until-empty"), variables)
        return run, used["database CPU"]
