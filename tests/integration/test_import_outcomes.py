"""What becomes of files, one import run at a time, on PostgreSQL, S3 and SQS."""

import copy
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from django.db import connection
from openstates.data.models import (
    Bill,
    BillAction,
    Jurisdiction,
    LegislativeSession,
    RelatedBill,
    VoteEvent,
)
from openstates.importers import BillImporter

from realtime.backends.postgres import locks
from realtime.consumer import batches, sources
from realtime.domain import scraped_object
from realtime.domain.config import BULK, CORE
from realtime.domain.errors import RetryLater, Unavailable
from realtime.domain.scraped_object import SCRAPED_AT_METADATA
from realtime.files import fetch
from realtime.importers import batch_transaction
from realtime.ledger import complete_runs, suspects
from realtime.ledger import files as ledger_files
from realtime.models import File, ScrapeRun, Suspect
from tests import races, scrapes
from tests.scrape_runs import Run, import_only
from tests.scrapes import Mail
from tests.support import Aws, wait_until

ADA = "ocd-person/9995703e-90eb-4d20-a2f6-bfd9542102bd"
DC = "ocd-jurisdiction/country:us/district:dc/government"
END: dict[str, Any] = {
    "run_id": "4e4f3f0e-0000-4000-8000-000000000001",
    "bucket": "b",
    "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
    "jurisdiction_name": "Wyoming",
    "run_finished": {
        "started_at": "2031-01-11T00:00:00+00:00",
        "finished_at": "2031-01-11T01:00:00+00:00",
        "objects": {"vote_event": 1},
        "scrapers": {},
    },
}


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    return mail


@pytest.fixture
def session(mail: Mail) -> Mail:
    """Wyoming's legislative session is in."""
    mail.publish(scrapes.jurisdiction())
    assert mail.run().outcomes["unchanged"] == 1
    return mail


def test_import__votes_before_their_bill__parked_then_resumed(session: Mail) -> None:
    bill = scrapes.bill()
    keys = session.publish(scrapes.vote_event(bill), scrapes.vote_event("HB0001", "reading"))
    first = session.run()
    assert first.outcomes["deferred"] == 2
    assert VoteEvent.objects.count() == 0
    assert session.waiting() == 0

    session.publish(bill)
    second = session.run()
    assert (second.outcomes["inserted"], second.resumed) == (1, 2)
    assert {vote.bill.identifier for vote in VoteEvent.objects.all()} == {"HB 1"}
    assert set(scrapes.outcomes(keys).values()) == {"inserted"}


def test_import__bill_and_votes_in_one_run__any_order_will_do(session: Mail) -> None:
    bill = scrapes.bill()
    session.publish(scrapes.vote_event(bill), scrapes.event(about="HB 1"), bill)
    report = session.run()
    assert report.outcomes["inserted"] == 3
    assert VoteEvent.objects.get().bill == Bill.objects.get()


def test_import__vote_names_a_bill_that_core_imported__found_by_identifier(session: Mail) -> None:
    session.publish(scrapes.bill())
    session.run()
    File.objects.all().delete()  # as if core's batch import had brought the bill
    session.publish(scrapes.vote_event(scrapes.bill()))
    assert session.run().outcomes["inserted"] == 1


def test_import__unknown_session__parked_until_the_jurisdiction_brings_it(mail: Mail) -> None:
    # Another state has a session of that name.
    LegislativeSession.objects.create(
        jurisdiction_id="ocd-jurisdiction/country:us/district:dc/government",
        identifier=scrapes.SESSION,
        name="",
        start_date="",
        end_date="",
    )
    mail.publish(scrapes.bill())
    assert mail.run().outcomes["deferred"] == 1
    mail.publish(scrapes.jurisdiction())
    report = mail.run()
    assert report.resumed == 1
    assert Bill.objects.count() == 1


