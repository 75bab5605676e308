"""Services that fail in the middle of a run: nothing is lost, nothing doubled, all is said once."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_django.plugin import _DatabaseBlocker

from realtime.backends import s3
from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.consumer import sources
from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.domain.config import LATER, Bucket
from realtime.domain.errors import RealtimeError, Unavailable
from realtime.files import archive, fetch
from realtime.models import File
from realtime.producer.backoff import RetryPolicy
from realtime.producer.producer import File as ScrapedFile
from realtime.producer.producer import Jurisdiction, Producer
from tests import oracle, rows, scrapes
from tests.fault_proxy import (
    AwsProxy,
    Fault,
    PostgresProxy,
    cut_short,
    lost_answer,
    on,
    partly,
    refusal,
    silence,
    truncated,
)
from tests.scrapes import Mail
from tests.support import Aws, through

# Each waits for what times out, or is repeated.
pytestmark = pytest.mark.thorough


def a_scrape() -> list[dict[str, Any]]:
    bills = [scrapes.bill(f"HB {number}", actions=number) for number in (1, 2, 3)]
    votes = [scrapes.vote_event(bills[0]), scrapes.vote_event(bills[1], action="reading 1")]
    return [scrapes.jurisdiction(), *bills, *votes, scrapes.event(about="HB 3")]


SCRAPE = a_scrape()
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def truth(
    stack: DevStack,
    seeded_template: str,
    django_db_blocker: _DatabaseBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    """What core's own batch import leaves of SCRAPE."""
    folder: Path = tmp_path_factory.mktemp("scrape")
    for data in SCRAPE:
        (folder / f"{scrapes.type_of(data)}_{SCRAPE.index(data)}.json").write_text(json.dumps(data))
    url = stack.postgres.create_database("truth_of_faults", template=seeded_template)
    with django_db_blocker.unblock(), using_database(url):
        oracle.import_scrape(folder, scrapes.WYOMING.jurisdiction_id)
        expected = rows.dump()
    stack.postgres.drop_database("truth_of_faults")
    return expected


