"""Where files are once they were imported, on PostgreSQL, S3 and SQS: moved by `archive_realtime`.

What an import run archives itself is in test_archive_inline.py.
"""

import copy
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from realtime.domain.errors import Unavailable
from realtime.domain.scraped_object import SCRAPED_AT_METADATA
from realtime.files import archive
from realtime.ledger import locations
from realtime.models import File
from tests import races, scrapes
from tests.fault_proxy import AwsProxy, after, after_each, on, refusal, truncated
from tests.scrapes import Mail
from tests.support import Aws, through


def mail_of(aws: Aws, database: str, **settings: str) -> Mail:
    return Mail(aws, database, REALTIME_ARCHIVE="later", **settings)


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    return mail_of(aws, database)


def archive_all(mail: Mail) -> dict[str, int]:
    return dict(archive.archive(mail.store, mail.config))


def versioned(mail: Mail) -> None:
    mail.aws.s3.put_bucket_versioning(
        Bucket=mail.aws.bucket, VersioningConfiguration={"Status": "Enabled"}
    )


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def test_archive__imported_files__moved_under_the_day_of_their_import(mail: Mail) -> None:
    keys = mail.publish(scrapes.jurisdiction(), scrapes.bill(), scrapes.event())
    mail.run()
    body = mail.aws.s3.get_object(Bucket=mail.aws.bucket, Key=keys[1])["Body"].read()
    assert archive_all(mail) == {"archived": 3}
    assert mail.keys() == sorted(f"archived/{today()}/{key}" for key in keys)
    moved = mail.aws.s3.get_object(Bucket=mail.aws.bucket, Key=f"archived/{today()}/{keys[1]}")
    assert moved["Body"].read() == body
    assert archive_all(mail) == {}


def test_archive__parked_and_unreceived_files__stay(mail: Mail) -> None:
    parked = mail.publish(scrapes.bill())
    mail.run()
    waiting = mail.publish(scrapes.event())
    assert archive_all(mail) == {}
    assert mail.keys() == sorted([*parked, *waiting])


def test_archive__message_not_acknowledged__waits_twice_the_visibility_timeout(
    mail: Mail,
) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    File.objects.update(acknowledged_at=None)
    assert archive_all(mail) == {}
    timeout = timedelta(seconds=mail.config.visibility_timeout)
    File.objects.update(imported_at=datetime.now(UTC) - 1.9 * timeout)
    assert archive_all(mail) == {}
    File.objects.update(imported_at=datetime.now(UTC) - 2.1 * timeout)
    assert archive_all(mail) == {"archived": 1}