def test_import__run_complete_but_for_a_parked_vote__vote_fails_as_unresolved(
    session: Mail,
) -> None:
    [key] = session.publish(scrapes.vote_event(scrapes.bill()), run_id=END["run_id"])
    session.run()
    assert scrapes.outcomes()[key] == "deferred"
    session.send({**END, "bucket": session.aws.bucket})
    report = session.run()
    assert (report.outcomes["ignored"], report.as_dict()["expired"]) == (1, 1)
    assert "1 parked files failed" in report.summary()
    row = File.objects.get(key=key)
    assert (row.outcome, row.reason) == ("failed", "unresolved")
    assert "HB 1" in row.detail
    assert ScrapeRun.objects.get().objects_sent == {"vote_event": 1}


def test_import__parked_for_a_day_without_a_run__fails_as_unresolved(session: Mail) -> None:
    [key] = session.publish(scrapes.vote_event(scrapes.bill()))
    session.run()
    long_ago = ledger_files.database_now() - 1.1 * complete_runs.PATIENCE
    File.objects.filter(key=key).update(received_at=long_ago)
    # Received once more: that is not when its wait began.
    session.send(session.message(key))
    session.run()
    assert scrapes.outcomes()[key] == "failed"


def test_import__older_scrape_after_a_newer_one__newer_stays(session: Mail) -> None:
    old, new = scrapes.bill(title="Old"), scrapes.bill(title="New")
    session.publish(new)
    session.run()
    votes = [scrapes.vote_event(old, motion) for motion in ("with it", "later")]
    for vote in votes:
        del vote["bill_identifier"]
    session.publish(old, votes[0])
    report = session.run()
    assert report.outcomes["superseded"] == 1
    assert Bill.objects.get().title == "New"
    assert report.outcomes["inserted"] == 1, "a superseded file's _id still names the row"

    session.publish(votes[1])
    assert session.run().outcomes["inserted"] == 1


def test_import__vote_event_scraped_twice__later_one_wins_in_any_order(
    session: Mail,
) -> None:
    bill = scrapes.bill()
    old, new = scrapes.vote_event(bill), scrapes.vote_event(bill)
    old["result"], new["result"] = "fail", "pass"
    session.publish(bill, new)
    session.run()
    session.publish(old)
    assert session.run().outcomes["superseded"] == 1
    assert VoteEvent.objects.get().result == "pass"


def test_import__changed_bill__its_votes_keep_their_actions(session: Mail) -> None:
    bill = scrapes.bill(actions=2)
    session.publish(bill, scrapes.vote_event(bill, action="reading 1"))
    session.run()
    before = VoteEvent.objects.get()
    assert before.bill_action.description == "reading 1"
    session.publish(scrapes.bill(actions=3))
    assert session.run().outcomes["updated"] == 1
    after = VoteEvent.objects.get()
    assert after.bill_action.description == "reading 1"
    assert after.updated_at == before.updated_at


def test_import__action_arrives_after_the_vote_that_names_it__linked(session: Mail) -> None:
    bill = scrapes.bill(actions=0)
    session.publish(bill, scrapes.vote_event(bill, action="reading 1"))
    session.run()
    assert VoteEvent.objects.get().bill_action is None
    session.publish(scrapes.bill(actions=1))
    session.run()
    assert VoteEvent.objects.get().bill_action == BillAction.objects.get()


def test_import__votes_that_name_one_action__first_scraped_has_it_in_any_order(
    session: Mail,
) -> None:
    bill, unclear = scrapes.bill(), scrapes.bill("HB 2")
    unclear["actions"] *= 2
    first, second = (scrapes.vote_event(bill, motion, "reading 1") for motion in ("1st", "2nd"))
    session.publish(bill, unclear)
    session.run()
    session.publish(second, scrapes.vote_event(unclear, "of one of two", "reading 1"))
    session.run()
    linked = VoteEvent.objects.exclude(bill_action=None).values_list("motion_text", flat=True)
    assert list(linked) == ["2nd"]
    session.publish(first)
    assert session.run().outcomes["inserted"] == 1
    assert list(linked.all()) == ["1st"]


def test_import__older_vote_that_comes_late__its_action_holds_where_the_newer_names_none(
    session: Mail,
) -> None:
    bill = scrapes.bill()
    older, newer = scrapes.vote_event(bill, action="reading 1"), scrapes.vote_event(bill)
    session.publish(bill, newer)
    session.run()
    session.publish(older)
    assert session.run().outcomes["superseded"] == 1
    assert VoteEvent.objects.get().bill_action == BillAction.objects.get()


