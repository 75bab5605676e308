"""One schedule against the oracle."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.models import File, Outcome
from tests import oracle, rows
from tests.schedules import content
from tests.schedules.plan import BEFORE, Schedule
from tests.schedules.world import World
from tests.support import Aws


class Checker:
    """Checks schedules, each on a database of its own, copied from `template`."""

    def __init__(self, stack: DevStack, template: str, aws: Aws) -> None:
        self._stack = stack
        self._template = template
        self._aws = aws
        self._number = 0
        self._truth = stack.postgres.create_database(f"{aws.bucket}-truth", template=template)
        self.tried: Counter[str] = Counter()

    def close(self) -> None:
        self._stack.postgres.drop_database(f"{self._aws.bucket}-truth")

    def check(self, schedule: Schedule) -> None:
        """Raises AssertionError, with what differs, unless it ends as the oracle says."""
        self._number += 1
        name = f"{self._aws.bucket}-{self._number}"
        url = self._stack.postgres.create_database(name, template=self._template)
        try:
            with using_database(url), _quiet():
                _prepare(schedule)
                world = World(schedule, self._aws, url)
                world.carry_out()
                self.tried += world.tried
                self.tried["schedules"] += 1
                self.tried["runs"] += len(schedule.runs)
                assert world.left_in_queue() == 0
                in_pieces, deleting, failed = rows.dump(), world.deleting(), _failed(schedule)
        finally:
            self._stack.postgres.drop_database(name)
            self._aws.sqs.purge_queue(QueueUrl=self._aws.queue_url)
        with using_database(self._truth), _quiet():
            expected, refused = _truth(schedule, deleting)
        found = list(rows.differences(expected, in_pieces))
        assert not found, "\n".join([f"{len(found)} differences", *found])
        assert failed == refused, "other files failed than core would have raised for"


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _prepare(schedule: Schedule) -> None:
    """The people, and what core imported before our time."""
    before = [f for f, s in zip(schedule.scraped, schedule.files, strict=True) if s.run == BEFORE]
    people = [oracle.ScrapedFile("person", text, 0) for text in content.people(schedule.people)]
    session = oracle.ScrapedFile("jurisdiction", content.first_session(), 0)
    oracle.import_scrapes(
        [[*people, *([session] if before else []), *before]], content.JURISDICTION
    )


def _truth(schedule: Schedule, deleting: set[int]) -> tuple[list[str], set[str]]:
    runs = [
        oracle.Run(
            schedule.started(number),
            [f for f, s in zip(schedule.scraped, schedule.files, strict=True) if s.run == number],
            deletes=number in deleting,
        )
        for number in range(len(schedule.runs))
    ]
    with transaction.atomic():
        _prepare(schedule)
        refused = oracle.import_runs(runs, content.JURISDICTION)
        dump = rows.dump()
        transaction.set_rollback(True)
    return dump, {one.id for one in refused if not one.unresolved}


def _failed(schedule: Schedule) -> set[str]:
    """The `_id`s of the files that failed, and not for want of what they name."""
    waiting = File.objects.filter(outcome=Outcome.DEFERRED)
    # Only a run that says that it ended gives up.
    ended = [schedule.run_id(number) for number, run in enumerate(schedule.runs) if run.ends]
    assert not waiting.filter(run_id__in=ended).exists(), "files are still parked"
    failed = File.objects.filter(outcome=Outcome.FAILED).exclude(reason="unresolved")
    return set(failed.values_list("scrape_id", flat=True))
