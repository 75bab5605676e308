"""The oracle's two ways to the truth agree where both apply."""

import os
from dataclasses import replace

from django.db import transaction
from hypothesis import HealthCheck, given, settings

from tests import oracle, rows
from tests.schedules import content
from tests.schedules.check import import_everyone, prepare
from tests.schedules.plan import Schedule
from tests.schedules.strategies import LENGTH, schedules

SCHEDULES = 300 if os.environ.get("REALTIME_TEST_LONG") else 15


def dump_of(schedule: Schedule, overlapping: bool) -> list[str]:
    numbers = range(len(schedule.runs))
    files = [
        [f for f, s in zip(schedule.scraped, schedule.files, strict=True) if s.run == number]
        for number in numbers
    ]
    with transaction.atomic():
        import_everyone()
        prepare(schedule)
        if overlapping:
            runs = [oracle.Run(schedule.started(number), files[number]) for number in numbers]
            oracle.import_runs(runs, content.JURISDICTION)
        else:
            oracle.import_scrapes(files, content.JURISDICTION)
        dump = rows.dump()
        transaction.set_rollback(True)
    return dump


# Every example leaves the database as it was.
@settings(max_examples=SCHEDULES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedules(runs=2, neighbour=False))
def test_import_runs__runs_one_after_the_other__as_core_imports_them(
    database: str, schedule: Schedule
) -> None:
    first, second = schedule.runs
    later = LENGTH + 1 - second.started
    apart = replace(
        schedule,
        runs=(
            replace(first, ahead=0),
            replace(second, started=LENGTH + 1, finished=2 * LENGTH + 1, ahead=0),
        ),
        files=tuple(
            replace(file, slot=file.slot + later) if file.run == 1 else file
            for file in schedule.files
        ),
    )
    in_turn = dump_of(apart, overlapping=False)
    assert list(rows.differences(in_turn, dump_of(apart, overlapping=True))) == []