def test_import__companion_arrives_later__linked_both_ways(session: Mail) -> None:
    first, second = scrapes.bill("HB 1"), scrapes.bill("SF 2")
    for one, other in ((first, "SF 2"), (second, "HB 1")):
        one["related_bills"] = [
            {"identifier": other, "legislative_session": scrapes.SESSION,
             "relation_type": "companion"}
        ]  # fmt: skip
    session.publish(first)
    session.run()
    session.publish(second)
    session.run()
    named = {
        b.identifier: b.related_bills.get().related_bill.identifier for b in Bill.objects.all()
    }
    assert named == {"HB 1": "SF 2", "SF 2": "HB 1"}


def test_import__bills_of_one_number_in_two_states__companions_in_their_own(
    session: Mail,
) -> None:
    theirs = Bill.objects.create(
        identifier="HB 1",
        title="of another state",
        legislative_session=LegislativeSession.objects.create(
            jurisdiction_id="ocd-jurisdiction/country:us/district:dc/government",
            identifier=scrapes.SESSION,
            name="",
            start_date="2031-01-01",
            end_date="",
        ),
    )
    theirs.related_bills.create(
        identifier="SF 2", legislative_session=scrapes.SESSION, relation_type="companion"
    )
    bill = scrapes.bill("SF 2")
    bill["related_bills"] = [
        {"identifier": "HB 1", "legislative_session": scrapes.SESSION,
         "relation_type": "companion"},
        {"identifier": "HB 3", "legislative_session": "2030", "relation_type": "companion"},
    ]  # fmt: skip
    session.publish(bill, scrapes.bill("HB 3"))
    assert session.run().outcomes["inserted"] == 2
    assert not RelatedBill.objects.exclude(related_bill=None).exists()
    session.publish(scrapes.bill("HB 1"))
    session.run()
    ours = Bill.objects.get(identifier="HB 1", title="Of bridges")
    assert [one.related_bill for one in RelatedBill.objects.exclude(related_bill=None)] == [ours]


def test_import__message_comes_twice__second_ignored_without_the_object(session: Mail) -> None:
    [key] = session.publish(scrapes.bill())
    session.run()
    session.aws.s3.delete_object(Bucket=session.aws.bucket, Key=key)
    session.send(session.message(key))
    report = session.run()
    assert (report.outcomes["ignored"], report.outcomes["failed"]) == (1, 0)
    assert session.waiting() == 0


def test_import__same_message_twice_in_one_run__imported_once(session: Mail) -> None:
    [key] = session.publish(scrapes.bill())
    session.send(session.message(key))
    report = session.run()
    assert (report.outcomes["inserted"], report.outcomes["ignored"]) == (1, 1)


def test_import__two_uploads_under_one_key__both_imported_in_order(session: Mail) -> None:
    first = scrapes.bill(title="First")
    [key] = session.publish(first)
    session.run()
    second = {**copy.deepcopy(first), "title": "Second"}
    session.put(second, key, **{SCRAPED_AT_METADATA: datetime.now(UTC).isoformat()})
    session.send(session.message(key))
    assert session.run().outcomes["updated"] == 1
    assert Bill.objects.get().title == "Second"
    assert File.objects.filter(key=key).count() == 2


def test_import__organization_and_archived_keys__ignored(session: Mail) -> None:
    key = session.put(b'{"_id": "%s"}' % scrapes.fresh_id().encode(), "wy/organization_1.json")
    session.send(session.message(key))
    session.send(session.message("archived/2031-01-01/wy/bill_1.json"))
    session.send(session.message("failed/wy/bill_1.json"))
    session.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "x"})
    assert session.run().outcomes["ignored"] == 4


def test_import__keys_of_s3_notifications__decoded_and_imported(session: Mail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    keys = [session.put(bill, "wy/bill_a b.json"), session.put(vote, "wy/vote_event_c+d.json")]
    encoded = ["wy/bill_a+b.json", "wy%2Fvote_event_c%2Bd.json"]
    session.send(
        {
            "Records": [
                {
                    "eventSource": "aws:s3",
                    "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": session.aws.bucket}, "object": {"key": key}},
                }
                for key in encoded
            ]
        }
    )
    report = session.run()
    assert (report.received, report.outcomes["inserted"]) == (2, 2)
    assert set(scrapes.outcomes(keys).values()) == {"inserted"}
    assert session.waiting() == 0


