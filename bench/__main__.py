"""`python -m bench`: core's importers and ours over the same objects, in turn.

Times are seconds of one process on the embedded stack, medians of the pairs; only ratios are
worth comparing between machines.
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
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

import django

django.setup()

from bench import data, growth, importing, report  # noqa: E402  (models need Django to be set up)
from bench.proxy import delayed  # noqa: E402
from realtime.devstack import DevStack  # noqa: E402
from realtime.devstack.database import (  # noqa: E402
    load_jurisdiction,
    load_people,
    migrate,
    using_database,
)
from realtime.fetching import jurisdiction_of  # noqa: E402

TEMPLATE = "bench_template"
ONE_MILLISECOND = 0.001
SECTIONS = ("loopback", "away", "large", "growth")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a folder that core scraped")
    parser.add_argument("--people", type=Path, metavar="FOLDER", help="people to load before")
    parser.add_argument("--jurisdiction", default="wy", metavar="ABBR", help="whose it is (wy)")
    parser.add_argument("--files", type=int, default=300, metavar="N", help="a batch (300)")
    parser.add_argument("--large", type=int, default=3000, metavar="N", help="a large one (3000)")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="how many pairs (5)")
    parser.add_argument("--held", type=int, nargs="+", default=[1_000, 100_000, 500_000],
                        metavar="N", help="bills that are in already, for growth")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put table and picture here")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    with prepared(options) as stack:
        results = {name: RUN[name](stack, options) for name in SECTIONS if name in options.only}
    print(report.table(results))
    if options.write:
        report.write(options.write, results, ["python -m bench", *(arguments or sys.argv[1:])])
    if options.json:
        print(json.dumps(results, ensure_ascii=False))


@contextmanager
def prepared(options: argparse.Namespace) -> Iterator[DevStack]:
    with DevStack() as stack:
        with using_database(stack.postgres.create_database(TEMPLATE)):
            migrate()
            load_jurisdiction(options.jurisdiction)
            if options.people:
                load_people(options.people)
        yield stack


def batch(options: argparse.Namespace, files: int) -> data.Scrape:
    return data.read(options.data, files) if options.data else data.generate(files)


def compared(stack: DevStack, options: argparse.Namespace, *, away: Any, files: int) -> Any:
    scrape = batch(options, files)
    print(f"{data.size(scrape)} objects, {options.pairs} pairs", file=sys.stderr)
    return {
        "objects": data.size(scrape),
        **importing.compare(
            stack, TEMPLATE, jurisdiction_of(options.jurisdiction), scrape, options.pairs, away
        ),
    }


def loopback(stack: DevStack, options: argparse.Namespace) -> Any:
    return compared(stack, options, away=nullcontext, files=options.files)


def away(stack: DevStack, options: argparse.Namespace) -> Any:
    farther = partial(delayed, seconds=ONE_MILLISECOND)
    return compared(stack, options, away=farther, files=options.files)


def large(stack: DevStack, options: argparse.Namespace) -> Any:
    return compared(stack, options, away=nullcontext, files=options.large)


def grown(stack: DevStack, options: argparse.Namespace) -> Any:
    """Seconds of our import of one batch, by the bills that the database holds already."""
    jurisdiction_id = jurisdiction_of(options.jurisdiction)
    content = pickle.dumps(batch(options, options.files))
    costs: dict[int, list[float]] = {held: [] for held in options.held}
    for held in options.held:
        template = f"{TEMPLATE}_{held}"
        with using_database(stack.postgres.create_database(template, template=TEMPLATE)):
            growth.fill(jurisdiction_id, held)
    for _ in range(options.pairs):
        for held, seconds in costs.items():
            with importing.scratch(stack, f"{TEMPLATE}_{held}", nullcontext):
                cost = importing.import_once(importing.OURS, jurisdiction_id, content)
                seconds.append(cost.seconds)
    return {str(held): statistics.median(seconds) for held, seconds in costs.items()}


RUN = {"loopback": loopback, "away": away, "large": large, "growth": grown}

main()
