"""Carries out one schedule and compares the result with the oracle."""

import logging
import re
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from django.apps import apps
from django.db import connection, transaction
from openstates.data import models as data
from openstates.utils.people import to_database

from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.models import File, Outcome
from tests import oracle, rows
from tests.schedules import content
from tests.schedules.plan import APART, BEFORE, Schedule
from tests.schedules.stamps import Stamps
from tests.schedules.world import World, add_committee
from tests.support import Aws

# Where a copy of each table is that is not empty before the first schedule.
_SAVED = "saved"


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
        for url in (self._ours, self._truth):
            with using_database(url), _quiet():
                import_everyone()
                _save()
        self._stamps = Stamps(self._ours)

    def close(self) -> None:
        self._stamps.close()
        for name in self._names:
            self._stack.postgres.drop_database(name)

    def _fresh_aws(self, versioned: bool) -> Aws:
        """A new bucket and queue for one schedule, with the same clients."""
        name = f"{self._aws.bucket}-{self._number}"
        self._aws.s3.create_bucket(Bucket=name)
        if versioned:
            self._aws.s3.put_bucket_versioning(
                Bucket=name, VersioningConfiguration={"Status": "Enabled"}
            )
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
        aws = self._fresh_aws(schedule.versioned)
        with using_database(self._ours), _quiet():
            _empty()
            prepare(schedule)
            before = _Before()
            world = World(schedule, aws, self._ours, self._stamps)
            world.carry_out()
            world.close()
            books = world.books()
            before.check_updates(world)
            in_pieces = _Result.now(before)
            _check_parked(schedule)
            closed = len(schedule.runs) - len(world.deleting)
        self._aws.sqs.delete_queue(QueueUrl=aws.queue_url)
        with using_database(self._truth), _quiet():
            expected, refused = _truth(schedule, books.lost, world)
        _compare(expected, in_pieces, schedule)
        assert world.failed == refused, (
            f"failed without need: {world.failed - refused},"
            f" core would have raised: {refused - world.failed}"
        )
        self.tried += world.tried + Counter(
            {"schedules": 1, "scrape runs": len(schedule.runs), "runs closed": closed}
        )


class _Before:
    """What was in the database before the first file."""

    def __init__(self) -> None:
        self._names = rows.names()
        self._updates = _updates()

    def kept(self) -> list[str]:
        """Those of its bills, vote events and events that are still there under their ids."""
        return sorted(self._names[name] for name in self._names.keys() & rows.names().keys())

    def check_updates(self, world: World) -> None:
        """Asserts that each jurisdiction says that it was updated if it was, and only then."""
        for jurisdiction_id, (bills, persons) in _updates().items():
            bills_before, persons_before = self._updates[jurisdiction_id]
            assert (bills > bills_before) == (jurisdiction_id in world.touched), jurisdiction_id
            assert (persons > persons_before) == (jurisdiction_id in world.people), jurisdiction_id


def _updates() -> dict[str, tuple[datetime, datetime]]:
    found = data.Jurisdiction.objects.values_list(
        "id", "latest_bill_update", "latest_people_update"
    )
    return {jurisdiction_id: (bills, people) for jurisdiction_id, bills, people in found}


@dataclass(frozen=True)
class _Result:
    """The database at the end: a dump, what was `kept` of what was there before, and the places of
    events."""

    dump: list[str]
    kept: list[str]
    places: Counter[tuple[str, ...]]

    @classmethod
    def now(cls, before: _Before) -> "_Result":
        places = data.EventLocation.objects.values_list("jurisdiction_id", "name", "url")
        return cls(rows.dump(), before.kept(), Counter(places))


def _compare(expected: _Result, actual: _Result, schedule: Schedule) -> None:
    # A run is complete when each of its keys has come. Another upload of one that comes later, and
    # turns out to be a vote event of its own, makes no agenda ambiguous any more.
    late = schedule.look_alikes(uploaded_again=True)
    keepers = schedule.key_keepers()
    expected_rows, actual_rows = (
        sorted(_without_key(_without_links(line, late), keepers) for line in one.dump)
        for one in (expected, actual)
    )
    found = list(rows.differences(expected_rows, actual_rows))
    assert not found, "\n".join([f"{len(found)} differences", *found])
    # Core may also replace a row that stays here. Of vote events that only their content tells
    # apart, the one that came first has the row of before, whichever core would give it to.
    lost = {
        name
        for name in set(expected.kept) - set(actual.kept)
        if not any(f" motion {number} " in name for number in schedule.look_alikes())
    }
    assert not lost, f"rows have new ids: {sorted(lost)}"
    # Core also makes the places of versions that nobody sees here.
    assert actual.places <= expected.places, f"places without need: {actual.places}"


