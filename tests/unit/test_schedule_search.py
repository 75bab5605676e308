import time

import pytest

from tests.schedules.plan import Schedule
from tests.schedules.search import Found, Search


def test_search__a_schedule_fails__reported_small_with_its_reason() -> None:
    def check(schedule: Schedule) -> None:
        crashes = [step.crash for step in schedule.steps if step.crash is not None]
        assert not crashes, f"died {len(crashes)} times"

    search = Search(check, seconds=60)
    with pytest.raises(Found) as caught:
        search.run(first_seed=3)

    assert str(caught.value).startswith("died 1 times")
    assert len([step for step in caught.value.schedule.steps if step.crash is not None]) == 1
    # As it is printed it fails once more.
    with pytest.raises(AssertionError):
        check(Schedule.from_json(caught.value.schedule.as_json()))
    assert search.tried >= 1


def test_search__same_seed__same_schedules() -> None:
    def first_failing(limit: int) -> str:
        def check(schedule: Schedule) -> None:
            assert len(schedule.files) < limit

        with pytest.raises(Found) as caught:
            Search(check, seconds=60).run(first_seed=7)
        return caught.value.schedule.as_json()

    assert first_failing(5) == first_failing(5)


def test_search__nothing_fails__ends_with_its_time() -> None:
    search = Search(lambda schedule: None, seconds=0.5)
    began = time.monotonic()

    search.run()

    assert search.tried > 0
    assert time.monotonic() - began < 30


def test_search__time_over_while_a_failure_is_made_smaller__still_reported() -> None:
    def check(schedule: Schedule) -> None:
        time.sleep(0.05)
        assert not schedule.files

    with pytest.raises(Found):
        Search(check, seconds=0.2).run(first_seed=1)
