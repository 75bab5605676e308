"""Failed files sent again, on PostgreSQL, S3 and SQS."""

import copy
import io
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from openstates.data.models import Bill, Person, VoteEvent

from realtime.domain.interfaces import ObjectVersion
from realtime.domain.likeness import likeness
from realtime.domain.scraped_object import (
    RUN_ID_METADATA,
    SCRAPED_AT_METADATA,
    STORED_AT_METADATA,
    ticks_of,
)
from realtime.files import archive, redrive
from realtime.ledger import complete_runs, failures, locations
from realtime.ledger import files as ledger_files
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.fault_proxy import AwsProxy, after, on, partly, refusal
from tests.schedules.content import uuid1_at
from tests.scrapes import Mail
from tests.support import Aws, through

ADA = "ocd-person/9995703e-90eb-4d20-a2f6-bfd9542102bd"
RUN = "4e4f3f0e-0000-4000-8000-000000000001"


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in; no bill HB 13 and no person can be."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    assert mail.run().outcomes["unchanged"] == 1
    archive.archive(mail.store, mail.config)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON opencivicdata_bill FOR EACH ROW
            WHEN (NEW.identifier = 'HB 13') EXECUTE FUNCTION refuse();
            CREATE TRIGGER refuse BEFORE INSERT ON opencivicdata_person FOR EACH ROW
            EXECUTE FUNCTION refuse()
            """
        )
    return mail


def mend() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


def retry(
    mail: Mail, *keys: str, told: list[str] | None = None, **jurisdictions: str
) -> dict[str, int]:
    tell = (told if told is not None else []).append
    counts = redrive.retry(mail.store, mail.queue, mail.config, jurisdictions, keys, tell)
    return {name: n for name, n in counts.items() if n}


def fail(mail: Mail, data: dict[str, Any], metadata: dict[str, str] | None = None) -> str:
    """Publish what cannot be imported; returns its key, from which it has been moved."""
    key = mail.put(data, **(metadata or {}))
    mail.send(mail.message(key))
    assert mail.run().outcomes["failed"] == 1
    assert mail.keys("wy/") == []
    return key


def test_retry__scraped_by_a_clock_ahead__keeps_its_place(mail: Mail) -> None:
    now = datetime.now(UTC)
    older = scrapes.bill("HB 13", "older")
    older["_id"] = uuid1_at(ticks_of(now + timedelta(days=365)))
    key = fail(mail, older)
    # As if it had come yesterday.
    File.objects.filter(key=key).update(last_modified=now - timedelta(days=1))
    mend()
    newer = scrapes.bill("HB 13", "newer")
    newer["_id"] = uuid1_at(ticks_of(now - timedelta(hours=1)))
    mail.publish(newer)
    assert mail.run().outcomes["inserted"] == 1
    assert retry(mail) == {"retried": 1}
    assert mail.run().outcomes["superseded"] == 1
    assert Bill.objects.get().title == "newer"


def test_retry__cause_fixed__same_file_imported_and_failed_copy_removed(mail: Mail) -> None:
    stamps = {SCRAPED_AT_METADATA: "2031-01-11T00:00:00.123456+00:00", RUN_ID_METADATA: RUN}
    key = fail(mail, scrapes.bill("HB 13"), stamps)
    before = File.objects.get(key=key)
    mend()
    assert retry(mail) == {"retried": 1}
    stored_at = before.last_modified.isoformat() if before.last_modified else ""
    assert mail.store.head(key).metadata == {**stamps, STORED_AT_METADATA: stored_at}
    assert mail.keys("failed/") == []
    waiting = File.objects.get(key=key)
    assert (waiting.outcome, waiting.reason) == ("deferred", before.reason)
    report = mail.run()
    assert report.outcomes["inserted"] + report.resumed == 1
    after = File.objects.get(key=key)
    assert (after.outcome, after.reason, after.core_id) == ("inserted", "", Bill.objects.get().id)
    for name in ("id", "run_id", "queued_at", "order_ticks", "order_stamp", "scrape_id"):
        assert getattr(after, name) == getattr(before, name)
    assert mail.waiting() == 0
    assert retry(mail) == {}
    archive.archive(mail.store, mail.config)
    assert mail.keys("wy/") == []


def test_retry__cause_not_fixed__fails_again_and_can_be_retried_again(mail: Mail) -> None:
    key = fail(mail, scrapes.bill("HB 13"))
    for _ in range(2):
        assert retry(mail) == {"retried": 1}
        mail.run()
        assert scrapes.outcomes([key]) == {key: "failed"}
        assert mail.keys("failed/") == [f"failed/{key}"]
    mend()
    retry(mail)
    mail.run()
    assert scrapes.outcomes([key]) == {key: "inserted"}


@pytest.mark.parametrize("what", ["not read", "not there"])
def test_retry__file_fails_again_when_it_is_read__failed_at_once(mail: Mail, what: str) -> None:
    key = mail.put(b"{}", "wy/bill_1.json")
    mail.send(mail.message(key))
    mail.run()
    assert retry(mail) == {"retried": 1}
    if what == "not there":
        mail.aws.s3.delete_object(Bucket=mail.aws.bucket, Key=key)
    assert mail.run().outcomes["failed"] == 1
    row = File.objects.get(key=key)
    assert (row.outcome, row.reason == "gone") == ("failed", what == "not there")
    assert row.imported_at is not None
    assert row.alike == likeness(row.reason, row.field, row.detail)
    assert (mail.waiting(), mail.keys("wy/")) == (0, [])
    assert mail.keys("failed/") == ([f"failed/{key}"] if what == "not read" else [])
    if what == "not read":
        assert retry(mail) == {"retried": 1}


def person(mail: Mail, name: str, key: str) -> str:
    data = {"id": ADA, "name": name, "party": [{"name": "Republican"}], "roles": []}
    mail.put(json.dumps(data).encode(), key)
    mail.send(mail.message(key))
    return key


def test_retry__ordered_by_its_first_message__does_not_replace_a_newer_one(mail: Mail) -> None:
    old = person(mail, "Ada Old", "wy/person_1.json")
    assert mail.run().outcomes["failed"] == 1
    mend()
    person(mail, "Ada New", "wy/person_2.json")
    mail.run()
    File.objects.filter(key=old).update(acknowledged_at=datetime.now(UTC))
    retry(mail)
    mail.run()
    assert scrapes.outcomes([old]) == {old: "superseded"}
    assert Person.objects.get().name == "Ada New"


def test_retry__file_fixed_under_failed__imported_in_its_scrape_order(mail: Mail) -> None:
    bill = scrapes.bill("HB 13")
    key = fail(mail, bill, {SCRAPED_AT_METADATA: "2031-01-11T00:00:00.123456+00:00"})
    before = File.objects.get(key=key)
    mail.put({**bill, "identifier": "HB 14"}, f"failed/{key}")
    retry(mail)
    mail.run()
    after = File.objects.get(key=key)
    assert (after.outcome, after.order_stamp) == ("inserted", before.order_stamp)
    assert Bill.objects.get().identifier == "HB 14"


class Killed(BaseException):
    """Ends the call as nothing that it could handle."""


@pytest.mark.parametrize("versioned", [False, True], ids=["", "versioned"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["copy", "delete", "requeue", "send"])
def test_retry__killed_at_any_step__next_call_goes_on(
    mail: Mail, step: str, when: str, versioned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if versioned:
        mail.aws.s3.put_bucket_versioning(
            Bucket=mail.aws.bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    key = fail(mail, scrapes.bill("HB 13"))
    mend()
    owner = {"requeue": failures, "send": mail.queue}.get(step, mail.store)
    call = getattr(owner, step)

    def die(*arguments: Any, **named: Any) -> None:
        if when == "after":
            call(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, die)
        with pytest.raises(Killed):
            retry(mail)
    assert retry(mail) == {"retried": 1}
    while mail.run().received:
        pass
    assert scrapes.outcomes([key]) == {key: "inserted"}
    assert Bill.objects.count() == 1
    archive.archive(mail.store, mail.config)
    assert mail.keys("wy/") == mail.keys("failed/") == []
    assert len(mail.keys(File.objects.get(key=key).archived_key)) == 1


def test_retry__killed_before_sending_and_imported_meanwhile__nothing_to_do(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = fail(mail, scrapes.bill("HB 13"))
    mend()
    with monkeypatch.context() as patch:
        patch.setattr(mail.queue, "send", lambda bodies: list(range(len(bodies))))
        assert retry(mail) == {"later": 1}
    assert mail.run().resumed == 1, "a file that waits is found without its message"
    assert scrapes.outcomes([key]) == {key: "inserted"}
    assert retry(mail) == {}


def test_retry__newer_upload_at_its_key__waits_until_that_has_left(mail: Mail) -> None:
    bill = scrapes.bill("HB 13")
    key = fail(mail, bill)
    newer = {**copy.deepcopy(bill), "identifier": "HB 14"}
    mail.put(newer, key)
    told: list[str] = []
    mend()
    assert retry(mail, told=told) == {"later": 1}
    assert "newer upload" in told[0]
    mail.send(mail.message(key))
    assert mail.run().outcomes["inserted"] == 1
    archive.archive(mail.store, mail.config)
    assert retry(mail) == {"retried": 1}
    mail.run()
    assert set(Bill.objects.values_list("identifier", flat=True)) == {"HB 13", "HB 14"}


def test_retry__newer_upload_while_it_is_put_back__survives(mail: Mail, proxy: AwsProxy) -> None:
    key = fail(mail, scrapes.bill("HB 13"))
    newer = after(lambda: mail.put(b"newer", key))
    proxy.rule = on("CopyObject", fault=newer, times=1)
    slow = Mail(through(proxy.endpoint, mail.aws), mail.config.database_url)
    assert retry(slow) == {"later": 1}
    assert mail.store.get(key, 100).body == b"newer"
    assert mail.keys("failed/") == [f"failed/{key}"]


def test_retry__queue_refuses_one_message__tells_which(mail: Mail, proxy: AwsProxy) -> None:
    keys = [fail(mail, scrapes.bill("HB 13")) for _ in range(3)]
    proxy.rule = on("SendMessageBatch", fault=partly(lambda n: n == 1))
    slow = Mail(through(proxy.endpoint, mail.aws), mail.config.database_url)
    told: list[str] = []
    assert retry(slow, told=told) == {"retried": 2, "later": 1}
    received = mail.queue.receive(10, 60)
    sent = [json.loads(message.body)["file_path"] for message in received]
    assert len(set(sent)) == 2
    [unsent] = set(keys) - set(sent)
    assert told == [f"{unsent}: the queue refused the message"]


def test_retry__queue_lost_half_way__what_was_sent_is_printed_and_the_rest_goes_on(
    mail: Mail, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        mail.publish({**scrapes.bill(f"HB {number}"), "title": None})
    assert mail.run().outcomes["failed"] == 12
    first = on("SendMessageBatch", fault=after(lambda: None), times=1)
    lost = on("SendMessageBatch", fault=refusal(403, "AccessDenied"))
    proxy.rule = lambda request: first(request) or lost(request)
    for name, value in {**mail.aws.environment, "AWS_ENDPOINT_URL": proxy.endpoint}.items():
        monkeypatch.setenv(name, value)
    output = io.StringIO()
    with override_settings(REALTIME=mail.config), pytest.raises(CommandError, match="SQS"):
        call_command("retry_realtime", "--json", stdout=output)
    counts = {"retried": 10, "later": 2, "gone": 0, "refused": 0}
    assert json.loads(output.getvalue()) == counts
    assert mail.waiting() == 10
    assert retry(mail) == {"retried": 12}, "messages that are still there are sent once more"


def test_retry__notification_arrives_first__imported_once_and_failed_copy_removed(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = fail(mail, scrapes.bill("HB 13"))
    mend()
    # Without versioning, uploads of one second are told apart by their content alone.
    File.objects.filter(key=key).update(version="an earlier upload")
    requeue = failures.requeue

    def slowly(versions: dict[int, ObjectVersion]) -> Any:
        mail.send(mail.message(key))
        assert mail.run().outcomes["inserted"] == 1
        return requeue(versions)

    monkeypatch.setattr(failures, "requeue", slowly)
    assert retry(mail) == {"retried": 1}
    assert sorted(File.objects.filter(key=key).values_list("outcome", flat=True)) == [
        "inserted",
        "superseded",
    ]
    assert mail.waiting() == 0


def test_retry__vote_whose_bill_came_after_all__imported(mail: Mail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    [key] = mail.publish(vote, run_id=RUN)
    mail.run()
    end = {"started_at": "2031-01-11", "finished_at": "2031-01-12", "objects": {"vote_event": 1}}
    mail.send(mail.message("", run_id=RUN, run_finished=end))
    mail.run()
    assert File.objects.get(key=key).reason == "unresolved"
    mail.publish(bill)
    mail.run()
    assert retry(mail) == {"retried": 1}
    mail.run()
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    assert File.objects.get(key=key).run_id is not None


def test_retry__run_closed_for_its_failures__final_once_they_are_imported(mail: Mail) -> None:
    bill = scrapes.bill("HB 13")
    mail.publish(bill, run_id=RUN)
    end = {"started_at": "2031-01-11", "finished_at": "2031-01-12", "objects": {"bill": 1}}
    mail.send(mail.message("", run_id=RUN, run_finished=end))
    mail.run()
    assert ScrapeRun.objects.get().closed == "failed-files"
    mend()
    retry(mail)
    plans = complete_runs.plans(ledger_files.database_now())
    assert plans == [], "what is being tried again is not mended yet"
    assert mail.run().finalized == [RUN]
    assert ScrapeRun.objects.get().closed == ""


def test_retry__file_that_was_not_there__retried_once_it_is(mail: Mail) -> None:
    bill = scrapes.bill()
    key = mail.key(bill)
    mail.send(mail.message(key))
    assert mail.run().outcomes["failed"] == 1
    told: list[str] = []
    assert retry(mail, told=told) == {"gone": 1}
    assert key in told[0]
    mail.put(bill)
    assert retry(mail) == {"retried": 1}
    mail.run()
    assert scrapes.outcomes([key]) == {key: "inserted"}


@pytest.mark.parametrize(
    "message",
    [
        "nonsense",
        {"file_path": "wy/bill_1.json", "bucket": "somebody-elses"},
        {"file_path": "ut/bill_1.json"},
        {"file_path": "wy/memo_1.json"},
    ],
)
def test_retry__message_itself_is_wrong__refused_with_a_reason(mail: Mail, message: Any) -> None:
    mail.send(message if isinstance(message, str) else mail.message(**{"key": "", **message}))
    assert mail.run().outcomes["failed"] == 1
    told: list[str] = []
    assert retry(mail, told=told) == {"refused": 1}
    assert "the message is what is wrong" in told[0]
    assert mail.waiting() == 0


def test_retry__message_not_acknowledged__only_later(mail: Mail) -> None:
    [key] = mail.publish(scrapes.bill("HB 13"))
    mail.run()
    File.objects.filter(key=key).update(acknowledged_at=None, archived_at=None, archived_key="")
    assert retry(mail) == {"later": 1}
    timeout = timedelta(seconds=mail.config.visibility_timeout)
    File.objects.filter(key=key).update(imported_at=datetime.now(UTC) - 2.1 * timeout)
    mail.aws.s3.copy_object(
        Bucket=mail.aws.bucket, Key=key, CopySource=f"{mail.aws.bucket}/failed/{key}"
    )
    # As if it had never left: without versioning, the time of an upload is part of what it is.
    there = mail.store.head(key)
    File.objects.filter(key=key).update(version=there.version, last_modified=there.last_modified)
    assert retry(mail) == {"retried": 1}


def test_retry__limited__others_stay_failed(mail: Mail) -> None:
    keys = [fail(mail, scrapes.bill("HB 13")) for _ in range(4)]
    failures.discard([File.objects.get(key=keys[3]).id], "ada", "a test page")
    utah = "ocd-jurisdiction/country:us/state:ut/government"
    assert retry(mail, ut=utah) == {}
    assert retry(mail, "bill_1.json") == {}
    assert retry(mail, keys[0], keys[1].split("/")[1], wy=scrapes.WYOMING.jurisdiction_id) == {
        "retried": 2
    }
    assert mail.keys("failed/") == sorted(f"failed/{key}" for key in keys[2:])
    assert retry(mail, f"failed/{keys[2]}", keys[3]) == {"retried": 1}, "one is discarded"
    [parked] = mail.publish(scrapes.vote_event(scrapes.bill()))
    mail.run()
    assert retry(mail, parked) == {}


def test_retry__prefix_and_odd_key__put_back_below_the_prefix(aws: Aws, database: str) -> None:
    aws.environment["S3_REALTIME_BASE"] = f"s3://{aws.bucket}/dev"  # type: ignore[index]
    mail = Mail(aws, database)
    key = mail.put(b"{}", "dev/wy/bill_a+b%20c.json")

    mail.send(mail.message(key.replace("%", "%25")))
    assert mail.run().outcomes["failed"] == 1
    mail.put(scrapes.bill("HB 1"), "dev/failed/wy/bill_a+b%20c.json")
    mail.put(scrapes.jurisdiction(), "dev/wy/jurisdiction_1.json")
    mail.send(mail.message("dev/wy/jurisdiction_1.json"))
    assert retry(mail) == {"retried": 1}
    mail.run()
    assert scrapes.outcomes([key]) == {key: "inserted"}


@pytest.mark.parametrize("outcome", ["inserted", "failed"])
def test_retry__archive_records_its_move_late__file_still_leaves_the_root(
    mail: Mail, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without versions, what was put back within the second would be the same file.
    mail.aws.s3.put_bucket_versioning(
        Bucket=mail.aws.bucket, VersioningConfiguration={"Status": "Enabled"}
    )

    def import_without_archiving() -> None:
        with pytest.MonkeyPatch.context() as patch:
            for way in ("archive_files", "archive_read"):
                patch.setattr(archive, way, lambda *arguments: None)
            mail.run()

    [key] = mail.publish(scrapes.bill("HB 13"))
    import_without_archiving()
    assert scrapes.outcomes([key]) == {key: "failed"}
    if outcome == "inserted":
        mend()
    archived, asked = locations.archived, count()

    def archived_late(*arguments: Any) -> None:
        if next(asked) == 0:
            retry(mail)
            import_without_archiving()
        archived(*arguments)

    monkeypatch.setattr(locations, "archived", archived_late)
    archive.archive(mail.store, mail.config)
    assert scrapes.outcomes([key]) == {key: outcome}
    archive.archive(mail.store, mail.config)
    assert mail.keys("wy/") == []
    moved = File.objects.get(key=key).archived_key
    assert mail.keys(moved) == [moved]
