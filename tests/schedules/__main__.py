"""`python -m tests.schedules FILE …`: try schedules that a failing test has printed once more."""

import argparse
import logging
import sys
import uuid
from pathlib import Path

import tests.oracle  # noqa: F401  (sets Django up)
from realtime.devstack import DevStack
from realtime.devstack.database import load_jurisdiction, migrate, using_database
from tests.schedules.check import Checker
from tests.schedules.plan import Schedule
from tests.support import Aws

TEMPLATE = "template"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.schedules", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    failed = 0
    with DevStack() as stack:
        with using_database(stack.postgres.create_database(TEMPLATE)):
            migrate()
            load_jurisdiction("wy")
        name = f"schedules-{uuid.uuid4().hex[:8]}"
        aws = Aws(stack.aws.s3(), stack.aws.sqs(), name, "", stack.aws.environment())
        checker = Checker(stack, TEMPLATE, aws)
        for path in options.files:
            try:
                checker.check(Schedule.from_json(path.read_text()))
            except AssertionError as exc:
                failed += 1
                print(f"{path}: {exc}", flush=True)
            else:
                print(f"{path}: as the oracle says", flush=True)
        checker.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
