"""Files and messages that are wrong in ways that reach further than themselves."""

import json
import time
import uuid
from typing import Any

import psycopg2
import pytest
from django.db import connection
from openstates.data.models import Bill, Jurisdiction, VoteEvent

from realtime.backends.postgres import locks
from realtime.backends.s3 import S3Store
from realtime.consumer import batches
from realtime.consumer.run import Limits, run
from realtime.consumer.sources import QueueInbox
from realtime.domain.errors import Unavailable
from realtime.domain.scraped_object import SCRAPED_AT_METADATA
from realtime.ledger import files as ledger_files
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.scrapes import Mail
from tests.support import Aws

RUN_ID = "4e4f3f0e-0000-4000-8000-000000000001"


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


@pytest.mark.parametrize("time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+05:00"])
def test_import__scraped_at_that_utc_does_not_have__imported_and_archived(
    mail: Mail, time: str
) -> None:
    mail.publish({**scrapes.bill(), "scraped_at": time})
    assert mail.run().outcomes["inserted"] == 1
    assert len(mail.keys("archived/")) == 2


def test_import__vote_of_a_bill_that_no_query_can_name__fails_alone(mail: Mail) -> None:
    bill = scrapes.bill()
    votes = [scrapes.vote_event(bill, f"motion {number}") for number in range(3)]
    votes[1]["bill"], votes[2]["bill"] = "abc\0", "\udcff"
    mail.publish(*votes, bill)
    report = mail.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (2, 2)


def test_import__session_longer_than_any__fails_alone(mail: Mail) -> None:
    mail.publish({**scrapes.bill(), "legislative_session": "x" * 3000}, scrapes.bill("HB 2"))
    report = mail.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (1, 1)
    assert File.objects.get(outcome="failed").field == "legislative_session"


def test_import__file_nested_deeper_than_the_import_can_go__fails_alone(mail: Mail) -> None:
    body = json.dumps({**scrapes.bill(), "extras": "deep"})
    deep = body.replace('"deep"', "[" * 960 + "]" * 960).encode()
    mail.send(mail.message(mail.put(deep, "wy/bill_deep.json")))
    mail.publish(scrapes.bill("HB 2"))
    report = mail.run()
    assert report.received == 2
    assert report.outcomes["released"] == 0
    assert Bill.objects.filter(identifier="HB 2").exists()


def test_import__older_jurisdiction_file_with_bad_sessions__fails_alone(mail: Mail) -> None:
    older = scrapes.jurisdiction()
    older["legislative_sessions"] = [{"name": "x" * 400, "identifier": "1999"}]
    key = "wy/jurisdiction_older.json"
    mail.put(older, key, **{SCRAPED_AT_METADATA: "2001-01-01T00:00:00+00:00"})
    mail.send(mail.message(key))
    mail.publish(scrapes.bill())
    report = mail.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (1, 1)


def test_import__jurisdiction_file_of_one_that_is_not_there__fails_and_adds_nothing(
    mail: Mail,
) -> None:
    unknown = "ocd-jurisdiction/country:us/state:zz/government"
    data = {**scrapes.jurisdiction(), "_id": unknown, "id": unknown}
    data["division_id"] = "ocd-division/country:us/state:zz"
    key = mail.put(data, "zz/jurisdiction_1.json")
    mail.send(mail.message(key, jurisdiction_id=unknown))
    before = Jurisdiction.objects.count()
    assert mail.run().outcomes["failed"] == 1
    assert Jurisdiction.objects.count() == before


def test_import__notification_of_another_states_file__fails_instead_of_parking(
    mail: Mail,
) -> None:
    bill = {**scrapes.bill(), "legislative_session": "1901"}
    bill["jurisdiction"]["id"] = "ocd-jurisdiction/country:us/district:dc/government"
    key = mail.put(bill)
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": mail.aws.bucket}, "object": {"key": key}},
    }
    mail.send({"Records": [record]})
    assert mail.run().outcomes["failed"] == 1
    assert File.objects.get(key=key).reason == "wrong-jurisdiction"


def test_import__parked_file_outside_a_changed_prefix__fails_and_later_runs_go_on(
    mail: Mail,
) -> None:
    [key] = mail.publish({**scrapes.bill(), "legislative_session": "2033"})
    mail.run()
    mail.config = mail.config.__class__(
        **{**mail.config.__dict__, "base": f"s3://{mail.aws.bucket}/moved"}
    )
    File.objects.filter(key=key).update(received_at="2001-01-01T00:00:00+00:00")
    mail.run()
    assert scrapes.outcomes()[key] == "failed"
    assert mail.run().received == 0


def test_import__file_of_a_run_deleted_before_reading__still_counted_for_completeness(
    mail: Mail,
) -> None:
    mail.send(mail.message("wy/bill_gone.json", run_id=RUN_ID))
    [vote] = mail.publish(scrapes.vote_event(scrapes.bill()), run_id=RUN_ID)
    mail.run()
    end = {"started_at": "2031-01-01", "finished_at": "2031-01-02"}
    mail.send(
        {
            "run_id": RUN_ID,
            "bucket": mail.aws.bucket,
            "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
            "jurisdiction_name": "Wyoming",
            "run_finished": {**end, "objects": {"bill": 1, "vote_event": 1}},
        }
    )
    mail.run()
    assert ScrapeRun.objects.count() == 1
    assert scrapes.outcomes()[vote] == "failed"


