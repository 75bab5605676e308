"""The handler under Lambda's own runtime client, as Lambda runs it: one warm process."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest

from realtime.backends.postgres import locks
from realtime.devstack import DevStack
from realtime.devstack.lambda_runtime import LambdaRuntime
from tests import scrapes
from tests.conftest import fresh_aws
from tests.integration.test_lambda_handler import sqs_event
from tests.scrapes import Mail
from tests.support import ROOT

HANDLER = "realtime.lambda_handler.handler"
SCHEDULE = {"source": "aws.events", "detail-type": "Scheduled Event"}


@pytest.fixture(scope="module")
def module_database(stack: DevStack, seeded_template: str) -> Iterator[str]:
    name = f"lambda_{secrets.token_hex(6)}"
    yield stack.postgres.create_database(name, template=seeded_template)
    stack.postgres.drop_database(name)


@pytest.fixture(scope="module")
def mail(stack: DevStack, module_database: str) -> Mail:
    return Mail(fresh_aws(stack), module_database)


@pytest.fixture(scope="module")
def function(mail: Mail, module_database: str) -> Iterator[LambdaRuntime]:
    environment = {
        **os.environ,
        **mail.aws.environment,
        "DATABASE_URL": module_database,
        "DJANGO_SETTINGS_MODULE": "settings",
        "REALTIME_MAX_MESSAGES": "20",
    }
    with LambdaRuntime(HANDLER, environment, ROOT) as running:
        yield running


@contextmanager
def busy_wyoming(mail: Mail) -> Iterator[None]:
    """Another worker has the jurisdiction, for longer than an invocation lasts."""
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        yield
    other.close()


def rows(mail: Mail, statement: str) -> list[Any]:
    connection = psycopg2.connect(mail.config.database_url)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        found = cursor.fetchall()
    connection.close()
    return [value for (value,) in found]


def test_function__cold_then_warm__second_invocation_has_no_state_of_the_first(
    function: LambdaRuntime, mail: Mail, record_property: Any
) -> None:
    first_bill, second_bill = scrapes.bill("HB 1"), scrapes.bill("HB 2", "Of roads")
    mail.publish(scrapes.jurisdiction(), first_bill)
    cold = function.invoke(SCHEDULE)
    assert cold.error is None, cold.error
    assert cold.response["inserted"] == 1
    mail.publish(second_bill)
    warm = function.invoke(SCHEDULE)
    assert warm.error is None, warm.error
    assert (warm.response["received"], warm.response["inserted"]) == (1, 1)
    assert warm.response["finalized"] == []
    empty = function.invoke(SCHEDULE)
    assert empty.response["received"] == 0
    assert mail.keys("wy/") == [], "archived in the same invocations"
    working = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'openst%'"
    assert rows(mail, working) == [], "a frozen instance must not hold a worker's slot"
    figures = {
        "init": function.init_seconds,
        "cold": cold.seconds,
        "warm": warm.seconds,
        "empty": empty.seconds,
    }
    for name, seconds in figures.items():
        record_property(f"{name}_seconds", round(seconds, 3))
    print(" ".join(f"{name} {seconds:.2f} s" for name, seconds in figures.items()))
    assert warm.seconds < function.init_seconds + cold.seconds


def test_function__sqs_batch__answers_with_what_must_come_again(
    function: LambdaRuntime, mail: Mail
) -> None:
    bill = scrapes.bill("HB 3", "Of wells")
    event = sqs_event(mail.message(mail.put(bill)), mail.message("wy/bill_gone.json"))
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, n) FROM generate_series(0, 9) n", [locks.SLOTS])
        busy = function.invoke(event)
    other.close()
    assert busy.response["batchItemFailures"] == [
        {"itemIdentifier": "message-0"},
        {"itemIdentifier": "message-1"},
    ]
    answer = function.invoke(event)
    assert answer.error is None, answer.error
    assert answer.response["batchItemFailures"] == []
    assert (answer.response["inserted"], answer.response["failed"]) == (1, 1)


def test_function__part_of_an_sqs_batch_fails__only_that_comes_again(
    function: LambdaRuntime, mail: Mail
) -> None:
    elsewhere = "ocd-jurisdiction/country:us/district:dc/government"
    theirs = scrapes.bill("B 1", "Of monuments")
    theirs["jurisdiction"]["id"] = elsewhere
    their_key = mail.put(theirs, f"dc/bill_{theirs['_id']}.json")
    event = sqs_event(
        mail.message(mail.put(scrapes.bill("HB 5", "Of gates"))),
        mail.message(their_key, jurisdiction_id=elsewhere),
    )
    with busy_wyoming(mail):
        answer = function.invoke(event, seconds=8)
    assert answer.error is None, answer.error
    assert answer.response["batchItemFailures"] == [{"itemIdentifier": "message-0"}]
    assert (answer.response["released"], answer.response["deferred"]) == (1, 1)


def test_function__housekeeping__resumes_parked_files_archives_finalizes_and_prunes(
    function: LambdaRuntime, mail: Mail
) -> None:
    bill = scrapes.bill("HB 6", "Of hedges")
    mail.publish(scrapes.vote_event(bill))
    assert function.invoke(SCHEDULE).response["deferred"] == 1
    connection = psycopg2.connect(mail.config.database_url)
    with connection, connection.cursor() as cursor:
        # A worker whose time will be up sees to parked files.
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [locks.PARKED, number])
        mail.publish(bill)
        report = function.invoke(SCHEDULE).response
        assert (report["inserted"], report["resumed"]) == (1, 0)
        cursor.execute("UPDATE realtime_file SET imported_at = now() - interval '31 days'")
    connection.close()
    answer = function.invoke({"housekeeping": True})
    assert answer.error is None, answer.error
    assert list(answer.response) == [
        "import_realtime",
        "finalize_realtime",
        "archive_realtime",
        "prune_realtime",
    ]
    assert answer.response["import_realtime"]["resumed"] == 1
    assert answer.response["prune_realtime"]["files"] > 0
    assert rows(mail, "SELECT count(*) FROM opencivicdata_bill WHERE identifier = 'HB 6'") == [1]


def test_function__s3_notification__is_imported_through_the_queue(
    function: LambdaRuntime, mail: Mail
) -> None:
    key = mail.put(scrapes.bill("HB 4", "Of fences"))
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": mail.aws.bucket}, "object": {"key": key}},
    }
    answer = function.invoke({"Records": [record]})
    assert answer.error is None, answer.error
    assert answer.response["inserted"] == 1
    assert mail.waiting() == 0


def test_function__deadline__ends_the_run_in_time_and_loses_nothing(
    function: LambdaRuntime, mail: Mail
) -> None:
    bills = [scrapes.bill(f"SF {number}", f"Of {number}") for number in range(30)]
    mail.publish(*bills)
    with busy_wyoming(mail):
        cut = function.invoke(SCHEDULE, seconds=4)
    assert cut.error is None, cut.error
    assert cut.response["received"] == cut.response["released"] > 0
    assert mail.waiting() == len(bills)
    # Released messages come back after a while; the test does not wait for that.
    event = sqs_event(*(mail.message(mail.key(bill)) for bill in bills))
    rest = function.invoke(event)
    assert rest.error is None, rest.error
    assert rest.response["batchItemFailures"] == []
    assert rest.response["inserted"] == len(bills), "more than one pass of a run takes"
    count = "SELECT count(*) FROM opencivicdata_bill WHERE identifier LIKE 'SF %'"
    assert rows(mail, count) == [len(bills)]


def test_function__exception__is_reported_as_the_runtime_expects(
    mail: Mail, module_database: str
) -> None:
    environment = {
        **os.environ,
        **mail.aws.environment,
        "DJANGO_SETTINGS_MODULE": "settings",
        "DATABASE_URL": "postgres://user:hunter2@127.0.0.1:1/nowhere",
    }
    event = sqs_event(mail.message("wy/bill_1.json"))
    with LambdaRuntime(HANDLER, environment, ROOT) as function:
        failed = [function.invoke(event) for _ in range(2)]
    for invocation in failed:
        assert invocation.error is not None, "Lambda must deliver the batch again"
        assert invocation.error["errorType"] == "CommandError"
        assert "the database cannot be reached" in invocation.error["errorMessage"]
        assert invocation.error["stackTrace"]
        assert "hunter2" not in json.dumps(invocation.error)
