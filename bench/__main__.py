"""`python -m bench`: the same files through core's batch import and through import runs, in turn.

Times are seconds of one process on the embedded stack, medians of the pairs; only the ratio is
worth comparing between machines.
"""

import argparse
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

import django

django.setup()

from django.db import connection  # noqa: E402  (models need Django to be set up)

from realtime import ingest  # noqa: E402
from realtime.config import load  # noqa: E402
from realtime.devstack import DevStack  # noqa: E402
from realtime.devstack.database import (  # noqa: E402
    load_jurisdiction,
    load_people,
    migrate,
    using_database,
)
from realtime.fetching import jurisdiction_of  # noqa: E402
from realtime.inbox import QueueInbox  # noqa: E402
from realtime.s3 import S3Store  # noqa: E402
from realtime.sqs import SqsQueue  # noqa: E402
from tests import oracle, scrapes  # noqa: E402

TEMPLATE = "bench_template"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="a folder that core scraped")
    parser.add_argument("--people", type=Path, metavar="FOLDER", help="people to load before")
    parser.add_argument("--jurisdiction", default="wy", metavar="ABBR", help="whose it is (wy)")
    parser.add_argument("--files", type=int, default=300, metavar="N", help="how many files (300)")
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="how many pairs (5)")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as made, DevStack() as stack:
        folder = options.data or generate(Path(made), options.files)
        paths = choose(folder, options.files)
        with using_database(stack.postgres.create_database(TEMPLATE)):
            migrate()
            load_jurisdiction(options.jurisdiction)
            if options.people:
                load_people(options.people)
        pairs = []
        for number in range(options.pairs):
            pairs.append(measure(stack, paths, options.jurisdiction, number))
            print(f"pair {number + 1} of {options.pairs}: {told(pairs[-1])}", file=sys.stderr)
    figures = {name: statistics.median(pair[name] for pair in pairs) for name in pairs[0]}
    print(f"{len(paths)} files, medians of {options.pairs} pairs: {told(figures)}")
    if options.json:
        print(json.dumps({"files": len(paths), "pairs": options.pairs, **figures}))


def told(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in figures.items())


def generate(folder: Path, files: int) -> Path:
    """Bills with two votes each, and the jurisdiction."""
    made: list[dict[str, Any]] = [scrapes.jurisdiction()]
    for number in range(files // 3):
        bill = scrapes.bill(f"HB {number + 1}", actions=8)
        made += [bill, scrapes.vote_event(bill, "passage"), scrapes.vote_event(bill, "reading")]
    for data in made:
        name = data["_id"].replace("/", "-")
        (folder / f"{scrapes.type_of(data)}_{name}.json").write_text(json.dumps(data))
    return folder


def choose(folder: Path, files: int) -> list[Path]:
    """The jurisdiction, and the first files in the order of their scrape."""
    rest = [p for t in ("bill", "vote_event", "event") for p in folder.glob(f"{t}_*.json")]
    rest.sort(key=lambda path: oracle.read([path])[0].order)
    return [*folder.glob("jurisdiction_*.json"), *rest[: files - 1]]


def measure(stack: DevStack, paths: list[Path], abbr: str, number: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    both = [("core", core), ("ours", ours)]
    # Whoever goes first finds the machine in another state.
    for name, way in both if number % 2 else reversed(both):
        database = f"bench_{name}_{number}"
        with using_database(stack.postgres.create_database(database, template=TEMPLATE)):
            figures.update(way(stack, paths, abbr))
            connection.close()
        stack.postgres.drop_database(database)
    figures["core ÷ import"] = figures["core"] / figures["import"]
    figures["core ÷ whole run"] = figures["core"] / figures["total"]
    return dict(sorted(figures.items()))


def core(stack: DevStack, paths: list[Path], abbr: str) -> dict[str, float]:
    start = time.perf_counter()
    oracle.import_files(paths, jurisdiction_of(abbr))
    return {"core": time.perf_counter() - start}


def ours(stack: DevStack, paths: list[Path], abbr: str) -> dict[str, float]:
    bucket = f"bench-{random.randrange(10**9)}"
    stack.aws.create_bucket(bucket)
    environment = {
        **stack.environment(),
        "S3_REALTIME_BASE": f"s3://{bucket}",
        "SQS_QUEUE_URL": stack.aws.create_queue(bucket),
    }
    config = load(environment)
    store, queue = S3Store(bucket, stack.aws.s3()), SqsQueue(config.queue_url, stack.aws.sqs())
    for at in range(0, len(paths), 10):
        bodies = []
        for path in paths[at : at + 10]:
            key = f"{abbr}/{path.name}"
            store.put(key, path.read_bytes(), {})
            body = {"file_path": key, "bucket": bucket, "jurisdiction_id": jurisdiction_of(abbr)}
            bodies.append(json.dumps(body))
        queue.send(bodies)
    inbox = QueueInbox(queue, config.visibility_timeout)
    limits = ingest.Limits(len(paths), False, lambda: False)
    report = ingest.run(config, inbox, store, limits)
    assert report.outcomes["failed"] + report.outcomes["released"] == 0
    return {**report.seconds, "statements": float(report.statements)}


main()
