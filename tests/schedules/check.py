"""Carries out one schedule and compares the result with the oracle."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from django.apps import apps
from django.db import connection, transaction
from openstates.data import models as data
from openstates.utils.people import to_database

from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.models import File, Outcome
from tests import oracle, rows
from tests.schedules import content
from tests.schedules.plan import BEFORE, Schedule
from tests.schedules.world import World
from tests.support import Aws

_SAVE = "CREATE TABLE saved AS SELECT * FROM opencivicdata_jurisdiction"
_RESTORE = (
    "DELETE FROM opencivicdata_jurisdiction;"
    "INSERT INTO opencivicdata_jurisdiction SELECT * FROM saved"
)


class Checker:
    """Checks schedules in two databases copied from `template`: ours, and the oracle's."""

    def __init__(self, stack: DevStack, template: str, aws: Aws) -> None:
        self._stack = stack
        self._template = template
        self._aws = aws
        self._number = 0
        self._names = [f"{aws.bucket}-ours", f"{aws.bucket}-truth"]
        self._ours, self._truth = (
            stack.postgres.create_database(name, template=template) for name in self._names
        )
        self.tried: Counter[str] = Counter()
        with using_database(self._ours), connection.cursor() as cursor:
            cursor.execute(_SAVE)

    def close(self) -> None:
        for name in self._names:
            self._stack.postgres.drop_database(name)

    def _fresh_aws(self) -> Aws:
        """A new bucket and queue for one schedule, with the same clients."""
        name = f"{self._aws.bucket}-{self._number}"
        self._aws.s3.create_bucket(Bucket=name)
        queue_url = self._aws.sqs.create_queue(QueueName=name)["QueueUrl"]
        environment = {
            **self._aws.environment,
            "S3_REALTIME_BASE": f"s3://{name}",
            "SQS_QUEUE_URL": queue_url,
        }
        return replace(self._aws, bucket=name, queue_url=queue_url, environment=environment)

    def check(self, schedule: Schedule) -> None:
        """Raises AssertionError with the differences when the schedule ends unlike the oracle."""
        self._number += 1
        aws = self._fresh_aws()
        with using_database(self._ours), _quiet():
            _empty()
            _prepare(schedule)
            world = World(schedule, aws, self._ours)
            world.carry_out()
            assert world.left_in_queue() == 0
            in_pieces, deleting, failed = rows.dump(), world.deleting(), _failed(schedule)
            closed = len(schedule.runs) - len(deleting)
        self._aws.sqs.delete_queue(QueueUrl=aws.queue_url)
        with using_database(self._truth), _quiet():
            expected, refused = _truth(schedule, deleting)
        found = list(rows.differences(expected, in_pieces))
        assert not found, "\n".join([f"{len(found)} differences", *found])
        assert failed == refused, (
            f"failed without need: {failed - refused}, core would have raised: {refused - failed}"
        )
        self.tried += world.tried + Counter(
            {"schedules": 1, "scrape runs": len(schedule.runs), "runs closed": closed}
        )


def _empty() -> None:
    """Reset the database to its template; faster than copying that again."""
    kept = (data.Jurisdiction, data.Division, data.Organization, data.Post)
    models = [
        model for app in ("data", "realtime") for model in apps.get_app_config(app).get_models()
    ]
    tables = [model._meta.db_table for model in models if model not in kept]
    with transaction.atomic(), connection.cursor() as cursor:
        # Disables foreign key checks, so that the order of tables does not matter.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("".join(f'DELETE FROM "{table}";' for table in tables) + _RESTORE)
    # Core's cache of organizations may hold rows of another database.
    to_database.cached_lookup.cache_clear()


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _prepare(schedule: Schedule) -> None:
    """Import the people, and the files of before the first run, with core's importers."""
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
            final=schedule.runs[number].ends,
        )
        for number in range(len(schedule.runs))
    ]
    with transaction.atomic():
        _prepare(schedule)
        refused = oracle.import_runs(runs, content.JURISDICTION)
        dump = rows.dump()
        transaction.set_rollback(True)
    return dump, {file.id for file in refused if not file.unresolved}


def _failed(schedule: Schedule) -> set[str]:
    """The `_id`s of the files that failed for another reason than `unresolved`."""
    parked = File.objects.filter(outcome=Outcome.DEFERRED)
    # Parked files of a run that has not ended may wait for a day.
    ended = [schedule.run_id(number) for number, run in enumerate(schedule.runs) if run.ends]
    assert not parked.filter(run_id__in=ended).exists(), "files are still parked"
    failed = File.objects.filter(outcome=Outcome.FAILED).exclude(reason="unresolved")
    return set(failed.values_list("scrape_id", flat=True))