def test_archive__newer_upload_under_the_same_key__survives(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    archive_all(mail)
    first = scrapes.bill(title="First")
    [key] = mail.publish(first)
    mail.run()
    mail.put({**copy.deepcopy(first), "title": "Second"}, key)
    assert archive_all(mail) == {"gone": 1}
    assert mail.keys("wy/") == [key]
    mail.send(mail.message(key))
    mail.run()
    assert archive_all(mail) == {"archived": 1}


@pytest.mark.parametrize(
    ("operation", "result"), [("DeleteObjects", "archived"), ("CopyObject", "gone")]
)
def test_archive__newer_upload_between_check_and_request__survives(
    aws: Aws, database: str, proxy: AwsProxy, operation: str, result: str
) -> None:
    mail = mail_of(through(proxy.endpoint, aws), database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    archive_all(mail)
    [key] = mail.publish(scrapes.bill(title="First"))
    mail.run()
    upload = after_each if operation == "DeleteObjects" else after
    newer = upload(lambda: Mail(aws, database).put(b"newer", key))
    proxy.rule = on(operation, fault=newer)
    assert archive_all(mail) == {result: 1}
    assert mail.store.get(key, 100).body == b"newer"
    archived = [mail.store.get(one, 9999).body or b"" for one in mail.keys("archived/")]
    assert b"newer" not in archived, "nothing says yet that it was imported"


def test_archive__overwritten_when_half_of_it_was_copied__told_as_gone(
    aws: Aws, database: str, proxy: AwsProxy
) -> None:
    mail = mail_of(through(proxy.endpoint, aws), database)
    [key] = mail.publish(scrapes.jurisdiction())
    mail.run()
    proxy.rule = on("CopyObject", fault=truncated)
    with pytest.raises(Unavailable, match="no file can be moved"):
        archive_all(mail)
    proxy.heal()
    mail.put(b"newer", key)
    assert archive_all(mail) == {"gone": 1}


def test_archive__one_file_cannot_be_moved__left_and_those_after_it_moved(
    aws: Aws, database: str, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "BATCH_SIZE", 2)
    mail = mail_of(through(proxy.endpoint, aws), database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    archive_all(mail)
    mail.publish(*(scrapes.bill(f"HB {number}") for number in range(4)))
    mail.run()
    stuck = File.objects.filter(archived_at=None).earliest("id").key
    proxy.rule = on("CopyObject", fault=refusal(403, "AccessDenied"), path=stuck)
    # One more batch than there are, so that this ends if a file is tried again: asked before each
    # batch and each file.
    stops = iter([False] * 7)
    counts = archive.archive(mail.store, mail.config, [], lambda: next(stops, True))
    assert counts == {"archived": 3, "later": 1}
    assert mail.keys("wy/") == [stuck]


def test_archive__s3_is_away__asked_once_and_not_for_each_file(
    aws: Aws, database: str, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "THREADS", 1)
    mail = mail_of(through(proxy.endpoint, aws), database)
    mail.publish(scrapes.jurisdiction(), *(scrapes.bill(f"HB {number}") for number in range(3)))
    mail.run()
    proxy.rule = on("CopyObject", fault=refusal(403, "RequestTimeTooSkewed"))
    with pytest.raises(Unavailable, match="S3 refuses us"):
        archive_all(mail)
    assert proxy.requests["CopyObject"] == 1


@pytest.mark.parametrize("at_once", [False, True], ids=["one-call", "two-calls-at-once"])
def test_archive__two_versions_of_a_key__both_kept(mail: Mail, at_once: bool) -> None:
    versioned(mail)
    mail.publish(scrapes.jurisdiction())
    first = scrapes.bill(title="First")
    [key] = mail.publish(first)
    mail.run()
    stamp = {SCRAPED_AT_METADATA: datetime.now(UTC).isoformat()}
    mail.put({**copy.deepcopy(first), "title": "Second"}, key, **stamp)
    mail.send(mail.message(key))
    mail.run()
    rows = File.objects.filter(key=key).values_list("id", flat=True)
    calls = [partial(archive.archive_files, mail.store, mail.config, [row]) for row in rows]
    if at_once:
        races.together(mail.config.database_url, "UPDATE ON realtime_file", *calls)
    else:
        archive_all(mail)
    kept = [mail.store.get(one, 9999).body or b"" for one in mail.keys("archived/")]
    assert [sum(title in body for body in kept) for title in (b"First", b"Second")] == [1, 1]
    assert mail.keys("wy/bill") == []


def test_archive__versioned_bucket__both_uploads_of_a_key_imported_and_kept(mail: Mail) -> None:
    versioned(mail)
    mail.publish(scrapes.jurisdiction())
    first = scrapes.bill(title="First")
    [key] = mail.publish(first)
    mail.run()
    mail.put(
        {**copy.deepcopy(first), "title": "Second"},
        key,
        **{SCRAPED_AT_METADATA: datetime.now(UTC).isoformat()},
    )
    mail.send(mail.message(key))
    assert archive_all(mail) == {"archived": 2}
    assert mail.keys("wy/") == [key], "only the version that was imported has left"
    assert mail.run().outcomes["updated"] == 1
    assert archive_all(mail) == {"archived": 1}
    assert mail.keys("wy/") == []
    second = File.objects.get(key=key, outcome="updated")
    assert sorted(mail.keys(f"archived/{today()}/wy/bill")) == sorted(
        File.objects.filter(key=key).values_list("archived_key", flat=True)
    )
    archived = mail.aws.s3.get_object(Bucket=mail.aws.bucket, Key=second.archived_key)
    assert b"Second" in archived["Body"].read()


def test_archive__file_that_was_found_missing_is_back__moved_once_its_message_comes(
    mail: Mail,
) -> None:
    [key] = mail.publish(scrapes.jurisdiction())
    mail.run()
    File.objects.update(archived_at=datetime.now(UTC))
    mail.send(mail.message(key))
    mail.run()
    assert archive_all(mail) == {"archived": 1}
    assert mail.keys("wy/") == []


def test_archive__killed_between_copy_and_delete__next_call_finishes(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(versions: object) -> bool:
        raise Killed

    [key] = mail.publish(scrapes.jurisdiction())
    mail.run()
    with monkeypatch.context() as patch:
        patch.setattr(mail.store, "delete_all", die)
        with pytest.raises(Killed):
            archive_all(mail)
    assert mail.keys() == [f"archived/{today()}/{key}", key]
    assert archive_all(mail) == {"archived": 1}
    assert mail.keys() == [f"archived/{today()}/{key}"]


def test_archive__killed_between_delete_and_record__next_call_records(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    archive_all(mail)
    [moved] = mail.keys()
    File.objects.update(archived_at=None)
    assert archive_all(mail) == {"archived": 1}
    assert (mail.keys(), File.objects.get().archived_key) == ([moved], moved)
    assert archive_all(mail) == {}


def test_archive__archiving_off__deleted_unless_a_message_or_an_open_run_needs_them(
    aws: Aws, database: str
) -> None:
    mail = mail_of(aws, database, FILE_ARCHIVING_ENABLED="false")
    mail.publish(scrapes.jurisdiction())
    [asked] = mail.publish(scrapes.bill("HB 1"), file_archiving_enabled=True)
    [needed] = mail.publish(scrapes.bill("HB 2"), run_id="4e4f3f0e-0000-4000-8000-000000000001")
    mail.run()
    assert archive_all(mail) == {"deleted": 1, "archived": 2}
    assert mail.keys() == sorted(f"archived/{today()}/{key}" for key in (asked, needed))


def test_archive__one_jurisdiction__others_stay(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    elsewhere = ["ocd-jurisdiction/country:us/state:ut/government"]
    assert archive.archive(mail.store, mail.config, elsewhere) == {}
    assert archive.archive(mail.store, mail.config, [scrapes.WYOMING.jurisdiction_id]) == {
        "archived": 1
    }


def test_archive__prefix__files_stay_below_it(aws: Aws, database: str) -> None:
    aws.environment["S3_REALTIME_BASE"] = f"s3://{aws.bucket}/dev"  # type: ignore[index]
    mail = mail_of(aws, database)
    key = mail.put(scrapes.jurisdiction(), "dev/wy/jurisdiction_1.json")
    mail.send(mail.message(key))
    mail.send(mail.message("wy/jurisdiction_2.json"))
    report = mail.run()
    assert (report.outcomes["unchanged"], report.outcomes["failed"]) == (1, 1)
    archive_all(mail)
    assert mail.keys() == [f"dev/archived/{today()}/wy/jurisdiction_1.json"]


def test_archive__two_calls_on_one_file__each_finds_the_other_s_copy(
    mail: Mail,
) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    now = datetime.now(UTC)
    [file] = archive._plan(mail.config, locations.unarchived([], now, 0, 10), now)
    for _ in range(2):
        counts = archive._archive_files(mail.store, [file], lambda: False, {})
        assert counts == {"archived": 1}
    assert mail.keys() == [File.objects.get().archived_key]


def test_archive__many_files__copied_once_each_and_deleted_together(
    aws: Aws, database: str, proxy: AwsProxy
) -> None:
    mail = mail_of(through(proxy.endpoint, aws), database)
    versioned(mail)
    mail.publish(scrapes.jurisdiction(), *(scrapes.bill(f"HB {number}") for number in range(9)))
    mail.run()
    before = Counter(proxy.requests)
    assert archive_all(mail) == {"archived": 10}
    assert proxy.requests - before == {"CopyObject": 10, "DeleteObjects": 1}
