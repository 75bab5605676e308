"""`python -m bench`: measures core's importers and ours on the same objects, and whole import runs.

Times are medians of pairs on the embedded stack; compare only ratios between machines. To measure
in several calls, write each with `--only SECTION --json > PIECE`, then merge them with
`--render PIECE…`.
"""

import argparse
import json
import logging
import os
import pickle
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

import django

django.setup()

from bench import (  # noqa: E402  (models)
    capacity,
    data,
    emulator,
    growth,
    importing,
    life,
    report,
    service_times,
    sooner,
    whole,
    workers,
)
from bench.proxy import delayed  # noqa: E402
from realtime.devstack import EmbeddedPostgres  # noqa: E402
from realtime.devstack.database import (  # noqa: E402
    load_jurisdiction,
    load_people,
    migrate,
    using_database,
)
from realtime.domain.jurisdictions import jurisdiction_of  # noqa: E402

TEMPLATE = "bench_template"
ONE_MILLISECOND = 0.001
SECTIONS = (
    *("loopback", "away", "large", "growth", "run", "startup", "workers", "sooner", "life"),
    "capacity",
)
GROUPS = {"importing": ("loopback", "away", "large"), "all": SECTIONS}


def main(arguments: Sequence[str] | None = None) -> None:
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(given)
    if "life" in options.only and not (options.data or options.life_files):
        parser().error("--life-files names no number: without --data nothing is left to measure")
    logging.disable(logging.CRITICAL)
    if options.render:
        pieces = [json.loads(path.read_text().splitlines()[-1]) for path in options.render]
    else:
        results = {}
        with prepared(options) as postgres:
            for name in (name for name in SECTIONS if name in options.only):
                print(f"{name} …", file=sys.stderr, flush=True)
                results[name] = RUN[name](postgres, options)
        command = report.command(given)
        pieces = [{"commands": [command], "machine": report.machine(), "results": results}]
    figures = report.merged(pieces)
    print(report.table(figures["results"]))
    if options.write:
        report.write(options.write, figures)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="bench", description=__doc__)
    add = made.add_argument
    add("--data", type=Path, metavar="FOLDER", help="scraped files (default: generated)")
    add("--people", type=Path, metavar="FOLDER", help="people to load first")
    add("--jurisdiction", default="wy", metavar="ABBR", help="jurisdiction of the files (wy)")
    add("--files", type=int, default=300, metavar="N", help="files in a batch (300)")
    add("--large", type=int, default=3000, metavar="N", help="files in a large batch (3000)")
    add("--pairs", type=int, default=5, metavar="N", help="pairs to measure (5)")
    add("--large-pairs", type=int, default=5, metavar="N", help="pairs for the large batch (5)")
    add("--held", type=int, nargs="+", default=[1_000, 100_000, 500_000], metavar="N",
        help="numbers of existing bills, for the section growth")  # fmt: skip
    add("--worker-files", type=int, default=3000, metavar="N", help="files for ten workers (3000)")
    add("--worker-pairs", type=int, default=1, metavar="N", help="pairs for ten workers (1)")
    add("--life-files", type=int, nargs="*", default=[2_000], metavar="N",
        help="numbers of generated files, for the section life (2000)")  # fmt: skip
    add("--life-pairs", type=int, default=3, metavar="N", help="pairs for the section life (3)")
    add("--capacity-times", type=int, nargs="+", default=[1, 10], metavar="N",
        help="how many times the load of all legislatures to simulate (1 10)")  # fmt: skip
    add("--endpoint", metavar="URL", help="running S3 and SQS (default: start them)")
    add("--only", type=sections, default=SECTIONS, metavar="SECTION,…",
        help=f"some of {', '.join(SECTIONS)}; importing means the first three")  # fmt: skip
    add("--render", type=Path, nargs="+", metavar="PIECE", help="render these, measure nothing")
    add("--write", type=Path, metavar="FILE", help="write tables and picture to this file")
    add("--json", action="store_true", help="print one JSON object as the last line")
    return made


