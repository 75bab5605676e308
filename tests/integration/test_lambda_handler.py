"""The Lambda handler, with the three events it knows."""

import json
from dataclasses import replace
from typing import Any

import psycopg2
import pytest
from django.db import connection
from openstates.data.models import Bill, VoteEvent
from pytest_django.fixtures import SettingsWrapper

from realtime.backends.postgres import locks
from realtime.consumer import batches
from realtime.domain.errors import Unavailable
from realtime.domain.scraped_object import OBJECT_TYPES
from realtime.lambda_handler import handler
from realtime.management.commands import import_realtime
from tests import scrapes
from tests.fault_proxy import AwsProxy, on, partly, refusal
from tests.scrapes import Mail
from tests.support import Aws


class Context:
    """As much of Lambda's context as is used."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def mail(
    aws: Aws, database: str, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> Mail:
    mail = Mail(aws, database)
    settings.REALTIME = mail.config
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def sqs_event(*bodies: dict[str, Any]) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1925000000000"},
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def s3_event(mail: Mail, key: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": mail.aws.bucket}, "object": {"key": key}},
            }
        ]
    }


def test_handler__schedule__imports_until_empty_and_archives(mail: Mail) -> None:
    bill = scrapes.bill()
    mail.publish(scrapes.vote_event(bill), bill)
    report = handler({"source": "aws.events"}, Context())
    assert report["inserted"] == 2
    assert set(report["types"]) <= {*OBJECT_TYPES, "control", "unknown"}
    assert mail.keys("wy/") == []
    assert connection.connection is None, "a frozen instance must not hold a worker's slot"


def test_handler__sqs_batch__imports_and_leaves_the_deleting_to_lambda(mail: Mail) -> None:
    bill = scrapes.bill()
    key = mail.put(bill)
    mail.send("something that only the queue's own consumers may touch")
    report = handler(sqs_event(mail.message(key)), Context())
    assert (report["inserted"], report["batchItemFailures"]) == (1, [])
    assert mail.keys("wy/") == [key], "Lambda may not have deleted the message yet"
    assert Bill.objects.count() == 1
    assert mail.waiting() == 1


def test_handler__sqs_batch_of_a_busy_jurisdiction__names_what_must_come_again(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PATIENT", 0.2)
    key = mail.put(scrapes.bill())
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        report = handler(
            sqs_event(mail.message(key), mail.message("archived/2031-01-01/wy/bill_1.json")),
            Context(),
        )
    other.close()
    assert report["batchItemFailures"] == [{"itemIdentifier": "message-0"}]
    assert (report["released"], report["ignored"]) == (1, 1)


def test_handler__all_workers_busy__the_whole_batch_comes_again(
    mail: Mail, settings: SettingsWrapper
) -> None:
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        for slot in range(mail.config.max_workers):
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [locks.SLOTS, slot])
        key = mail.put(scrapes.bill())
        report = handler(sqs_event(mail.message(key)), Context())
    other.close()
    assert report["batchItemFailures"] == [{"itemIdentifier": "message-0"}]


def test_handler__s3_notification__goes_through_the_queue_so_that_it_can_be_parked(
    mail: Mail,
) -> None:
    bill = scrapes.bill()
    keys = [mail.put(scrapes.vote_event(bill)), mail.put(bill)]
    for key, expected in zip(keys, ("deferred", "inserted"), strict=True):
        assert handler(s3_event(mail, key), Context())[expected] == 1
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    assert mail.waiting() == 0


def test_handler__queue_refuses_an_s3_notification__lambda_is_told_to_deliver_it_again(
    mail: Mail, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    proxy.rule = on("SendMessageBatch", fault=partly(lambda n: True))
    with pytest.raises(Unavailable, match="delivers it again"):
        handler(s3_event(mail, mail.put(scrapes.bill())), Context())


def test_handler__housekeeping__imports_a_file_whose_message_was_lost(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.put(scrapes.bill())
    assert handler({"housekeeping": True}, Context())["import_realtime"]["received"] == 0
    monkeypatch.setattr(import_realtime, "LOST_AFTER", -1)
    report = handler({"housekeeping": True}, Context())["import_realtime"]
    assert (report["received"], report["inserted"]) == (1, 1)


@pytest.mark.parametrize("by", ["schedule", "notification"])
def test_handler__no_queue__imports_what_lies_in_the_root(
    mail: Mail, settings: SettingsWrapper, by: str
) -> None:
    settings.REALTIME = replace(mail.config, queue_url="")
    key = mail.put(scrapes.bill())
    event = s3_event(mail, key) if by == "notification" else {"source": "aws.events"}
    assert handler(event, Context())["inserted"] == 1
    assert mail.keys("wy/") == []


def test_handler__archiving_fails__the_import_s_report_all_the_same(
    mail: Mail, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    proxy.rule = on("CopyObject", fault=refusal(403, "AccessDenied"))
    event = sqs_event(mail.message(mail.put(scrapes.bill())))
    report = handler(event, Context())
    assert (report["inserted"], report["batchItemFailures"]) == (1, [])