@pytest.fixture
def mail(proxy: AwsProxy, aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """SCRAPE is published, and what is released comes again at once."""
    monkeypatch.setattr(sources, "RELEASE_SECONDS", (0, 0))
    # Through obstore from the second request on; when that fails, botocore makes it again.
    monkeypatch.setattr(s3, "WORTHWHILE", 1)
    mail = Mail(through(proxy.endpoint, aws), database)
    keys = mail.publish(*SCRAPE)
    mail.store.head(keys[0])
    return mail


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def assert_all_is_in_once(mail: Mail, truth: list[str]) -> None:
    """A run without faults, and the database is as core leaves it, the queue and root empty."""
    mail.run()
    assert list(rows.differences(truth, rows.dump())) == []
    assert set(scrapes.outcomes().values()) <= {"inserted", "unchanged", "updated"}
    assert (len(scrapes.outcomes()), mail.waiting()) == (len(SCRAPE), 0)
    # What is not known to be acknowledged stays for a while.
    File.objects.filter(acknowledged_at=None).update(imported_at=LONG_AGO)
    archive.archive(mail.store, mail.config)
    assert len(mail.keys("archived/")) == len(mail.keys()) == len(SCRAPE)


def said(log: pytest.LogCaptureFixture) -> list[str]:
    assert not [record for record in log.records if record.exc_info], "no traceback"
    return [record.getMessage() for record in log.records]


@pytest.mark.parametrize(
    "fault",
    [
        refusal(500, "InternalError"),
        refusal(503, "SlowDown"),
        refusal(403, "AccessDenied"),
        refusal(403, "RequestTimeTooSkewed"),
        silence,
    ],
    ids=["500", "slow-down", "no-access", "clock-skew", "silence"],
)
def test_import__no_file_can_be_read__all_released_and_one_error_says_why(
    mail: Mail, proxy: AwsProxy, fault: Fault, warnings: pytest.LogCaptureFixture, truth: list[str]
) -> None:
    proxy.rule = on("GetObject", fault=fault)
    with pytest.raises(Unavailable, match="S3"):
        mail.run()
    assert said(warnings) == []
    assert (scrapes.outcomes(), mail.waiting()) == ({}, len(SCRAPE))
    proxy.heal()
    assert_all_is_in_once(mail, truth)


@pytest.mark.parametrize(
    "fault", [refusal(500, "InternalError"), cut_short], ids=["500", "cut-short"]
)
def test_import__one_file_cannot_be_read__released_alone_and_said_once(
    mail: Mail,
    proxy: AwsProxy,
    fault: Fault,
    warnings: pytest.LogCaptureFixture,
    truth: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # One after the other: those after it are read all the same.
    monkeypatch.setattr(fetch, "THREADS", 1)
    proxy.rule = on("GetObject", fault=fault, path=mail.key(SCRAPE[5]))
    report = mail.run()
    assert (report.received, report.outcomes["released"]) == (len(SCRAPE), 1)
    assert len(said(warnings)) == 1
    proxy.heal()
    assert_all_is_in_once(mail, truth)


def test_import__one_file_of_a_notification_cannot_be_read__message_comes_again(
    proxy: AwsProxy, aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "RELEASE_SECONDS", (0, 0))
    mail = Mail(through(proxy.endpoint, aws), database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    keys = [mail.put(data) for data in SCRAPE[1:3]]
    named = [{"bucket": {"name": aws.bucket}, "object": {"key": key}} for key in keys]
    about = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    mail.send({"Records": [{**about, "s3": one} for one in named]})
    proxy.rule = on("GetObject", fault=refusal(403, "AccessDenied"), path=keys[1])
    outcomes = mail.run().outcomes
    assert (outcomes["inserted"], outcomes["released"], mail.waiting()) == (1, 1, 1)
    proxy.heal()
    outcomes = mail.run().outcomes
    assert (outcomes["inserted"], outcomes["ignored"], mail.waiting()) == (1, 1, 0)


@pytest.mark.parametrize(
    "fault",
    [refusal(503, "SlowDown"), cut_short, silence],
    ids=["slow-down", "cut-short", "silence"],
)
def test_import__read_fails_once__tried_again_within_the_run(
    mail: Mail, proxy: AwsProxy, fault: Fault, truth: list[str]
) -> None:
    proxy.rule = on("GetObject", fault=fault, path=mail.key(SCRAPE[5]), times=1)
    assert mail.run().outcomes["released"] == 0
    assert_all_is_in_once(mail, truth)


@pytest.mark.parametrize(
    "fault",
    [refusal(400, "ThrottlingException"), refusal(503, "ServiceUnavailable"), silence],
    ids=["throttled", "503", "silence"],
)
def test_import__nothing_can_be_received__one_error_says_why(
    mail: Mail, proxy: AwsProxy, fault: Fault, warnings: pytest.LogCaptureFixture, truth: list[str]
) -> None:
    proxy.rule = on("ReceiveMessage", fault=fault)
    with pytest.raises(Unavailable, match="SQS"):
        mail.run()
    assert said(warnings) == []
    proxy.heal()
    assert_all_is_in_once(mail, truth)


def test_import__one_of_several_receives_fails__what_the_others_received_is_imported(
    mail: Mail, proxy: AwsProxy, truth: list[str]
) -> None:
    proxy.rule = on("ReceiveMessage", fault=refusal(403, "AccessDenied"), times=1)
    assert mail.run().received == len(SCRAPE)
    assert_all_is_in_once(mail, truth)


@pytest.mark.parametrize(
    "fault",
    [refusal(400, "ThrottlingException"), partly(lambda n: n % 2 == 1), partly(lambda n: True),
     silence, lost_answer],
    ids=["throttled", "every-other", "all-entries", "silence", "lost-answer"],
)  # fmt: skip
def test_import__message_deletion_fails__imported_once_then_redelivery_ignored(
    mail: Mail, proxy: AwsProxy, fault: Fault, warnings: pytest.LogCaptureFixture, truth: list[str]
) -> None:
    proxy.rule = on("DeleteMessageBatch", fault=fault)
    report = mail.run()
    assert report.outcomes["released"] == 0
    assert len(said(warnings)) == 1
    proxy.heal()
    # As if the visibility timeout were over.
    archive.archive(mail.store, mail.config)
    left = mail.waiting()
    assert len(mail.keys("wy/")) == File.objects.filter(acknowledged_at=None).count() >= left
    for data in SCRAPE:
        mail.send(mail.message(mail.key(data)))
    assert mail.run().outcomes["ignored"] == len(SCRAPE)
    assert list(rows.differences(truth, rows.dump())) == []
    archive.archive(mail.store, mail.config)
    assert len(mail.keys("archived/")) == len(mail.keys()) == len(SCRAPE)


@pytest.mark.parametrize(
    "fault",
    [refusal(400, "ThrottlingException"), partly(lambda n: True), silence],
    ids=["throttled", "all-entries", "silence"],
)
def test_import__messages_cannot_be_released__they_come_again_all_the_same(
    mail: Mail, proxy: AwsProxy, fault: Fault, warnings: pytest.LogCaptureFixture
) -> None:
    read, hide = (
        on("GetObject", fault=refusal(500, "InternalError")),
        on("ChangeMessageVisibilityBatch", fault=fault),
    )
    proxy.rule = lambda request: read(request) or hide(request)
    with pytest.raises(Unavailable, match="S3"):
        mail.run()
    assert len(said(warnings)) == 1
    assert mail.waiting() == len(SCRAPE)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("HeadObject", refusal(500, "InternalError")),
        ("HeadObject", silence),
        ("CopyObject", refusal(403, "AccessDenied")),
        ("CopyObject", lost_answer),
        ("CopyObject", cut_short),
        ("CopyObject", truncated),
        ("DeleteObjects", refusal(503, "SlowDown")),
        ("DeleteObjects", lost_answer),
    ],
    ids=["head-500", "head-silence", "copy-no-access", "copy-lost-answer", "copy-cut-short",
         "copy-truncated", "delete-slow-down", "delete-lost-answer"],
)  # fmt: skip
def test_archive__s3_fails__one_error_says_why_and_the_next_call_finishes(
    mail: Mail, proxy: AwsProxy, operation: str, fault: Fault, warnings: pytest.LogCaptureFixture
) -> None:
    mail.config = replace(mail.config, archive=LATER)
    mail.run()
    contents = bodies(mail)
    proxy.rule = on(operation, fault=fault)
    try:
        archive.archive(mail.store, mail.config)
    except RealtimeError as exc:
        assert "S3" in str(exc) or "its original" in str(exc)
    assert len(said(warnings)) <= 1
    proxy.heal()
    assert set(bodies(mail).values()) >= set(contents.values()), "no content is ever lost"
    archive.archive(mail.store, mail.config)
    after = bodies(mail)
    assert {key.split("/", 2)[2]: body for key, body in after.items()} == contents
    assert not File.objects.filter(archived_at=None).exists()


def bodies(mail: Mail) -> dict[str, bytes]:
    client = mail.aws.s3
    return {
        key: client.get_object(Bucket=mail.aws.bucket, Key=key)["Body"].read()
        for key in (found.key for found in mail.store.list(""))
    }


@pytest.mark.parametrize(
    ("after", "statement"),
    [
        (False, b"pg_try_advisory_lock"),
        (False, b"pg_advisory_xact_lock"),
        (True, b'COPY "opencivicdata_bill"'),
        (False, b"\tHB 2\t"),
        (False, b"SET CONSTRAINTS"),
        (False, b"INSERT INTO realtime_file "),
        (False, b"FROM pg_locks"),
        (False, b"COMMIT"),
        (True, b"COMMIT"),
        (False, b'"acknowledged_at" = '),
        (True, b"FROM realtime_file AS parked"),
    ],
    ids=["slot", "lock", "copy", "rows", "savepoint", "record", "verify", "before-commit",
         "after-commit", "acknowledged", "parked"],
)  # fmt: skip
def test_import__connection_cut_at_a_statement__one_error_and_next_run_imports_all_once(
    mail: Mail, statement: bytes, after: bool, warnings: pytest.LogCaptureFixture, truth: list[str]
) -> None:
    with PostgresProxy(mail.config.database_url) as postgres:
        setattr(postgres, "cut_after" if after else "cut_before", statement)
        with using_database(postgres.url), pytest.raises(Unavailable) as caught:
            mail.run()
        assert postgres.cuts == 1
    assert "database" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert said(warnings) == []
    assert_all_is_in_once(mail, truth)


def test_import__database_is_read_only__one_error_says_so(
    mail: Mail, warnings: pytest.LogCaptureFixture, truth: list[str]
) -> None:
    """As a standby is, after a failover that the address has not followed."""
    read_only = f"{mail.config.database_url}?options=-c default_transaction_read_only=on"
    with using_database(read_only), pytest.raises(Unavailable, match="read-only"):
        mail.run()
    assert said(warnings) == []
    assert_all_is_in_once(mail, truth)


def test_publish__s3_and_sqs_fail_in_passing__every_file_and_message_arrives_once(
    proxy: AwsProxy, aws: Aws, tmp_path: Path
) -> None:
    slow = through(proxy.endpoint, aws)
    put = on("PutObject", fault=refusal(503, "SlowDown"), times=4)
    send = on("SendMessageBatch", fault=partly(lambda n: n % 2 == 1), times=2)
    proxy.rule = lambda request: put(request) or send(request)
    producer = Producer(
        S3Store(aws.bucket, slow.s3),
        SqsQueue(aws.queue_url, slow.sqs),
        Bucket(aws.bucket, ""),
        tmp_path / "spool",
        retry_policy=RetryPolicy(first_wait=0.05),
        # All in one batch, or none would be refused in part.
        batch_age=30,
    )
    wyoming = Jurisdiction("wy", scrapes.WYOMING.jurisdiction_id, "Wyoming")
    keys = []
    for data in SCRAPE[1:4]:
        file = ScrapedFile("bill", data["_id"], json.dumps(data).encode(), datetime.now(UTC))
        keys.append(producer.publish(wyoming, file, file_archiving_enabled=False))
    producer.close()
    assert proxy.requests["SendMessageBatch"] == 2
    received = aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10)
    announced = [json.loads(message["Body"])["file_path"] for message in received["Messages"]]
    assert sorted(announced) == sorted(keys)
    assert [found.key for found in S3Store(aws.bucket, aws.s3).list("")] == sorted(keys)
    assert not (tmp_path / "spool").exists()