def _too_long(bill: dict[str, Any]) -> None:
    bill["versions"][0]["date"] = "2031-01-11T00:00:00"


def _wrong_type(bill: dict[str, Any]) -> None:
    bill["actions"][0]["classification"] = 7


def _null_byte(bill: dict[str, Any]) -> None:
    bill["title"] = "a\0b"


def _other_state(bill: dict[str, Any]) -> None:
    bill["jurisdiction"]["id"] = "ocd-jurisdiction/country:us/state:ut/government"


def _unknown_committee(bill: dict[str, Any]) -> None:
    bill["actions"][0]["organization_id"] = '~{"name": "Committee on Nothing"}'


def _no_chamber(bill: dict[str, Any]) -> None:
    del bill["from_organization"]


def _no_id(bill: dict[str, Any]) -> None:
    bill["_id"] = 12


@pytest.mark.parametrize(
    ("spoil", "reason", "field"),
    [
        (_too_long, "too-long", "versions.0.date"),
        (_wrong_type, "invalid", "actions.0.classification"),
        (_null_byte, "invalid", "title"),
        (_other_state, "wrong-jurisdiction", "jurisdiction"),
        (_unknown_committee, "unresolved", "actions.0.organization_id"),
        (_no_chamber, "invalid", "from_organization"),
        (_no_id, "bad-id", "_id"),
    ],
)
def test_import__one_bad_file__fails_with_its_reason_and_neighbours_are_imported(
    session: Mail, spoil: Callable[[dict[str, Any]], None], reason: str, field: str
) -> None:
    bad, good = scrapes.bill("HB 13"), [scrapes.bill("HB 12"), scrapes.bill("HB 14")]
    key = session.key(bad)
    spoil(bad)
    session.publish(good[0])
    session.put(bad, key)
    session.send(session.message(key))
    session.publish(good[1])
    before = _latest_bill_update()
    report = session.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (2, 1)
    assert _latest_bill_update() > before
    row = File.objects.get(key=key)
    assert (row.outcome, row.reason, row.field) == ("failed", reason, field)
    assert row.detail
    assert "Traceback" not in row.detail
    assert session.waiting() == 0
    assert [k for k in session.keys("wy/") if k == key] == []
    assert session.keys("failed/") == [f"failed/{key}"]


def _latest_bill_update() -> datetime:
    updated: datetime = Jurisdiction.objects.get(
        id=scrapes.WYOMING.jurisdiction_id
    ).latest_bill_update
    return updated


@pytest.mark.parametrize(
    ("message", "reason", "field"),
    [
        ("no json", "bad-message", ""),
        ("[]", "bad-message", ""),
        ({"bucket": "b"}, "bad-message", "file_path"),
        ({"file_path": "wy/../../etc/passwd"}, "bad-key", "file_path"),
        ({"file_path": "/etc/bill_1.json"}, "bad-key", "file_path"),
        ({"file_path": "wy/bill_1\0.json"}, "bad-message", "file_path"),
        ({"file_path": "wy/bill_%00.json"}, "bad-key", "file_path"),
        ({"file_path": "wy/bill_" + "é" * 600 + ".json"}, "bad-key", "file_path"),
        ({"file_path": "wy/bill_1.json", "jurisdiction_id": "x\0"}, "bad-message",
         "jurisdiction_id"),
        ({"file_path": "wy/bill_1.json", "jurisdiction_name": "\udcff"}, "bad-message",
         "jurisdiction_name"),
        ({"file_path": "wy/bill_1.json", "bucket": "b" * 3000}, "bad-message", "bucket"),
        ({"file_path": "wy/memo_1.json"}, "unknown-type", "file_path"),
        ({"file_path": "wy/bill_1.json", "bucket": "somebody-elses"}, "foreign-bucket", "bucket"),
        ({"file_path": "wy/bill_not_there.json"}, "gone", "file_path"),
        ({"file_path": "ut/bill_1.json"}, "wrong-jurisdiction", "jurisdiction_id"),
        ({"run_id": "x", "run_finished": {}}, "bad-message", "run_id"),
        ({**END, "run_finished": {**END["run_finished"], "objects": {"bill": 10**30}}},
         "bad-message", "objects"),
        ({**END, "run_finished": {**END["run_finished"], "started_at": "0001-01-01T00:00+05:00"}},
         "bad-message", "started_at"),
        ({**END, "run_finished": {"started_at": "2031-01-01", "finished_at": "2031-01-01"}},
         "bad-message", "objects"),
        (END, "foreign-bucket", "bucket"),
        ({"Records": []}, "bad-message", "Records"),
        ({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]},
         "bad-message", "Records.0.s3"),
    ],
)  # fmt: skip
def test_import__bad_message__fails_with_its_reason_and_neighbours_are_imported(
    session: Mail, message: Any, reason: str, field: str
) -> None:
    whole = isinstance(message, str) or "Records" in message or "file_path" not in message
    session.send(message if whole else session.message(**{"key": "", **message}))
    session.publish(scrapes.bill())
    report = session.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (1, 1)
    row = File.objects.get(outcome="failed")
    assert (row.reason, row.field) == (reason, field)
    assert row.detail
    assert session.waiting() == 0