def sections(text: str) -> tuple[str, ...]:
    """The sections in a list of sections and groups."""
    named = [section for name in text.split(",") for section in GROUPS.get(name, (name,))]
    for name in named:
        if name not in SECTIONS:
            raise argparse.ArgumentTypeError(f"{name!r} is not a section")
    return tuple(named)


@contextmanager
def prepared(options: argparse.Namespace) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as postgres:
        with using_database(postgres.create_database(TEMPLATE)):
            migrate()
            load_jurisdiction(options.jurisdiction)
            if options.people:
                load_people(options.people)
        yield postgres


def batch(options: argparse.Namespace, files: int) -> data.Scrape:
    if options.data:
        return data.read(options.data, files)
    return of_jurisdiction(options.jurisdiction, data.generate(files))


def of_jurisdiction(abbr: str, scrape: data.Scrape) -> data.Scrape:
    return data.moved(scrape, abbr, workers.JURISDICTIONS.get(abbr, abbr))


def compared(
    postgres: EmbeddedPostgres, options: argparse.Namespace, away: Any, files: int, pairs: int
) -> Any:
    scrape = batch(options, files)
    whose = jurisdiction_of(options.jurisdiction)
    return {
        "objects": data.size(scrape),
        "pairs": pairs,
        **importing.compare(postgres, TEMPLATE, whose, scrape, pairs, away),
    }


