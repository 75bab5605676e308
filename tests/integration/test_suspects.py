"""Messages and files that kill the process or hang: found by halves, and nobody else pays."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from openstates.data.models import Bill, VoteEvent

from realtime.consumer import sources
from realtime.consumer.run import Limits, run
from realtime.consumer.sources import GivenInbox
from realtime.devstack.database import using_database
from realtime.domain import scraped_object
from realtime.domain.errors import Unavailable
from realtime.domain.messages import ReceivedMessage
from realtime.files import fetch
from realtime.finalization.finalize import finalize_complete
from realtime.ledger import suspects
from realtime.models import File, Suspect
from realtime.monitoring.report import Report
from tests import scrapes
from tests.fault_proxy import PostgresProxy
from tests.scrape_runs import Run, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture
def mail(aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    """Wyoming's legislative session is in, and what is released comes again at once. A message that
    comes for the second time is suspect."""
    monkeypatch.setattr(sources, "RELEASE_SECONDS", (0, 0))
    mail = Mail(aws, database, REALTIME_MAX_RECEIVES="1")
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def make_suspect(mail: Mail, number: int) -> None:
    """Receive what is in the queue, and give it back."""
    received = mail.queue.receive(number, 300)
    assert len(received) == number
    mail.queue.change_visibility(received, lambda: 0)


@contextmanager
def hanging(write: str, when: str = "true") -> Iterator[None]:
    """Within the block each such write of a row takes very long."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;"
            f"CREATE TRIGGER hang BEFORE {write} FOR EACH ROW WHEN ({when})"
            " EXECUTE FUNCTION hang()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION hang CASCADE")


def test_import__connection_lost_under_a_suspect_message__attempt_taken_back(mail: Mail) -> None:
    mail.publish(scrapes.bill())
    make_suspect(mail, 1)
    for _ in range(suspects.ATTEMPTS + 1):
        with PostgresProxy(mail.config.database_url) as postgres:
            postgres.cut_before = b'COPY "opencivicdata_bill"'
            with using_database(postgres.url), pytest.raises(Unavailable):
                mail.run()
            assert postgres.cuts == 1
        assert not Suspect.objects.exists()
    assert mail.run().outcomes["inserted"] == 1


def test_import__suspect_message_not_tried_for_an_outage__earlier_attempts_still_count(
    mail: Mail,
) -> None:
    mail.publish(scrapes.bill())
    [message] = mail.queue.receive(1, 300)
    mail.queue.change_visibility([message], lambda: 0)
    Suspect.objects.create(message_id=message.message_id, body=message.body, attempts=2, together=1)
    with PostgresProxy(mail.config.database_url) as postgres:
        postgres.cut_before = b'COPY "opencivicdata_bill"'
        with using_database(postgres.url), pytest.raises(Unavailable):
            mail.run()
    assert Suspect.objects.get().attempts == 2
    assert mail.run().outcomes["inserted"] == 1
    assert not Suspect.objects.exists()


def given(mail: Mail, receive_count: int, numbers: range) -> Report:
    """A run that Lambda hands bills over to, received so many times."""
    now = datetime.now(UTC)
    bodies = [
        json.dumps(mail.message(mail.put(scrapes.bill(f"HB {number}")))) for number in numbers
    ]
    messages = [ReceivedMessage(str(uuid.uuid4()), "", one, now, receive_count) for one in bodies]
    limits = Limits(300, False, lambda: False)
    report = run(mail.config, GivenInbox(messages), mail.store, limits)
    assert report.outcomes["inserted"] == len(bodies)
    return report


def test_import__backlog_after_an_outage__in_batches_as_at_the_first_delivery(mail: Mail) -> None:
    first = given(mail, 1, range(30))
    again = given(mail, 100, range(30, 60))
    assert again.statements <= first.statements + 4
    assert not Suspect.objects.exists()


class Killed(BaseException):
    """Ends the run as nothing that it could handle."""


