"""Whatever happens to the messages of scrapes, core's batch import decides how it ends."""

from collections.abc import Iterator

import pytest
from hypothesis import given

from realtime.devstack import DevStack
from tests.schedules.check import Checker
from tests.schedules.plan import Schedule
from tests.schedules.strategies import schedules
from tests.support import Aws


@pytest.fixture(scope="module")
def checker(
    stack: DevStack, seeded_template: str, module_aws: Aws, django_db_blocker
) -> Iterator[Checker]:
    with django_db_blocker.unblock():
        checker = Checker(stack, seeded_template, module_aws)
        yield checker
        checker.close()
        print(dict(checker.tried))


@given(schedules(runs=1))
def test_import__any_schedule__ends_as_the_oracle_says(
    checker: Checker, schedule: Schedule
) -> None:
    checker.check(schedule)