def loopback(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    return compared(postgres, options, nullcontext, options.files, options.pairs)


def away(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    farther = partial(delayed, seconds=ONE_MILLISECOND)
    return compared(postgres, options, farther, options.files, options.pairs)


def large(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    return compared(postgres, options, nullcontext, options.large, options.large_pairs)


def grown(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    """Seconds that our import of one batch takes, by the number of bills in the database."""
    jurisdiction_id = jurisdiction_of(options.jurisdiction)
    contents = importing.steps(batch(options, options.files))
    others = data.generate(options.files, first=1_000_000)
    warming = pickle.dumps(of_jurisdiction(options.jurisdiction, others))
    for held in options.held:
        template = f"{TEMPLATE}_{held}"
        with using_database(postgres.create_database(template, template=TEMPLATE)):
            growth.fill(jurisdiction_id, held)
    costs: dict[str, dict[int, list[float]]] = {
        name: {held: [] for held in options.held} for name in contents
    }
    # One more round than is counted: in the first the databases are not in the page cache.
    for number in range(options.pairs + 1):
        for held in options.held if number % 2 else reversed(options.held):
            with importing.scratch(postgres, f"{TEMPLATE}_{held}", nullcontext):
                # Fills the caches, as in a database in use.
                importing.import_once(importing.OURS, jurisdiction_id, warming)
                for name, content in contents.items():
                    cost = importing.import_once(importing.OURS, jurisdiction_id, content)
                    costs[name][held].append(cost.seconds)
    fewest, most = min(options.held), max(options.held)
    return {
        name: {
            "seconds": {str(held): statistics.median(some[1:]) for held, some in seconds.items()},
            "most ÷ fewest": statistics.median(
                m / f for m, f in zip(seconds[most][1:], seconds[fewest][1:], strict=True)
            ),
        }
        for name, seconds in costs.items()
    }


def run(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    whose = options.jurisdiction, jurisdiction_of(options.jurisdiction)
    with emulator.running(options.endpoint) as aws:
        # Generated for each pair, so that the lag starts at the pair's own scrape times.
        scrapes = (batch(options, options.files) for _ in range(options.pairs))
        return whole.run(postgres, aws, TEMPLATE, whose, scrapes)


def startup(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    with emulator.running(options.endpoint) as aws:
        return whole.start_up(postgres, aws, TEMPLATE, options.pairs)


@cache
def ten_jurisdictions(postgres: EmbeddedPostgres) -> str:
    """The template of a database with the jurisdictions of ten workers."""
    template = f"{TEMPLATE}_ten"
    with using_database(postgres.create_database(template, template=TEMPLATE)):
        for abbr in workers.JURISDICTIONS:
            load_jurisdiction(abbr)
    return template


def scrapes_of_ten(files: int) -> dict[tuple[str, str], Any]:
    """So many generated files, shared by ten jurisdictions, by abbreviation and id of each."""
    each = workers.share(files, list(workers.JURISDICTIONS))
    return {
        (abbr, jurisdiction_of(abbr)): of_jurisdiction(abbr, data.generate(each))
        for abbr in workers.JURISDICTIONS
    }


def ten_workers(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    """Core and ten workers on generated files of ten jurisdictions; `--data` is not used."""
    template, scrapes = ten_jurisdictions(postgres), scrapes_of_ten(options.worker_files)
    with emulator.running(options.endpoint) as aws:
        return workers.compare(postgres, aws, template, scrapes, options.worker_pairs)


def more_scrapers(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    """A simulation, with the service times of this machine, and held against a run on it."""
    template, abbr = ten_jurisdictions(postgres), next(iter(workers.JURISDICTIONS))
    one = of_jurisdiction(abbr, data.generate(options.worker_files))
    with emulator.running(options.endpoint) as aws:
        service = service_times.measure(
            postgres,
            aws,
            template,
            ((abbr, jurisdiction_of(abbr)), one),
            scrapes_of_ten(options.worker_files),
        )
        scrapes = scrapes_of_ten(options.worker_files)
        seconds = workers.by_workers(postgres, aws, template, scrapes)["seconds"]
    files, cores = [sum(map(len, scrape.values())) for scrape in scrapes.values()], os.cpu_count()
    predicted = capacity.predicted(files, len(files), cores or 1, service)
    most = max(options.capacity_times)
    return {
        "service": asdict(service),
        "check": {
            "files": sum(files), "cores": cores, "measured": seconds, "predicted": predicted
        },
        "compared": capacity.compared(service, options.capacity_times),
        "relieved times": most,
        "relieved": capacity.relieved(service, most),
    }  # fmt: skip


def visible_sooner(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    """How much sooner than by batch import files become visible; with `--data`, all its files."""
    whose = options.jurisdiction, jurisdiction_of(options.jurisdiction)
    everything = 1_000_000 if options.data else options.files
    with emulator.running(options.endpoint) as aws:
        return sooner.replay(postgres, aws, TEMPLATE, whose, batch(options, everything))


def whole_life(postgres: EmbeddedPostgres, options: argparse.Namespace) -> Any:
    """A file's whole life: of all files of `--data`, if given, and of generated ones."""
    abbr, whose = (
        options.jurisdiction,
        (options.jurisdiction, jurisdiction_of(options.jurisdiction)),
    )
    with emulator.running(options.endpoint) as aws:
        bench = life.Bench(postgres, aws, TEMPLATE)
        with life.generated(of_jurisdiction(abbr, data.generate(4)), whose) as few:
            bench.warm_up(few)
        sizes = []
        if options.data:
            folder = life.Folder(options.data.resolve().name, options.data.resolve(), whose)
            sizes.append(bench.compare(folder, options.life_pairs))
        for files in options.life_files:
            with life.generated(of_jurisdiction(abbr, data.generate(files)), whose) as folder:
                sizes.append(bench.compare(folder, options.life_pairs))
        idle = bench.idle()
        return {
            "emulator": aws.name,
            "sizes": sizes,
            "a million": [life.a_million(size, idle) for size in sizes],
        }


RUN = {
    "loopback": loopback,
    "away": away,
    "large": large,
    "growth": grown,
    "run": run,
    "startup": startup,
    "workers": ten_workers,
    "sooner": visible_sooner,
    "life": whole_life,
    "capacity": more_scrapers,
}

if __name__ == "__main__":
    main()