def test_import__one_of_many_messages_kills_the_process__found_by_halves_and_fails_alone(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = mail.publish(*(scrapes.bill(f"HB {number}") for number in range(8)))
    make_suspect(mail, 8)
    read, deaths = scraped_object.read, 0

    def die_of_one(object_type: str, body: bytes, *more: Any, **named: Any) -> Any:
        if b'"HB 5"' in body:
            raise Killed
        return read(object_type, body, *more, **named)

    monkeypatch.setattr(fetch, "read", die_of_one)
    for _ in range(10):
        try:
            mail.run()
        except Killed:
            deaths += 1
    # With seven, with three, with one, and three times alone.
    assert deaths == 6
    found = scrapes.outcomes(keys)
    assert found.pop(keys[5]) == "failed"
    assert set(found.values()) == {"inserted"}
    assert File.objects.get(key=keys[5]).reason == "kills-the-import"
    assert not Suspect.objects.exists()


def test_import__parked_file_kills_the_process__found_by_halves_and_fails_alone(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = scrapes.bill()
    votes = [scrapes.vote_event(bill, f"motion {number}") for number in range(4)]
    keys = mail.publish(*votes)
    mail.run()
    read, deaths = scraped_object.read, 0

    def die_of_one(object_type: str, body: bytes, *more: Any, **named: Any) -> Any:
        if b'"motion 2"' in body:
            raise Killed
        return read(object_type, body, *more, **named)

    monkeypatch.setattr(fetch, "read", die_of_one)
    mail.publish(bill)
    for _ in range(7):
        try:
            mail.run()
        except Killed:
            deaths += 1
    # With three, with one, and three times alone.
    assert deaths == 5
    found = scrapes.outcomes(keys)
    assert found.pop(keys[2]) == "failed"
    assert set(found.values()) == {"inserted"}
    assert File.objects.get(key=keys[2]).reason == "kills-the-import"
    assert not Suspect.objects.exists()


def test_import__connection_lost_under_a_parked_file__attempt_taken_back(mail: Mail) -> None:
    bill = scrapes.bill()
    mail.publish(scrapes.vote_event(bill))
    mail.run()
    mail.publish(bill)
    for _ in range(suspects.ATTEMPTS + 1):
        with PostgresProxy(mail.config.database_url) as postgres:
            postgres.cut_before = b'COPY "opencivicdata_voteevent"'
            with using_database(postgres.url), pytest.raises(Unavailable):
                mail.run()
            assert postgres.cuts == 1
        assert not Suspect.objects.exists()
    assert mail.run().resumed == 1


def test_import__statement_hangs__others_imported_and_its_file_fails_at_the_third_attempt(
    mail: Mail,
) -> None:
    mail.config = replace(mail.config, statement_timeout=1, max_receives=10)
    keys = mail.publish(*(scrapes.bill(f"HB {number}") for number in range(4)))
    with hanging("INSERT ON opencivicdata_bill", "NEW.identifier = 'HB 2'"):
        report = mail.run()
        assert (report.outcomes["inserted"], report.outcomes["released"]) == (3, 1)
        assert Suspect.objects.get().attempts == 1
        mail.publish(scrapes.bill("HB 5"))
        report = mail.run()
        assert (report.outcomes["inserted"], report.outcomes["released"]) == (1, 1)
        assert mail.run().outcomes["failed"] == 1
    row = File.objects.get(outcome="failed")
    assert (row.key, row.reason) == (keys[2], "times-out")
    assert "more than 1 seconds" in row.detail
    assert (mail.waiting(), Suspect.objects.count()) == (0, 0)


def test_import__statement_hangs_and_time_is_up__next_run_goes_on_with_halves(mail: Mail) -> None:
    mail.config = replace(mail.config, statement_timeout=1, max_receives=10)
    mail.publish(*(scrapes.bill(f"HB {number}") for number in range(4)))
    with hanging("INSERT ON opencivicdata_bill", "NEW.identifier = 'HB 2'"):
        inbox = sources.QueueInbox(mail.queue, mail.config.visibility_timeout)
        # As if the time were up right after the statement was.
        limits = Limits(10, False, lambda: bool(hung))
        with pytest.MonkeyPatch.context() as patch:
            hung: list[object] = []
            patch.setattr("realtime.consumer.batches.log_timed_out", lambda *a: hung.append(a))
            report = run(mail.config, inbox, mail.store, limits)
        assert report.outcomes["released"] == 4
        assert set(Suspect.objects.values_list("attempts", "together")) == {(0, 4)}
        assert mail.run().outcomes["inserted"] == 3
    assert Suspect.objects.get().attempts == 1


def test_import__parked_file_hangs__fails_at_the_third_attempt_and_others_are_resumed(
    mail: Mail,
) -> None:
    mail.config = replace(mail.config, statement_timeout=1)
    bill = scrapes.bill()
    votes = [scrapes.vote_event(bill, motion) for motion in ("good", "bad")]
    mail.publish(*votes)
    mail.run()
    with hanging("INSERT ON opencivicdata_voteevent", "NEW.motion_text = 'bad'"):
        mail.publish(bill)
        assert mail.run().resumed == 1
        assert mail.run().expired == 0
        assert mail.run().expired == 1
    assert File.objects.get(key=mail.key(votes[1])).reason == "times-out"
    assert not Suspect.objects.exists()
    assert VoteEvent.objects.get().motion_text == "good"


def test_finalize__file_hangs_when_it_is_imported_again__left_and_the_others_replayed(
    mail: Mail,
) -> None:
    mail.config = replace(mail.config, statement_timeout=1)
    scrape = Run(mail)
    scrape.publish(*(scrapes.bill(f"HB {number}") for number in range(2)))
    scrape.end()
    import_only(mail)
    Bill.objects.update(title="changed by hand")
    context = replace(context_of(mail), replay_all=True)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '1s'")
    with hanging("UPDATE ON opencivicdata_bill", "NEW.identifier = 'HB 1'"):
        [finalized] = finalize_complete(context)
    assert finalized.counts["changed"] == 1
    titles = dict(Bill.objects.values_list("identifier", "title"))
    assert titles == {"HB 0": "Of bridges", "HB 1": "changed by hand"}
