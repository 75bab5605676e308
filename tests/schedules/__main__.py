"""Try schedules that have failed once more, or search for new ones that do.

`python -m tests.schedules FILE …` tries the schedules in these files. `python -m tests.schedules
--minutes M` tries random ones until one fails, prints that as small as it could be made, and exits
with status 1; with status 0 when the time is over.
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
from tests.schedules.check import Checker
from tests.schedules.plan import Schedule
from tests.schedules.search import Found, Search
from tests.support import Aws, told

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
    parser.add_argument("--minutes", type=float, metavar="M", help="search for so long")
    parser.add_argument("--seed", type=int, metavar="S", help="search with this seed first")
    options = parser.parse_args()
    if bool(options.files) == bool(options.minutes):
        parser.error("name files to try, or --minutes to search")
    logging.disable(logging.CRITICAL)
    with checker() as checking:
        if options.minutes:
            return search(checking, options.minutes * 60, options.seed)
        return replay(checking, options.files)


@contextmanager
def checker() -> Iterator[Checker]:
    """A Checker on a stack of its own."""
    with DevStack() as stack:
        with using_database(stack.postgres.create_database(TEMPLATE)):
            migrate()
            load_jurisdiction("wy")
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
    began = said = time.monotonic()

    def progress(tried: int) -> None:
        nonlocal said
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"{(said - began) / 60:.0f} min: {tried:,} schedules", flush=True)

    searching = Search(checking.check, seconds, progress)
    try:
        searching.run(seed)
    except Found as found:
        print(f"{found}\n{found.schedule.as_json()}")
        print(f"{searching.tried:,} schedules tried, 1 failed, of seed {found.from_seed}")
        return 1
    print(f"{searching.tried:,} schedules tried, 0 failed: {told(checking.tried)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
