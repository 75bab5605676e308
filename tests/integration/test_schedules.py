"""Whatever happens to the messages of scrapes, the database ends as core's batch import leaves it.

`make test` tries a few schedules, the same each time, `make test-long` thousands, and `make
test-search` random ones. One that fails is printed, to be tried again with `python -m
tests.schedules FILE`; those that failed once are kept in `tests/data/schedules`.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, note, settings
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import DevStack
from tests.schedules.check import Checker
from tests.schedules.plan import Schedule
from tests.schedules.strategies import schedules
from tests.support import ROOT, TRIED, Aws

FAILED_ONCE = sorted((ROOT / "tests/data/schedules").glob("*.json"))
SCHEDULES = 2_000 if os.environ.get("REALTIME_TEST_LONG") else 15


@pytest.fixture(scope="module")
def checker(
    stack: DevStack,
    seeded_template: str,
    module_aws: Aws,
    django_db_blocker: _DatabaseBlocker,
) -> Iterator[Checker]:
    with django_db_blocker.unblock():
        checker = Checker(stack, seeded_template, module_aws)
        yield checker
        checker.close()
    TRIED["schedules against the oracle"].update(checker.tried)


# Made smaller by `make test-search`, where that takes nobody's time.
@settings(max_examples=SCHEDULES, phases=[Phase.generate])
@given(schedules())
def test_import__any_schedule__ends_as_the_oracle_says(
    checker: Checker, schedule: Schedule
) -> None:
    note(f"python -m tests.schedules with this: {schedule.as_json()}")
    checker.check(schedule)


def test_schedule__its_run_becomes_final__is_replayed_in_full(checker: Checker) -> None:
    """Else nobody would see that the search does not try that any more."""
    before = checker.tried["finalizations replayed in full"]
    checker.check(Schedule.from_json(FAILED_ONCE[0].read_text()))
    assert checker.tried["finalizations replayed in full"] > before


@pytest.mark.parametrize("path", FAILED_ONCE, ids=lambda path: path.stem)
def test_import__schedule_that_failed_once__ends_as_the_oracle_says(
    checker: Checker, path: Path
) -> None:
    checker.check(Schedule.from_json(path.read_text()))