def test_import__bad_records_of_one_notification__each_is_a_failure(session: Mail) -> None:
    bad = {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    session.send({"Records": [bad, bad]})
    assert session.run().outcomes["failed"] == 2
    assert File.objects.filter(reason="bad-message").count() == 2


def test_import__file_cut_short_or_too_large__fails_and_is_kept_aside(
    aws: Aws, database: str
) -> None:
    mail = Mail(aws, database, REALTIME_MAX_FILE_BYTES="5000")
    large = {**scrapes.bill("HB 2"), "title": "x" * 6000}
    cut = json.dumps(scrapes.bill("HB 3")).encode()[:-10]
    keys = [mail.put(large), mail.put(cut, f"wy/bill_{scrapes.fresh_id()}.json")]
    for key in keys:
        mail.send(mail.message(key))
    mail.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    report = mail.run()
    assert (report.outcomes["failed"], Bill.objects.count()) == (2, 1)
    assert list(File.objects.filter(key=keys[0]).values_list("reason")) == [("too-large",)]
    assert list(File.objects.filter(key=keys[1]).values_list("reason")) == [("bad-json",)]
    assert mail.keys("failed/") == sorted(f"failed/{key}" for key in keys)


def test_import__jurisdiction_not_in_the_database__fails(session: Mail) -> None:
    bill = scrapes.bill()
    unknown = "ocd-jurisdiction/country:us/state:zz/government"
    bill["jurisdiction"]["id"] = unknown
    key = session.put(bill, f"zz/bill_{bill['_id']}.json")
    session.send(session.message(key, jurisdiction_id=unknown))
    assert session.run().outcomes["failed"] == 1
    assert File.objects.get(key=key).reason == "unknown-jurisdiction"


def test_import__bad_message_about_an_imported_file__leaves_its_record_alone(
    session: Mail,
) -> None:
    [key] = session.publish(scrapes.bill())
    session.run()
    other = "ocd-jurisdiction/country:us/state:ut/government"
    session.send(session.message(key, jurisdiction_id=other))
    session.run()
    assert File.objects.filter(key=key, outcome="inserted").exists()
    assert Bill.objects.count() == 1


def test_import__deferred_foreign_key_violated__fails_alone_before_the_commit(
    session: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepare = BillImporter.prepare_for_db

    def misled(self: Any, data: Any) -> Any:
        prepared = prepare(self, data)
        if prepared["identifier"] == "HB 13":
            prepared["from_organization_id"] = "ocd-organization/nobody"
        return prepared

    monkeypatch.setattr(BillImporter, "prepare_for_db", misled)
    session.publish(scrapes.bill("HB 12"), scrapes.bill("HB 13"), scrapes.bill("HB 14"))
    report = session.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (2, 1)
    assert set(Bill.objects.values_list("identifier", flat=True)) == {"HB 12", "HB 14"}
    broken = [record for record in caplog.records if "broke" in record.getMessage()]
    assert broken == [], "found at its savepoint, not by trying the batch again in halves"


def refuse_bill_13(code: str) -> None:
    """The database refuses it with this SQLSTATE."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON opencivicdata_bill FOR EACH ROW
            WHEN (NEW.identifier = 'HB 13') EXECUTE FUNCTION refuse()
            """
        )


# Core wraps what the database says in an error of its own.
@pytest.mark.parametrize("mail", [BULK, CORE], indirect=True)
def test_import__database_interrupts_one_object__all_released_nothing_committed(
    session: Mail,
) -> None:
    refuse_bill_13("40P01")
    keys = session.publish(scrapes.bill("HB 12"), scrapes.bill("HB 13"))
    report = session.run()
    assert report.outcomes["released"] == 2
    assert not Bill.objects.exists()
    assert scrapes.outcomes(keys) == {}
    assert session.waiting() == 2


def test_import__value_too_large_for_an_index__fails_alone(session: Mail) -> None:
    refuse_bill_13("54000")
    session.publish(scrapes.bill("HB 12"), scrapes.bill("HB 13"))
    report = session.run()
    assert (report.outcomes["inserted"], report.outcomes["failed"]) == (1, 1)


def publish_elsewhere(mail: Mail) -> str:
    """Publish a file of another jurisdiction."""
    person = {"id": ADA, "name": "Ada", "party": [{"name": "Republican"}], "roles": []}
    key = mail.put(json.dumps(person).encode(), "dc/person_1.json")
    mail.send(mail.message(key, jurisdiction_id=DC))
    return key


def test_import__jurisdiction_busy__released_and_others_imported(
    session: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PATIENT", 0.2)
    other = psycopg2.connect(session.config.database_url)
    with other, other.cursor() as cursor:
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        session.publish(scrapes.bill())
        key = publish_elsewhere(session)
        report = session.run()
    other.close()
    assert (report.outcomes["released"], report.outcomes["inserted"]) == (1, 1)
    assert scrapes.outcomes([key]) == {key: "inserted"}, "the other jurisdiction is not busy"
    assert session.waiting() == 1


def test_import__jurisdiction_free_once_others_are_imported__imported_after_them(
    session: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.publish(scrapes.bill())
    publish_elsewhere(session)
    with races.session(session.config.database_url) as other:
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        other.execute("SELECT pg_advisory_lock(%s, %s)", [locks.JURISDICTIONS, number])

        def free(jurisdiction_id: str) -> None:
            other.execute("SELECT pg_advisory_unlock_all()")

        monkeypatch.setattr(batches, "log_busy", free)
        assert session.run().outcomes["inserted"] == 2


def test_import__jurisdiction_taken_between_the_halves_of_a_batch__each_file_once(
    session: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = "SELECT pg_advisory_lock(%s, %s)"
    key = [locks.JURISDICTIONS, locks.number(scrapes.WYOMING.jurisdiction_id)]
    record, url = ledger_files.record, session.config.database_url
    with (
        ThreadPoolExecutor(1) as threads,
        races.session(url) as other,
        races.session(url) as watcher,
    ):

        def break_then_lock(results: Any, *more: Any) -> Any:
            results = list(results)
            if len(results) > 1:
                raise TypeError("these two cannot be recorded")
            if results[0].object_type == "bill" and not Bill.objects.count() > 1:
                # Whoever waits first gets it when this half is committed.
                threads.submit(other.execute, lock, key)
                assert wait_until(lambda: races.waiting(watcher) == 1)
            return record(results, *more)

        monkeypatch.setattr(ledger_files, "record", break_then_lock)
        monkeypatch.setattr(
            batches, "log_busy", lambda _: other.execute("SELECT pg_advisory_unlock_all()")
        )
        session.publish(scrapes.bill("HB 1"), scrapes.bill("HB 2"))
        publish_elsewhere(session)
        assert session.run().outcomes["inserted"] == 3


def test_import__more_than_a_batch__all_imported_in_one_pass(
    session: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_SIZE", 2)
    session.publish(*(scrapes.bill(f"HB {number}") for number in range(5)))
    assert session.run().outcomes["inserted"] == 5


def test_import__row_locked_for_longer_than_one_wait_for_the_jurisdiction__imported(
    session: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_SLICE", 0.01)
    session.publish(scrapes.bill())
    url = session.config.database_url
    with (
        ThreadPoolExecutor(1) as threads,
        races.session(url) as holder,
        races.session(url) as watcher,
    ):
        holder.execute("BEGIN")
        holder.execute("SELECT FROM opencivicdata_jurisdiction FOR UPDATE")
        worker = threads.submit(session.run)
        assert wait_until(lambda: races.waiting(watcher, 0.1) > 0 or worker.done())
        holder.execute("COMMIT")
        assert worker.result().outcomes["inserted"] == 1


def test_import__all_workers_busy__says_so_and_receives_nothing(aws: Aws, database: str) -> None:
    mail = Mail(aws, database, REALTIME_MAX_WORKERS="1")
    mail.publish(scrapes.jurisdiction())
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [locks.SLOTS])
        report = mail.run()
        assert report.note == "all 1 workers are busy; nothing was received"
        assert report.received == 0
    other.close()
    assert mail.run().received == 1
    with races.session(mail.config.database_url) as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [locks.SLOTS])
        assert cursor.fetchone() == (True,), "the slot is free, though this process goes on"


@pytest.fixture
def slot_is_taken(session: Mail, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Right before each commit, this worker's slot has been lost, and others have taken all."""
    verify = locks.WorkerSlot.verify
    with races.session(session.config.database_url) as others:

        def lose_then_verify(slot: locks.WorkerSlot) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_all()")
            last = session.config.max_workers - 1
            others.execute(
                "SELECT pg_advisory_lock(%s, slot) FROM generate_series(0, %s) AS slot",
                [locks.SLOTS, last],
            )
            verify(slot)

        monkeypatch.setattr(locks.WorkerSlot, "verify", lose_then_verify)
        yield


@pytest.mark.parametrize("file", ["good", "unreadable", "breaks-its-batch"])
@pytest.mark.usefixtures("slot_is_taken")
def test_import__slot_taken_by_another_before_the_commit__nothing_committed_and_released(
    session: Mail, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = scrapes.outcomes()
    if file == "breaks-its-batch":
        monkeypatch.setattr(batch_transaction, "link_references", lambda *arguments: 1 / 0)
    if file == "unreadable":
        session.send("nonsense")
        with pytest.raises(RetryLater, match="no longer holds its slot"):
            session.run()
    else:
        session.publish(scrapes.bill())
        assert session.run().outcomes["released"] == 1
    assert (scrapes.outcomes(), Bill.objects.count()) == (before, 0)
    assert session.waiting() == 1


def test_finalize__slot_taken_by_another_before_the_commit__put_off(
    session: Mail, request: pytest.FixtureRequest
) -> None:
    run = Run(session)
    run.publish(scrapes.bill())
    run.end()
    import_only(session)
    request.getfixturevalue("slot_is_taken")
    assert session.run().finalized == []
    assert (run.row.step, run.row.finalized_at) == ("", None)


class Killed(BaseException):
    """Ends the run as nothing that it could handle."""


def test_import__message_that_kills_the_process__fails_after_three_attempts(
    aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = Mail(aws, database, REALTIME_MAX_RECEIVES="1")
    mail.publish(scrapes.jurisdiction(), scrapes.bill())
    mail.queue.change_visibility(mail.queue.receive(2, 300), lambda: 0)
    monkeypatch.setattr(sources, "RELEASE_SECONDS", (0, 0))
    read = scraped_object.read

    def die_of_bills(object_type: str, *more: Any, **named: Any) -> Any:
        if object_type == "bill":
            raise Killed
        return read(object_type, *more, **named)

    tried = []
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "read", die_of_bills)
        for _ in range(1 + suspects.ATTEMPTS):
            with pytest.raises(Killed):
                mail.run()
            tried.append(Suspect.objects.filter(body__contains="bill").values_list()[0][2:4])
    # With the jurisdiction, which then is imported, and alone.
    assert tried == [(0, 2), (1, 1), (2, 1), (3, 1)]
    assert scrapes.outcomes() == {mail.key(scrapes.jurisdiction()): "unchanged"}
    report = mail.run()
    assert report.outcomes["failed"] == 1
    assert File.objects.get(outcome="failed").reason == "kills-the-import"
    assert not Suspect.objects.exists()
    assert mail.waiting() == 0


def test_import__database_unreachable__unavailable_and_messages_stay(
    aws: Aws, database: str
) -> None:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    connection.settings_dict["PORT"] = "1"
    with pytest.raises(Unavailable, match="database cannot be reached"):
        mail.run()
    assert mail.waiting() == 1


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one run"])
@pytest.mark.parametrize("order", [(3, 1, 2), (3, 2, 1), (2, 3, 1), (1, 3, 2)], ids=str)
def test_import__older_jurisdiction_files__session_is_as_the_newest_that_names_it(
    mail: Mail, order: tuple[int, ...], *, together: bool
) -> None:
    def scraped(number: int) -> dict[str, Any]:
        data = scrapes.jurisdiction()
        [known] = data["legislative_sessions"]
        special = {**known, "identifier": "2029", "name": f"Special, {number}"}
        # The newest does not name it.
        sessions = [{**known, "name": f"General, {number}"}, *([special] if number < 3 else [])]
        return {**data, "legislative_sessions": sessions}

    for number in order:
        key = f"wy/jurisdiction_{number}.json"
        stamp = f"2021-0{number}-01T00:00:00+00:00"
        mail.put(scraped(number), key, **{SCRAPED_AT_METADATA: stamp})
        mail.send(mail.message(key))
        if not together or number == 3:
            mail.run()
    mail.run()
    sessions = LegislativeSession.objects.filter(jurisdiction_id=scrapes.WYOMING.jurisdiction_id)
    assert sorted(sessions.values_list("name", flat=True)) == ["General, 3", "Special, 2"]


@pytest.mark.parametrize("known", ["of core", "of the release before"])
def test_import__older_jurisdiction_files__session_that_no_file_is_known_to_name__stays(
    mail: Mail, known: str
) -> None:
    def scraped(number: int, *names: str) -> None:
        data = scrapes.jurisdiction()
        [session] = data["legislative_sessions"]
        data["legislative_sessions"] = [{**session, "identifier": one, "name": f"{one}, {number}"}
                                        for one in names]  # fmt: skip
        key = f"wy/jurisdiction_{number}.json"
        stamp = f"2021-0{number}-01T00:00:00+00:00"
        mail.put(data, key, **{SCRAPED_AT_METADATA: stamp})
        mail.send(mail.message(key))
        mail.run()

    scraped(4, "2031", *(["2029"] if known != "of core" else []))
    if known == "of core":
        LegislativeSession.objects.create(
            jurisdiction_id=scrapes.WYOMING.jurisdiction_id, identifier="2029", name="2029, 4"
        )
    else:
        File.objects.update(identity=None)
    for older in (1, 2, 3):
        scraped(older, "2031", "2029")
    sessions = LegislativeSession.objects.filter(jurisdiction_id=scrapes.WYOMING.jurisdiction_id)
    assert sorted(sessions.values_list("name", flat=True)) == ["2029, 4", "2031, 4"]


def test_import__older_jurisdiction_file__still_adds_its_missing_sessions(mail: Mail) -> None:
    newest = scrapes.jurisdiction()
    older = copy.deepcopy(newest)
    known = newest["legislative_sessions"][0]
    older["legislative_sessions"] = [known, {**known, "identifier": "2029"}]
    older["name"] = "Old Wyoming"
    stamps = {"new": "2021-02-01T00:00:00+00:00", "old": "2021-01-01T00:00:00+00:00"}
    for data, stamp in ((newest, "new"), (older, "old")):
        key = f"wy/jurisdiction_{stamp}.json"
        mail.put(data, key, **{SCRAPED_AT_METADATA: stamps[stamp]})
        mail.send(mail.message(key))
        report = mail.run()
    assert report.outcomes["superseded"] == 1
    sessions = LegislativeSession.objects.filter(jurisdiction_id=scrapes.WYOMING.jurisdiction_id)
    assert sorted(sessions.values_list("identifier", flat=True)) == ["2029", "2031"]
    assert sessions[0].jurisdiction.name == "Wyoming"