def _without_links(line: str, motions: Collection[int]) -> str:
    """The line without what an agenda's items are linked to that name these vote events."""
    for motion in motions:
        named = f'"name": "{content.vote_identifier(motion)}", "note": "consideration"'
        line = re.sub(rf'({named}.*?"vote_event": )(null|"[^"]*")', r"\1null", line)
    return line


def _without_key(line: str, motions: Collection[int]) -> str:
    """The line without the dedupe keys of vote events on these motions. A file that has none leaves
    that of the row: which has it depends on which vote has which row of before."""
    for motion in motions:
        if f'"motion_text": "motion {motion}"' in line:
            line = re.sub(r'"dedupe_key": (null|"[^"]*")', '"dedupe_key": null', line)
        line = re.sub(rf" motion {motion} (\S+) (None|D\d*)", rf" motion {motion} \1", line)
    return line


def _tables() -> list[str]:
    """The tables that a schedule may change."""
    models = [
        model for app in ("data", "realtime") for model in apps.get_app_config(app).get_models()
    ]
    return [m._meta.db_table for m in models if m not in (data.Division, data.Post)]


def import_everyone() -> None:
    """Everyone who may be there before the first file, so that no schedule has to import them."""
    everyone = content.people(range(len(content.PEOPLE)))
    files = [oracle.ScrapedFile("person", text, 0) for text in everyone]
    oracle.import_scrapes([files], content.JURISDICTION)


def _save() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {_SAVED}")
        for table in _tables():
            cursor.execute(f'SELECT EXISTS (SELECT FROM "{table}")')
            if cursor.fetchone()[0]:
                cursor.execute(f'CREATE TABLE {_SAVED}."{table}" AS SELECT * FROM "{table}"')


def _empty() -> None:
    """Reset the database to what was saved; faster than copying its template again."""
    with transaction.atomic(), connection.cursor() as cursor:
        # Disables foreign key checks, so that the order of tables does not matter.
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("".join(f'DELETE FROM "{table}";' for table in _tables()))
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [_SAVED])
        for (table,) in cursor.fetchall():
            cursor.execute(f'INSERT INTO "{table}" SELECT * FROM {_SAVED}."{table}"')
    # Core's cache of organizations may hold rows of another database.
    to_database.cached_lookup.cache_clear()


@contextmanager
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def prepare(schedule: Schedule) -> None:
    """Import the sessions and files of before the first run with core's importers, and delete the
    people who are not there yet."""
    there = [content.PEOPLE[number][0] for number in schedule.people]
    data.Person.objects.exclude(id__in=there).delete()
    for _ in range(schedule.committees):
        add_committee()
    for state in schedule.states:
        before = [schedule.scraped[number] for number in schedule.numbers(BEFORE, state)]
        sessions = max(schedule.sessions, int(bool(before)))
        if sessions:
            text = content.first_sessions(state, sessions)
            files = [oracle.ScrapedFile("jurisdiction", text, 0), *before]
            oracle.import_scrapes([files], content.JURISDICTIONS[state])


def _truth(schedule: Schedule, lost: Collection[int], world: World) -> tuple[_Result, set[str]]:
    def run(number: int) -> oracle.Run:
        files = [
            replace(schedule.scraped[n], ticks=world.places[n])
            for n in schedule.numbers(number)
            if n not in lost
        ]
        deletes, final = number in world.deleting, schedule.runs[number].ends
        return oracle.Run(world.starts[number], files, deletes, final)

    def between(number: int) -> None:
        if number and apart[number - 1] == "committee":
            add_committee()

    apart = [step.do for step in schedule.steps if step.do in APART]
    refused: list[oracle.Refused] = []
    with transaction.atomic():
        prepare(schedule)
        before = _Before()
        for state in schedule.states:
            groups = [[run(number) for number in group] for group in schedule.groups(state)]
            if state == content.WY:
                refused += oracle.import_in_turn(groups, content.JURISDICTIONS[state], between)
            else:
                runs = [run for group in groups for run in group]
                refused += oracle.import_runs(runs, content.JURISDICTIONS[state])
        result = _Result.now(before)
        transaction.set_rollback(True)
    return result, {file.id for file in refused if not file.unresolved}


def _check_parked(schedule: Schedule) -> None:
    """Asserts that no file of a run that has ended is parked; others may wait for a day."""
    ended = [schedule.run_id(number) for number, run in enumerate(schedule.runs) if run.ends]
    parked = File.objects.filter(outcome=Outcome.DEFERRED, run_id__in=ended)
    assert not parked.exists(), "files are still parked"