def test_import__one_file_uploaded_twice__does_not_make_its_run_look_complete(
    mail: Mail,
) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    for _ in range(2):
        vote["extras"] = {"upload": str(_)}
        mail.publish(vote, run_id=RUN_ID)
        mail.run()
    end = {"started_at": "2031-01-01", "finished_at": "2031-01-02"}
    mail.send(
        {
            "run_id": RUN_ID,
            "bucket": mail.aws.bucket,
            "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
            "run_finished": {**end, "objects": {"bill": 1, "vote_event": 1}},
        }
    )
    mail.run()
    assert "failed" not in scrapes.outcomes().values() or VoteEvent.objects.exists()
    mail.publish(bill, run_id=RUN_ID)
    mail.run()
    assert VoteEvent.objects.get().bill == Bill.objects.get()


def test_import__column_missing_in_cores_table__released_not_failed(mail: Mail) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opencivicdata_bill RENAME COLUMN citations TO quotations")
    keys = mail.publish(scrapes.bill())
    assert mail.run().outcomes["released"] == 1
    assert scrapes.outcomes(keys) == {}


def test_import__our_tables_missing__unavailable_and_says_what_to_run(mail: Mail) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE realtime_file")
    mail.publish(scrapes.bill())
    with pytest.raises(Unavailable, match="migrate realtime"):
        mail.run()
    assert mail.waiting() == 1


def test_import__file_breaks_its_whole_batch__found_by_halving_and_fails_alone(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = ledger_files.record

    def choke(results: Any, *more: Any) -> Any:
        results = list(results)
        if any(r.file and r.file.content.data.get("identifier") == "HB 13" for r in results):
            raise TypeError("HB 13 cannot be recorded")
        return record(results, *more)

    monkeypatch.setattr(ledger_files, "record", choke)
    mail.publish(*[scrapes.bill(f"HB {number}") for number in range(10, 17)])
    report = mail.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (6, 1)
    assert not Bill.objects.filter(identifier="HB 13").exists()
    assert "HB 13 cannot be recorded" in File.objects.get(outcome="failed").traceback


def test_import__vote_that_is_rolled_back__leaves_its_action_to_the_next(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = scrapes.bill()
    bad = scrapes.vote_event(bill, "first", action="reading 1")
    good = scrapes.vote_event(bill, "second", action="reading 1")
    bad["result"] = "x" * 100
    mail.publish(bill, bad, good)
    report = mail.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (2, 1)
    assert VoteEvent.objects.get().bill_action is not None


def test_import__busy_jurisdiction_and_little_time__stops_in_time(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PATIENT", 60)
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        mail.publish(scrapes.bill())
        end = time.monotonic() + 2
        limits = Limits(10, False, lambda: time.monotonic() > end)
        inbox = QueueInbox(mail.queue, 300)
        report = run(mail.config, inbox, mail.store, limits)
    other.close()
    assert time.monotonic() < end + 10
    assert report.outcomes["released"] == 1


def test_import__keys_that_s3_refuses__unavailable_and_messages_stay(mail: Mail) -> None:
    class Refusing:
        def get_object(self, **arguments: Any) -> Any:
            from botocore.exceptions import ClientError

            error = {"Error": {"Code": "InvalidAccessKeyId", "Message": "no such key"}}
            raise ClientError(error, "GetObject")  # type: ignore[arg-type]

    mail.publish(scrapes.bill())
    mail.store = S3Store(mail.store.bucket, Refusing(), obstore=False)
    with pytest.raises(Unavailable, match="S3 refuses us"):
        mail.run()
    assert mail.waiting() == 1


def test_import__message_text__may_hold_any_line_break(mail: Mail) -> None:
    from realtime.consumer.sources import read_given

    body = json.dumps({"file_path": "wy/bill_1.json", "note": "a\u2028b"}, ensure_ascii=False)
    inbox = read_given(f"{body}\n{body}\n")
    assert len(inbox.receive(10)) == 2


def test_import__parked_file_overwritten_without_a_message__newer_upload_imported(
    mail: Mail,
) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    [key] = mail.publish(vote)
    mail.run()
    mail.put({**vote, "motion_text": "amended"}, key)
    mail.publish(bill)
    mail.run()
    assert VoteEvent.objects.get().motion_text == "amended"
    assert set(File.objects.filter(key=key).values_list("outcome", flat=True)) == {
        "inserted",
        "superseded",
    }


def test_import__two_parked_uploads_of_one_key__the_newer_keeps_its_run(mail: Mail) -> None:
    older, newer = str(uuid.uuid4()), str(uuid.uuid4())
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    [key] = mail.publish(vote, run_id=older)
    mail.run()
    mail.put({**vote, "motion_text": "amended"}, key)
    mail.send(mail.message(key, run_id=newer))
    mail.run()
    mail.publish(bill)
    mail.run()
    rows = File.objects.filter(key=key).order_by("id").values_list("run_id", "outcome")
    assert [(str(run), outcome) for run, outcome in rows] == [
        (older, "superseded"),
        (newer, "inserted"),
    ]
