"""Measures whole runs of `import_realtime`, started as by cron after files were published."""

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from functools import cache
from typing import Any
from uuid import uuid4

from bench import programs
from bench.data import Scrape, files_of
from bench.emulator import Emulator, Place
from bench.importing import scratch
from bench.programs import MANAGE, Finished
from realtime.devstack import EmbeddedPostgres

STAGES = ("receive", "fetch", "import", "acknowledge", "archive", "finalize", "total")
_BASELINE = (sys.executable, "-c", "import django, boto3, psycopg2")


@cache
def importers() -> tuple[str, ...]:
    """The values of `import_realtime --importer`, the default first."""
    shown = programs.text((*MANAGE, "import_realtime", "--help"), programs.environment())
    return ("bulk", "core") if "{bulk,core}" in shown else ("core",)


def messages(
    scrape: Scrape, whose: tuple[str, str], bucket: str, **more: str
) -> list[tuple[str, bytes, str]]:
    """Key, content and message of each file; `whose` is the jurisdiction's abbreviation and id."""
    published = []
    for name, content in files_of(scrape):
        key = f"{whose[0]}/{name}"
        message = {"file_path": key, "bucket": bucket, "jurisdiction_id": whose[1], **more}
        published.append((key, content, json.dumps(message)))
    return published


def start_up(
    postgres: EmbeddedPostgres, emulator: Emulator, template: str, pairs: int
) -> dict[str, Any]:
    """`import_realtime` on an empty queue, beside a Python that only loads its libraries."""
    ours: list[Finished] = []
    beside: list[Finished] = []
    place = emulator.place()
    command = (*MANAGE, "import_realtime", "--json")
    with scratch(postgres, template, nullcontext) as url:
        variables = programs.environment(**place.environment, DATABASE_URL=url)
        for number in range(pairs + 1):
            both = [(command, ours), (_BASELINE, beside)]
            for program, found in both if number % 2 else reversed(both):
                found.append(programs.run(program, variables))
    # The first run of each compiled its modules.
    ours, beside = ours[1:], beside[1:]
    return {
        "seconds": statistics.median(run.seconds for run in ours),
        "cpu_seconds": statistics.median(run.cpu_seconds for run in ours),
        "statements": ours[0].report["statements"],
        "peak_mib": statistics.median(run.peak_mib for run in ours),
        "beside": {
            "seconds": statistics.median(run.seconds for run in beside),
            "cpu_seconds": statistics.median(run.cpu_seconds for run in beside),
        },
        "ours ÷ beside": statistics.median(
            o.seconds / b.seconds for o, b in zip(ours, beside, strict=True)
        ),
    }


def run(
    postgres: EmbeddedPostgres,
    emulator: Emulator,
    template: str,
    whose: tuple[str, str],
    scrapes: Iterable[Scrape],
) -> dict[str, Any]:
    """Import each of `scrapes` with each importer, and once more with the default importer and the
    end of the scrape run, which finalizes it. `whose` is the jurisdiction's abbreviation and id."""
    ways = [(name, name, False) for name in importers()]
    ways.append((f"{importers()[0]}, and the scrape is complete", importers()[0], True))
    runs: dict[str, list[Finished]] = {name: [] for name, _, _ in ways}
    idle: list[Finished] = []
    for number, scrape in enumerate(scrapes):
        for name, importer, complete in ways if number % 2 else reversed(ways):
            with scratch(postgres, template, nullcontext) as url:
                place = emulator.place()
                here = programs.environment(**place.environment, DATABASE_URL=url)
                idle.append(_import(here, importer, 10))
                files = _publish(place, scrape, whose, complete)
                runs[name].append(_import(here, importer, files))
                _check(runs[name][-1], files)
    idle_mib = statistics.median(run.peak_mib for run in idle)
    return {
        "emulator": emulator.name,
        "files": runs[ways[0][0]][0].report["received"],
        "idle peak_mib": idle_mib,
        "runs": {name: _figures(some, idle_mib) for name, some in runs.items()},
    }


def _publish(place: Place, scrape: Scrape, whose: tuple[str, str], complete: bool) -> int:
    run_id = str(uuid4())
    more = {"run_id": run_id} if complete else {}
    files = messages(scrape, whose, place.store.bucket, **more)
    place.publish(files)
    if not complete:
        return len(files)
    end = {
        "run_id": run_id,
        "bucket": place.store.bucket,
        "jurisdiction_id": whose[1],
        "run_finished": {
            "started_at": "2000-01-01T00:00:00+00:00",
            "finished_at": "2100-01-01T00:00:00+00:00",
            "objects": {name: len(objects) for name, objects in scrape.items()},
            "scrapers": {},
        },
    }
    place.queue.send([json.dumps(end)])
    return len(files) + 1


def _import(variables: dict[str, str], importer: str, at_most: int) -> Finished:
    chosen = ("--importer", importer, "--max-messages", str(at_most))
    return programs.run((*MANAGE, "import_realtime", "--json", *chosen), variables)


def _check(run: Finished, files: int) -> None:
    report = run.report
    if report["received"] != files or report["failed"] or report["released"]:
        raise RuntimeError(f"the run did not import its {files} files: {report}")


def _median_if_measured(lags: Sequence[float | None]) -> float | None:
    """None for files of an old scrape, whose lag is not measured."""
    known = [lag for lag in lags if lag is not None]
    return statistics.median(known) if known else None


def _figures(runs: Sequence[Finished], idle_mib: float) -> dict[str, Any]:
    reports = [run.report for run in runs]
    return {
        "seconds": {
            stage: statistics.median(report["seconds"].get(stage, 0.0) for report in reports)
            for stage in STAGES
        },
        "process seconds": statistics.median(run.seconds for run in runs),
        "process ÷ import": statistics.median(
            run.seconds / run.report["seconds"]["import"] for run in runs
        ),
        "total ÷ import": statistics.median(
            report["seconds"]["total"] / report["seconds"]["import"] for report in reports
        ),
        "lag_seconds": {
            name: _median_if_measured([report["lag_seconds"][name] for report in reports])
            for name in ("p50", "p95")
        },
        "statements": statistics.median(report["statements"] for report in reports),
        "peak_mib": statistics.median(run.peak_mib for run in runs) - idle_mib,
    }
