"""Where files are when the run that imported them has ended, on PostgreSQL, S3 and SQS."""

import copy
import json
import logging
import threading
from collections import Counter
from datetime import UTC, datetime

import pytest

from realtime.domain.scraped_object import SCRAPED_AT_METADATA
from realtime.files import archive
from realtime.ledger import locations
from realtime.models import File
from tests import scrapes
from tests.fault_proxy import (
    AwsProxy,
    Fault,
    Forward,
    Request,
    Response,
    after,
    after_each,
    lost_answer,
    on,
    refusal,
)
from tests.scrapes import Mail
from tests.support import Aws, through


@pytest.fixture
def mail(proxy: AwsProxy, aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in. The proxy sees all requests of the runs."""
    mail = Mail(through(proxy.endpoint, aws), database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def versioned(mail: Mail) -> None:
    mail.aws.s3.put_bucket_versioning(
        Bucket=mail.aws.bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def target(key: str) -> str:
    return f"archived/{datetime.now(UTC):%Y-%m-%d}/{key}"


def versions(mail: Mail, key: str) -> int:
    found = mail.aws.s3.list_object_versions(Bucket=mail.aws.bucket, Prefix=key)
    return len(found.get("Versions", []))


def archive_all(mail: Mail) -> dict[str, int]:
    return dict(archive.archive(mail.store, mail.config))


def test_run__imported_files__archived_with_one_request_each(mail: Mail, proxy: AwsProxy) -> None:
    versioned(mail)
    stamp = {SCRAPED_AT_METADATA: datetime.now(UTC).isoformat(), "run-id": "none"}
    keys = [mail.put(scrapes.bill(f"HB {number}"), **stamp) for number in range(9)]
    bodies = {target(key): mail.store.get(key, 9999).body for key in keys}
    for key in keys:
        mail.send(mail.message(key))
    before = Counter(proxy.requests)
    report = mail.run()
    requests = proxy.requests - before
    assert {name: n for name, n in requests.items() if "Message" not in name} == {
        "GetObject": 9,
        "PutObject": 9,
        "DeleteObjects": 1,
    }
    assert report.seconds["archive"] > 0
    moved = {key: mail.store.get(key, 9999) for key in bodies}
    assert {key: file.body for key, file in moved.items()} == bodies
    assert all(file.object.metadata == stamp for file in moved.values())
    assert mail.keys("wy/bill") == []
    assert not File.objects.filter(archived_at=None).exists()
    assert set(File.objects.values_list("archived_key", flat=True)) >= set(moved)


def test_run__files_are_archived__the_next_are_read_beside_that(
    mail: Mail, proxy: AwsProxy
) -> None:
    keys = [mail.put(scrapes.bill(f"HB {number}")) for number in range(2)]
    next_is_read = threading.Event()

    def wait(request: Request, forward: Forward) -> Response:
        # Else the test fails, after a while: the run reads no more before this is answered.
        beside.append(next_is_read.wait(20))
        return forward(request)

    def rule(request: Request) -> Fault | None:
        read[request.operation] += 1
        if read["GetObject"] == 2:
            next_is_read.set()
        return wait if request.operation == "PutObject" else None

    beside, read = list[bool](), Counter[str]()
    for key in keys:
        mail.send(mail.message(key))
    proxy.rule = rule
    report = mail.run(max_messages=1, until_empty=True)
    assert beside == [True, True]
    assert report.outcomes["inserted"] == 2
    assert mail.keys("wy/bill") == []
    assert not File.objects.filter(archived_at=None).exists()


@pytest.mark.parametrize("is_versioned", [True, False], ids=["versioned", "unversioned"])
@pytest.mark.parametrize("step", ["plan", "put", "delete_all", "archived"])
def test_run__killed_after_a_step_of_archiving__archive_finishes(
    mail: Mail, step: str, is_versioned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    if is_versioned:
        versioned(mail)
    keys = mail.publish(scrapes.bill("HB 1"), scrapes.bill("HB 2"))
    holder = locations if step in ("plan", "archived") else mail.store
    does = getattr(holder, step)

    def die(*arguments: object, **named: object) -> object:
        does(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(holder, step, die)
        patch.setattr(archive, "THREADS", 1)
        with pytest.raises(Killed):
            mail.run()
    assert set(scrapes.outcomes(keys).values()) == {"inserted"}
    assert archive_all(mail) == ({} if step == "archived" else {"archived": 2})
    assert mail.keys("wy/bill") == []
    assert mail.keys("archived/")[:2] == sorted(target(key) for key in keys)
    assert not File.objects.filter(archived_at=None).exists()


@pytest.mark.parametrize("operation", ["PutObject", "DeleteObjects"])
def test_run__newer_upload_while_it_archives__survives_and_what_was_imported_too(
    mail: Mail, aws: Aws, proxy: AwsProxy, operation: str
) -> None:
    direct = Mail(aws, mail.config.database_url)
    first = scrapes.bill(title="First")
    [key] = mail.publish(first)
    newer = {**copy.deepcopy(first), "title": "Second"}
    stamp = {SCRAPED_AT_METADATA: datetime.now(UTC).isoformat()}
    # The condition of a deletion must do where the upload comes after the check.
    upload = after_each if operation == "DeleteObjects" else after
    proxy.rule = on(operation, fault=upload(lambda: direct.put(newer, key, **stamp)))
    mail.run()
    proxy.heal()
    assert b"Second" in (mail.store.get(key, 9999).body or b"")
    [moved] = File.objects.filter(key=key).values_list("archived_key", flat=True)
    assert b"First" in (mail.store.get(moved, 9999).body or b"")
    mail.send(mail.message(key))
    assert mail.run().outcomes["updated"] == 1
    assert mail.keys("wy/bill") == []
    assert len(mail.keys("archived/")) == 3, "of this key two"


def test_run__copy_of_a_killed_run_is_there__not_written_again(mail: Mail) -> None:
    versioned(mail)
    body = json.dumps(scrapes.bill()).encode()
    key = mail.put(body, f"wy/bill_{scrapes.fresh_id()}.json")
    mail.put(body, target(key))
    mail.send(mail.message(key))
    mail.run()
    assert versions(mail, target(key)) == 1
    assert File.objects.get(key=key).archived_key == target(key)
    assert mail.keys("wy/bill") == []


def test_run__another_object_of_its_size_is_there__left_where_it_is(
    mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps(scrapes.bill()).encode()
    key = mail.put(body, f"wy/bill_{scrapes.fresh_id()}.json")
    mail.put(b"x" * len(body), target(key))
    mail.send(mail.message(key))
    assert mail.run().outcomes["inserted"] == 1
    assert mail.keys("wy/bill") == [key]
    assert (mail.store.get(target(key), 9999).body or b"").startswith(b"xx")
    assert "files not archived yet" in caplog.text


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("PutObject", refusal(403, "AccessDenied")),
        ("PutObject", refusal(403, "RequestTimeTooSkewed")),
        ("DeleteObjects", refusal(503, "SlowDown")),
        ("DeleteObjects", lost_answer),
    ],
    ids=["put-no-access", "put-refused", "delete-slow-down", "delete-lost-answer"],
)
def test_run__s3_fails_while_it_archives__run_succeeds_and_archive_finishes(
    mail: Mail, proxy: AwsProxy, operation: str, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    keys = mail.publish(scrapes.bill("HB 1"), scrapes.bill("HB 2"))
    proxy.rule = on(operation, fault=fault)
    assert mail.run().outcomes["inserted"] == 2
    assert [record.getMessage() for record in caplog.records] == ["files not archived yet"]
    assert mail.waiting() == 0
    proxy.heal()
    assert archive_all(mail) == {"archived": 2}
    assert mail.keys("wy/bill") == []
    assert mail.keys("archived/")[:2] == sorted(target(key) for key in keys)


def test_run__parked_file_is_resumed__archived_too(mail: Mail) -> None:
    bill = scrapes.bill()
    [parked] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    assert mail.keys("wy/") == [parked]
    mail.publish(bill)
    assert mail.run().resumed == 1
    assert mail.keys("wy/") == []
    assert target(parked) in mail.keys("archived/")


def test_run__archiving_off__deleted_unless_a_message_or_an_open_run_needs_them(
    aws: Aws, database: str
) -> None:
    mail = Mail(aws, database, FILE_ARCHIVING_ENABLED="false")
    mail.publish(scrapes.jurisdiction())
    [asked] = mail.publish(scrapes.bill("HB 1"), file_archiving_enabled=True)
    [needed] = mail.publish(scrapes.bill("HB 2"), run_id="4e4f3f0e-0000-4000-8000-000000000001")
    mail.run()
    assert mail.keys() == sorted(target(key) for key in (asked, needed))


def test_run__file_cannot_be_imported__in_failed_when_the_run_ends(
    mail: Mail, proxy: AwsProxy
) -> None:
    before = proxy.requests["CopyObject"]
    [key] = mail.publish({**scrapes.bill(), "title": None})
    assert mail.run().outcomes["failed"] == 1
    assert (mail.keys("wy/"), mail.keys("failed/")) == ([], [f"failed/{key}"])
    assert proxy.requests["CopyObject"] == before
