"""A corpus of bad messages and files, imported together with good ones in a few runs."""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.domain.scraped_object import SCRAPED_AT_METADATA
from realtime.models import APPLIED, File
from tests import bad_input, scrapes
from tests.bad_input import FILE_TYPES, Case
from tests.conftest import fresh_aws
from tests.full_scrapes import (
    full_bill,
    full_event,
    full_jurisdiction,
    full_person,
    full_vote_event,
)
from tests.scrapes import Mail

# One good file for so many bad ones.
NEIGHBOURS = 6
RUN_SIZE = 70
FILE_CASES = [case for name in FILE_TYPES for case in bad_input.cases(name)]
MESSAGE_CASES = [
    case for name in ("message", "notification", "run_finished") for case in bad_input.cases(name)
]
RUN_ID = "4e4f3f0e-0000-4000-8000-000000000001"


@dataclass
class Outcome:
    """What a run of bad input left: rows by case, and all that is asked of the run as a whole."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: dict[str, File] = field(default_factory=dict)
    good: dict[str, str] = field(default_factory=dict)
    remaining: set[str] = field(default_factory=set)
    waiting: int = 0
    broken_batches: list[str] = field(default_factory=list)
    secrets: tuple[str, ...] = ()


class Good:
    """Makes good objects, each another one."""

    def __init__(self) -> None:
        self.bill = full_bill("HB 1")
        self._number = 1

    def make(self, object_type: str) -> dict[str, Any]:
        self._number += 1
        number = self._number
        match object_type:
            case "jurisdiction":
                return full_jurisdiction()
            case "person":
                return full_person(f"Ada Plainsman {number}")
            case "bill":
                return full_bill(f"HB {number}")
            case "vote_event":
                return full_vote_event(self.bill, f"vote {number}")
            case _:
                return full_event(f"Hearing {number}")


def upload(mail: Mail, object_type: str, name: str, body: bytes) -> str:
    """Store a file; of jurisdictions and people, each is newer than the one before."""
    stamp = datetime.now(UTC).isoformat()
    return mail.put(body, f"wy/{object_type}_{name}.json", **{SCRAPED_AT_METADATA: stamp})


@pytest.fixture(scope="module")
def files(
    stack: DevStack, seeded_template: str, django_db_blocker: _DatabaseBlocker
) -> Iterator[Outcome]:
    with _mail(stack, seeded_template, django_db_blocker) as mail:
        good, good_keys = Good(), []
        keys: dict[str, str] = {}
        bodies = [json.dumps(mail.message(mail.put(good.bill)))]
        for number, case in enumerate(FILE_CASES):
            body = case.make(good.make(case.object_type))
            keys[case.name] = upload(mail, case.object_type, f"case-{number}", body)
            bodies.append(json.dumps(mail.message(keys[case.name])))
            if number % NEIGHBOURS == 0:
                body = json.dumps(good.make(case.object_type)).encode()
                good_keys.append(upload(mail, case.object_type, f"good-{number}", body))
                bodies.append(json.dumps(mail.message(good_keys[-1])))
        outcome = _run(mail, bodies, good_keys)
        rows = {row.key: row for row in File.objects.filter(key__in=keys.values())}
        outcome.rows = {name: rows[key] for name, key in keys.items() if key in rows}
        yield outcome


@pytest.fixture(scope="module")
def messages(
    stack: DevStack, seeded_template: str, django_db_blocker: _DatabaseBlocker
) -> Iterator[Outcome]:
    with _mail(stack, seeded_template, django_db_blocker) as mail:
        good, good_keys = Good(), []
        bad: dict[str, str] = {}
        bodies = []
        for number, case in enumerate(MESSAGE_CASES):
            key = f"wy/bill_case-{number}.json"
            bad[case.name] = case.make(_good_message(mail, case.object_type, key)).decode()
            bodies.append(bad[case.name])
            if number % NEIGHBOURS == 0:
                data = json.dumps(good.make("bill")).encode()
                good_keys.append(mail.put(data, f"wy/bill_good-{number}.json"))
                bodies.append(json.dumps(mail.message(good_keys[-1])))
        outcome = _run(mail, bodies, good_keys)
        rows = {row.message: row for row in File.objects.exclude(message="")}
        outcome.rows = {name: rows[body] for name, body in bad.items() if body in rows}
        yield outcome


@contextmanager
def _mail(stack: DevStack, template: str, blocker: _DatabaseBlocker) -> Iterator[Mail]:
    """A database, bucket and queue for one run of many cases; Wyoming's session is in."""
    name = f"bad_input_{scrapes.fresh_id().replace('-', '_')}"
    url = stack.postgres.create_database(name, template=template)
    with blocker.unblock(), using_database(url):
        mail = Mail(fresh_aws(stack), url)
        mail.publish(scrapes.jurisdiction())
        mail.run()
        yield mail
    stack.postgres.drop_database(name)


