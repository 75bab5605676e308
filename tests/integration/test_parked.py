"""How long a parked file waits, on PostgreSQL, S3 and SQS."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from openstates.data.models import Bill, VoteEvent

from realtime.backends.postgres import locks
from realtime.consumer import resume_parked
from realtime.consumer.run import Limits
from realtime.consumer.run import run as import_run
from realtime.consumer.sources import QueueInbox
from realtime.domain.config import BULK, CORE
from realtime.domain.run_context import RunContext
from realtime.files.fetch import fetch
from realtime.finalization.finalize import Finalized
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.scrape_runs import Run, command, import_only
from tests.scrapes import Mail
from tests.support import Aws, CompletedText


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


@pytest.fixture
def other(mail: Mail) -> Iterator[Any]:
    """A cursor of another worker."""
    connection = psycopg2.connect(mail.config.database_url)
    connection.autocommit = True
    yield connection.cursor()
    connection.close()


def takes_parked_files(other: Any) -> bool:
    number = locks.number(scrapes.WYOMING.jurisdiction_id)
    other.execute("SELECT pg_try_advisory_lock(%s, %s)", [locks.PARKED, number])
    return bool(other.fetchone()[0])


@pytest.fixture
def read(mail: Mail, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of files that are read from S3 from now on; an endless loop of them ends."""
    keys: list[str] = []
    get = mail.store.get

    def counted(key: str, *args: Any) -> Any:
        keys.append(key)
        assert len(keys) < 100
        return get(key, *args)

    monkeypatch.setattr(mail.store, "get", counted)
    return keys


def test_import__dependency_arrives_in_the_same_run__parked_file_is_not_read_again(
    mail: Mail, read: list[str]
) -> None:
    bill = scrapes.bill()
    [vote] = mail.publish(scrapes.vote_event(bill))
    mail.publish(bill)
    inbox = QueueInbox(mail.queue, mail.config.visibility_timeout)
    report = import_run(mail.config, inbox, mail.store, Limits(1, True, lambda: False))
    assert (report.outcomes["deferred"], report.resumed) == (1, 1)
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    assert read.count(vote) == 1


