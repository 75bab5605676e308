"""Whatever happens to the messages of scrapes, the database ends as core's batch import leaves it.

`make test` tries a few schedules, `make test-long` thousands. One that fails is printed, to be
tried again with `python -m tests.schedules FILE`.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import given, note, settings
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import DevStack
from tests.schedules.check import Checker
from tests.schedules.plan import Schedule
from tests.schedules.strategies import schedules
from tests.support import TRIED, Aws

SCHEDULES = 2_000 if os.environ.get("REALTIME_TEST_LONG") else 25


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


@settings(max_examples=SCHEDULES, print_blob=True)
@given(schedules())
def test_import__any_schedule__ends_as_the_oracle_says(
    checker: Checker, schedule: Schedule
) -> None:
    note(f"python -m tests.schedules with this: {schedule.as_json()}")
    checker.check(schedule)