def _run(mail: Mail, bodies: Sequence[str], good_keys: Sequence[str]) -> Outcome:
    logger, broken = logging.getLogger("realtime.consumer.batches"), _Recorder()
    logger.addHandler(broken)
    outcome = Outcome()
    try:
        # moto's queue is slow when it is deep.
        for at in range(0, len(bodies), RUN_SIZE):
            chunk = bodies[at : at + RUN_SIZE]
            for ten in range(0, len(chunk), 10):
                assert mail.queue.send(chunk[ten : ten + 10]) == []
            outcome.counts += mail.run().outcomes
    finally:
        logger.removeHandler(broken)
    outcome.good = scrapes.outcomes(good_keys)
    outcome.remaining = set(mail.keys())
    outcome.waiting = mail.waiting()
    outcome.broken_batches = broken.lines
    outcome.secrets = (mail.config.database_url, mail.aws.environment["AWS_SECRET_ACCESS_KEY"])
    return outcome


class _Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _good_message(mail: Mail, kind: str, key: str) -> dict[str, Any]:
    if kind == "notification":
        place = {"bucket": {"name": mail.aws.bucket}, "object": {"key": key}}
        record = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": place}
        return {"Records": [record]}
    if kind == "message":
        return mail.message(key)
    times = {"started_at": "2031-01-11T00:00:00Z", "finished_at": "2031-01-11T01:00:00Z"}
    return {
        "run_id": RUN_ID,
        "bucket": mail.aws.bucket,
        "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
        "jurisdiction_name": "Wyoming",
        "run_finished": {
            **times,
            "objects": {"bill": 0},
            "scrapers": {"bills": {"args": "", **times, "objects": {"bill": 0}}},
        },
    }


def _check_failed(row: File, case: Case, run: Outcome) -> None:
    assert (row.outcome, row.reason, row.field) == (
        "failed",
        case.spec["reason"],
        case.spec["field"],
    ), row.detail
    assert row.detail
    assert len(row.detail) <= 1000
    assert "Traceback" not in row.detail
    assert "\n" not in row.detail
    assert not any(secret in row.detail for secret in run.secrets)
    if row.reason in ("invalid", "too-long", "bad-id", "bad-message"):
        assert row.field[:90] in row.detail, "people read the detail alone"


@pytest.mark.parametrize("case", FILE_CASES, ids=lambda case: case.name)
def test_import__bad_file__ends_as_expected_and_is_kept_aside(files: Outcome, case: Case) -> None:
    row = files.rows[case.name]
    if case.outcome == "failed":
        _check_failed(row, case, files)
        assert f"failed/{row.key}" in files.remaining
        assert row.key not in files.remaining
    elif case.outcome == "imported":
        assert row.outcome in APPLIED, row.detail
    else:
        assert row.outcome == case.outcome


@pytest.mark.parametrize("case", MESSAGE_CASES, ids=lambda case: case.name)
def test_import__bad_message__ends_as_expected(messages: Outcome, case: Case) -> None:
    if case.outcome == "failed":
        _check_failed(messages.rows[case.name], case, messages)
    else:
        assert case.name not in messages.rows


@pytest.mark.parametrize("of", ["files", "messages"])
def test_import__among_bad_ones__every_good_file_is_imported_and_the_queue_is_empty(
    request: pytest.FixtureRequest, of: str
) -> None:
    run: Outcome = request.getfixturevalue(of)
    assert len(run.good) >= 25
    assert set(run.good.values()) <= set(APPLIED)
    assert run.waiting == 0
    assert run.counts["released"] == 0
    assert run.broken_batches == []


def test_import__bad_messages__all_counted(messages: Outcome) -> None:
    expected = Counter(case.outcome for case in MESSAGE_CASES)
    assert messages.counts["inserted"] == len(messages.good)
    # moto now and then delivers a message twice.
    assert messages.counts["failed"] >= expected["failed"]
    assert messages.counts["ignored"] >= expected["ignored"]
