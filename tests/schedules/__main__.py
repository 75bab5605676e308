"""Replays schedules, or searches for schedules that fail.

`python -m tests.schedules FILE …` replays the schedules in these files. `python -m tests.schedules
--minutes M` tries random ones. At the first failure it prints the smallest schedule that still
fails and exits with status 1. When the time is over it exits with status 0.
"""

import argparse
import logging
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tests.oracle  # noqa: F401  (sets Django up)
from realtime.devstack import DevStack
from realtime.devstack.database import load_jurisdiction, migrate, using_database
from tests.schedules import content
from tests.schedules.check import Checker
from tests.schedules.plan import Schedule
from tests.schedules.search import Found, Search
from tests.support import Aws, as_line, use_memory_for_files

TEMPLATE = "template"
# Seconds between two lines of progress.
PROGRESS_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests.schedules",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help="schedules as JSON")
    parser.add_argument("--minutes", type=float, metavar="M", help="minutes to search")
    parser.add_argument("--seed", type=int, metavar="S", help="first seed of the search")
    options = parser.parse_args()
    if bool(options.files) == bool(options.minutes):
        parser.error("name files to replay, or --minutes to search")
    logging.disable(logging.CRITICAL)
    with checker() as checking:
        if options.minutes:
            return search(checking, options.minutes * 60, options.seed)
        return replay(checking, options.files)


@contextmanager
def checker() -> Iterator[Checker]:
    """A Checker on a new embedded stack."""
    use_memory_for_files()
    with DevStack() as stack:
        with using_database(stack.postgres.create_database(TEMPLATE)):
            migrate()
            for state in content.JURISDICTIONS:
                load_jurisdiction(state)
        name = f"schedules-{uuid.uuid4().hex[:8]}"
        aws = Aws(stack.aws.s3(), stack.aws.sqs(), name, "", stack.aws.environment())
        checking = Checker(stack, TEMPLATE, aws)
        yield checking
        checking.close()


def replay(checking: Checker, paths: Sequence[Path]) -> int:
    failed = 0
    for path in paths:
        try:
            checking.check(Schedule.from_json(path.read_text()))
        except AssertionError as exc:
            failed += 1
            print(f"{path}: {exc}", flush=True)
        else:
            print(f"{path}: as the oracle says", flush=True)
    return 1 if failed else 0


def search(checking: Checker, seconds: float, seed: int | None) -> int:
    began = last_shown = time.monotonic()

    def progress(tried: int) -> None:
        nonlocal last_shown
        if time.monotonic() - last_shown >= PROGRESS_SECONDS:
            last_shown = time.monotonic()
            print(f"{(last_shown - began) / 60:.0f} min: {tried:,} schedules", flush=True)

    searching = Search(checking.check, seconds, progress)
    try:
        searching.run(seed)
    except Found as found:
        print(f"{found}\n{found.schedule.as_json()}")
        print(f"{searching.tried:,} schedules tried, 1 failed, with seed {found.from_seed}")
        return 1
    print(f"{searching.tried:,} schedules tried, 0 failed: {as_line(checking.tried)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