def test_import__more_is_parked_than_may_be_kept__the_rest_is_read_again(
    mail: Mail, read: list[str]
) -> None:
    bill = scrapes.bill()
    votes = mail.publish(*(scrapes.vote_event(bill, f"motion {n}") for n in range(4)))
    mail.publish(bill)
    size = mail.store.head(votes[0]).size
    mail.config = replace(mail.config, max_batch_bytes=4 * (2 * size + size // 2))
    inbox = QueueInbox(mail.queue, mail.config.visibility_timeout)
    report = import_run(mail.config, inbox, mail.store, Limits(1, True, lambda: False))
    assert report.resumed == VoteEvent.objects.count() == 4
    # Where there is so little room, a file is asked for its size first.
    assert sorted(read.count(vote) for vote in votes) == [2, 2, 4, 4]


def test_import__parked_file_imported_and_moved_by_another_meanwhile__stays_imported(
    mail: Mail, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = scrapes.bill()
    [key] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    mail.publish(bill)

    def another_imports_it(*args: Any) -> Any:
        other.execute("UPDATE realtime_file SET outcome = 'inserted' WHERE key = %s", [key])
        mail.aws.s3.delete_object(Bucket=mail.aws.bucket, Key=key)
        return fetch(*args)

    monkeypatch.setattr("realtime.consumer.resume_parked.fetch", another_imports_it)
    mail.run()
    assert scrapes.outcomes([key]) == {key: "inserted"}


def test_import__parked_files_locked_by_other_worker__not_fetched(
    mail: Mail, other: Any, read: list[str]
) -> None:
    bill = scrapes.bill()
    [key] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    mail.publish(bill)
    read.clear()
    assert takes_parked_files(other)
    report = mail.run()
    assert (report.outcomes["inserted"], report.resumed) == (1, 0)
    assert key not in read
    other.execute("SELECT pg_advisory_unlock_all()")
    assert mail.run().resumed == 1
    assert VoteEvent.objects.get().bill == Bill.objects.get()


def test_import__dependency_arrives_while_others_resume__resumed_by_same_run(
    mail: Mail, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = scrapes.bill()
    votes = [scrapes.vote_event(bill, motion) for motion in ("passage", "reading")]
    _, late = mail.publish(*votes)
    mail.run()
    set_outcome = "UPDATE realtime_file SET outcome = %s WHERE key = %s"
    other.execute(set_outcome, ["failed", late])
    mail.publish(bill)

    def another_parks_it(*args: Any) -> Any:
        other.execute(set_outcome, ["deferred", late])
        assert not takes_parked_files(other), "so it leaves it to this run"
        monkeypatch.undo()
        return fetch(*args)

    monkeypatch.setattr("realtime.consumer.resume_parked.fetch", another_parks_it)
    finalizing: list[bool] = []

    def finalize(context: RunContext, **_: Any) -> list[Finalized]:
        finalizing.append(takes_parked_files(other))
        return []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.consumer.run.finalize_complete", finalize)
        assert mail.run().resumed == 2
    assert finalizing == [True], "left to others before the run ends"


def test_import__dependency_arrives_while_file_is_parked_again__imported_in_same_run(
    mail: Mail,
    other: Any,
    environment: dict[str, str],
    run_manage: Callable[..., CompletedText],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bill = scrapes.bill()
    [key] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    # As if it had waited for its session.
    other.execute(
        "UPDATE realtime_file SET bill_scrape_id = '', bill_identifier = '' WHERE key = %s", [key]
    )
    resume = resume_parked.__dict__["_resume"]

    def another_brings_the_bill(*args: Any) -> Any:
        again = resume(*args)
        monkeypatch.undo()
        mail.publish(bill)
        report = json.loads(run_manage("import_realtime", "--json", env=environment).stdout)
        assert (report["inserted"], report["resumed"]) == (1, 0), "it leaves the vote to this run"
        return again

    monkeypatch.setattr(resume_parked, "_resume", another_brings_the_bill)
    assert mail.run().resumed == 1
    assert VoteEvent.objects.get().bill == Bill.objects.get()


def test_import__jurisdiction_locked_for_long__its_other_parked_files_not_fetched(
    mail: Mail, other: Any, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bill = scrapes.bill()
    mail.publish(*(scrapes.vote_event(bill, motion) for motion in ("passage", "reading")))
    mail.run()
    number = locks.number(scrapes.WYOMING.jurisdiction_id)
    assert takes_parked_files(other)
    mail.publish(bill)
    mail.run()
    other.execute("SELECT pg_advisory_unlock_all()")
    other.execute("SELECT pg_advisory_lock(%s, %s)", [locks.JURISDICTIONS, number])
    monkeypatch.setattr(resume_parked, "PATIENT", 0.2)
    monkeypatch.setattr(resume_parked, "BATCH_SIZE", 1)
    read.clear()
    assert mail.run().resumed == 0
    assert len(read) == 1
    other.execute("SELECT pg_advisory_unlock_all()")
    assert mail.run().resumed == 2


@pytest.mark.parametrize("given_up", ["silent", "closed"])
def test_import__run_never_ends__parked_vote_fails_a_day_after_the_last_file(
    mail: Mail, given_up: str
) -> None:
    run = Run(mail)
    bill = scrapes.bill()
    [key] = run.publish(scrapes.vote_event(bill, action="reading 1"))
    mail.run()
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    File.objects.filter(run_id=run.id).update(received_at=long_ago)
    run.publish(scrapes.event())
    mail.run()
    assert scrapes.outcomes([key]) == {key: "deferred"}, "the run is alive"
    if given_up == "silent":
        File.objects.filter(run_id=run.id).update(received_at=long_ago)
    else:
        ScrapeRun.objects.update(closed="unfinished", closed_at=datetime.now(UTC))
    mail.run()
    assert scrapes.outcomes([key]) == {key: "failed"}
    run.publish(bill)
    run.end()
    import_only(mail)
    [told] = command(mail, "finalize_realtime")["runs"]
    assert (told["closed"], told["changed"]) == ("", 1), "it ended after all"
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    assert VoteEvent.objects.get().bill_action.description == "reading 1"
    assert File.objects.get(key=key).reason == ""


def test_import__parked_vote_announced_again_without_its_run__still_a_file_of_the_run(
    mail: Mail,
) -> None:
    run = Run(mail)
    bill = scrapes.bill()
    [key] = run.publish(scrapes.vote_event(bill))
    mail.run()
    run.publish(bill)
    mail.send(mail.message(key))
    run.end()
    assert mail.run().finalized == [run.id]


def test_import__parked_file_overwritten_by_one_that_is_archived__superseded(mail: Mail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    [key] = mail.publish(vote)
    mail.run()
    mail.put({**vote, "result": "fail"}, key)
    mail.send(mail.message(key))
    mail.publish(bill)
    assert mail.run().expired == 0
    outcomes = File.objects.filter(key=key).order_by("id").values_list("outcome", flat=True)
    assert list(outcomes) == ["superseded", "inserted"]
    assert VoteEvent.objects.get().result == "fail"


def test_import__parked_file_overwritten_by_a_bad_one__said_to_be_gone(mail: Mail) -> None:
    bill = scrapes.bill()
    [key] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    mail.put(b"{", key)
    mail.publish(bill)
    mail.run()
    assert File.objects.get(key=key).reason == "gone", "nothing is wrong with what was parked"


def test_import__bill_deleted_by_hand__its_vote_parked_until_it_is_imported_again(
    mail: Mail, read: list[str]
) -> None:
    bill = scrapes.bill()
    mail.publish(bill)
    mail.run()
    Bill.objects.all().delete()
    [key] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    assert scrapes.outcomes([key]) == {key: "deferred"}
    assert read.count(key) == 1, "as it came, and kept for the bill's file"
    mail.send(mail.message(mail.put(bill, f"wy/bill_{scrapes.fresh_id()}.json")))
    mail.run()
    assert VoteEvent.objects.get().bill == Bill.objects.get()


def test_import__parked_version_overwritten__resumed_as_it_was(mail: Mail) -> None:
    mail.aws.s3.put_bucket_versioning(
        Bucket=mail.aws.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    bill = scrapes.bill()
    [key] = mail.publish(scrapes.vote_event(bill, "passage"))
    mail.run()
    mail.put(scrapes.vote_event(bill, "reading"), key)
    mail.publish(bill)
    assert mail.run().resumed == 1
    assert VoteEvent.objects.get().motion_text == "passage"
