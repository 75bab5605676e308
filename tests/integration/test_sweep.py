"""Files taken from the store's root, where no message says that they came."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from _pytest.fixtures import SubRequest
from django.core.management import CommandError, call_command
from django.db import connection
from openstates.data.models import Bill, VoteEvent

from realtime.backends.postgres import locks
from realtime.backends.queues import queue_of
from realtime.consumer import sweep
from realtime.consumer.follow import RootArrivals
from realtime.devstack.memory import MemoryStore
from realtime.domain import scraped_object
from realtime.domain.errors import RetryLater
from realtime.domain.interfaces import Listed
from realtime.files import archive, fetch, redrive
from realtime.models import File, ScrapeRun
from tests import scrapes, swept
from tests.contracts import backends
from tests.fault_proxy import AwsProxy, on, refusal
from tests.races import session, together, waiting
from tests.scrapes import Mail, outcomes
from tests.support import Aws, wait_until
from tests.swept import Root

WYOMING = scrapes.WYOMING.jurisdiction_id
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def credentials(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def google() -> Iterator[str]:
    with backends.fake_google() as endpoint:
        yield endpoint


@pytest.fixture(params=["s3", "gs", "file"])
def base(request: SubRequest, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "s3":
        return f"s3://{aws.bucket}/realtime"
    if request.param == "gs":
        endpoint: str = request.getfixturevalue("google")
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
        return f"{backends.google(endpoint).store(False).bucket}/realtime"
    (tmp_path / "store").mkdir()
    return f"file://{tmp_path}/store"


@pytest.fixture
def root(base: str, aws: Aws, database: str) -> Root:
    """Wyoming's legislative session is in."""
    found = Root(base, aws.environment, database)
    found.put(scrapes.jurisdiction())
    found.run()
    return found


@pytest.fixture
def folder(aws: Aws, database: str, tmp_path: Path) -> Root:
    """The same in a folder."""
    (tmp_path / "folder").mkdir()
    found = Root(f"file://{tmp_path}/folder", aws.environment, database)
    found.put(scrapes.jurisdiction())
    found.run()
    return found


def test_sweep__files_in_the_root__imported_once_and_archived(root: Root) -> None:
    keys = root.put(*(scrapes.bill(f"HB {n}") for n in range(3)))
    report = root.run()
    assert (report.received, report.outcomes["inserted"]) == (3, 3)
    assert root.keys("wy/") == []
    assert len(root.keys("archived/")) == 4
    reads = len(root.read)
    again = root.run()
    assert (again.received, len(root.read)) == (0, reads)
    assert set(outcomes(keys).values()) == {"inserted"}


def test_sweep__file_that_stays_in_the_root__not_read_again(
    base: str, aws: Aws, database: str
) -> None:
    root = Root(base, aws.environment, database, REALTIME_ARCHIVE="later")
    root.put(scrapes.jurisdiction(), scrapes.bill())
    assert root.run().received == 2
    reads = len(root.read)
    assert root.run().received == 0
    assert len(root.read) == reads
    assert len(root.keys("wy/")) == 2


def test_sweep__upload_under_a_key_that_was_imported__imported_too(root: Root) -> None:
    old = scrapes.bill()
    new = {**old, "title": "Of new bridges"}
    root.put(old)
    root.run()
    root.put(new)
    assert root.run().outcomes["updated"] == 1
    assert Bill.objects.get().title == "Of new bridges"


def test_sweep__vote_before_its_bill__parked_and_resumed_with_it(root: Root) -> None:
    bill = scrapes.bill()
    root.put(scrapes.vote_event(bill))
    assert root.run().outcomes["deferred"] == 1
    assert root.run().received == 0
    root.put(bill)
    report = root.run()
    assert (report.received, report.resumed) == (1, 1)
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    assert root.keys("wy/") == []


def test_sweep__bad_file__fails_with_its_reason_and_is_moved(root: Root) -> None:
    key = f"{root.config.bucket.prefix}wy/bill_bad.json"
    root.store.put(key, b"{", {})
    root.put(scrapes.bill())
    report = root.run()
    assert (report.outcomes["failed"], report.outcomes["inserted"]) == (1, 1)
    assert File.objects.get(key=key).reason == "bad-json"
    assert (root.keys("wy/"), len(root.keys("failed/"))) == ([], 1)
    assert root.run().received == 0


def test_sweep__failed_file_sent_again__found_and_imported(root: Root) -> None:
    bill = {**scrapes.bill(), "legislative_session": "2031"}
    [key] = root.put(bill, run_id=swept.fresh_run())
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
            " EXECUTE FUNCTION refuse()"
        )
    assert root.run().outcomes["failed"] == 1
    failed = File.objects.get(key=key)
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")
    queue = queue_of(root.config, root.store)
    told: list[str] = []
    counts = redrive.retry(root.store, queue, root.config, {}, [], told.append)
    assert (counts[redrive.RETRIED], told) == (1, [])
    report = root.run()
    assert (report.received, report.outcomes["inserted"]) == (1, 1)
    row = File.objects.get(key=key)
    assert (row.id, row.run_id, row.order_ticks) == (failed.id, failed.run_id, failed.order_ticks)
    assert root.keys("failed/") == root.keys("wy/") == []


def test_sweep__files_of_others__left_alone_with_a_warning(
    root: Root, caplog: pytest.LogCaptureFixture
) -> None:
    prefix = root.config.bucket.prefix
    others = [f"{prefix}{name}" for name in ("images/cat.png", "wy/notes.txt", "wy/a/bill_1.json")]
    for key in others:
        root.store.put(key, b"ours", {})
    with caplog.at_level(logging.WARNING, "realtime.consumer.sweep"):
        assert root.run().received == 0
    assert root.keys("images/") + root.keys("wy/") == [others[0], *sorted(others[1:])]
    assert {(one.folder, one.files) for one in caplog.records} == {  # type: ignore[attr-defined]
        (f"{prefix}images/", 1),
        (f"{prefix}wy/", 2),
    }


def test_sweep__folder_closed_to_us__told_once_in_a_while_and_the_others_imported(
    folder: Root, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder.put(scrapes.bill())
    listed = folder.store.list

    def closed(prefix: str) -> Iterator[Listed]:
        if prefix.startswith("va/"):
            raise RetryLater("va/: Permission denied")
        return listed(prefix)

    folder.store.put("va/bill_1.json", b"{}", {})
    monkeypatch.setattr(folder.store, "list", closed, raising=False)
    swept_by = folder.sweep()
    with caplog.at_level(logging.WARNING, "realtime.consumer.sweep"):
        assert folder.run(sweep=swept_by).outcomes["inserted"] == 1
        assert folder.run(sweep=swept_by).received == 0
    assert [one.folder for one in caplog.records] == ["va/"]  # type: ignore[attr-defined]


def test_sweep__end_of_a_run_stored_before_its_files__finalized_after_them(root: Root) -> None:
    run_id, bills = swept.fresh_run(), [scrapes.bill("HB 1"), scrapes.bill("HB 2")]
    queue = queue_of(root.config, root.store)
    queue.send([json.dumps(swept.run_finished(root, run_id, bill=2))])
    root.put(bills[0], run_id=run_id)
    end = f"wy/run_finished_{run_id}.json"
    assert root.keys("wy/run_") == root.keys(end) != []
    assert root.run().finalized == []
    assert root.keys("wy/run_") == []
    [archived] = [key for key in root.keys("archived/") if key.endswith(end)]
    body = root.store.get(archived, 1_000_000).body
    assert json.loads(body or b"")["run_finished"]["objects"] == {"bill": 2}
    root.put(bills[1], run_id=run_id)
    assert root.run().finalized == [run_id]
    assert ScrapeRun.objects.get().finalized_at is not None


def test_sweep__end_of_a_run_cannot_be_deleted__read_again_without_harm(
    aws: Aws, database: str, proxy: AwsProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    root, run_id = Root(f"s3://{aws.bucket}", aws.environment, database), swept.fresh_run()
    root.put(scrapes.jurisdiction())
    root.run()
    root.put(scrapes.bill(), run_id=run_id)
    assert root.run().received == 1
    queue_of(root.config, root.store).send([json.dumps(swept.run_finished(root, run_id, bill=1))])
    proxy.rule = on("DeleteObjects", fault=refusal(503, "SlowDown"))
    assert root.run().finalized == [run_id]
    assert root.keys("wy/run_") == root.keys(f"wy/run_finished_{run_id}.json") != []
    proxy.heal()
    report = root.run()
    assert (report.received, report.outcomes["ignored"], report.finalized) == (1, 1, [])
    assert root.keys("wy/run_") == []
    assert ScrapeRun.objects.get().finalized_at is not None


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"{", "bad-message"),
        (b'{"run_id": "x", "run_finished": {}}', "bad-message"),
        (b"\xff\x00", "bad-message"),
    ],
)
def test_sweep__end_of_a_run_that_is_bad__fails_once(
    folder: Root, body: bytes, reason: str
) -> None:
    folder.store.put(f"{folder.config.bucket.prefix}wy/run_finished_x.json", body, {})
    folder.put(scrapes.bill())
    report = folder.run()
    assert (report.outcomes["failed"], report.outcomes["inserted"]) == (1, 1)
    assert File.objects.get(outcome="failed").reason == reason
    assert folder.run().received == 0
    assert folder.keys("wy/run_") == []


def test_sweep__end_of_a_run_larger_than_is_read__archived_as_it_is(
    base: str, aws: Aws, database: str
) -> None:
    root = Root(base, aws.environment, database, REALTIME_MAX_FILE_BYTES="1000")
    body = b"x" * 2_000
    root.store.put(f"{root.config.bucket.prefix}wy/run_finished_x.json", body, {})
    assert root.run().outcomes["failed"] == 1
    [archived] = root.keys("archived/")
    assert root.store.get(archived, 10_000).body == body


def test_sweep__scraper_asks_for_archiving__archived_where_archiving_is_off(
    base: str, aws: Aws, database: str
) -> None:
    root = Root(base, aws.environment, database, FILE_ARCHIVING_ENABLED="false")
    asked, other = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    root.put(scrapes.jurisdiction(), other)
    root.store.put(root.key(asked), json.dumps(asked).encode(), {"file-archiving": "true"})
    root.run()
    [kept] = root.keys()
    assert kept.endswith(root.key(asked).rpartition("/")[2])


def test_archive__with_another_store__leaves_what_was_imported_from_the_first(
    aws: Aws, database: str, tmp_path: Path
) -> None:
    first, other = (
        Root(f"file://{tmp_path}/{name}", aws.environment, database, REALTIME_ARCHIVE="later")
        for name in ("first", "other")
    )
    for name in ("first", "other"):
        (tmp_path / name).mkdir()
    first.put(scrapes.jurisdiction())
    first.run()
    assert archive.archive(other.store, other.config) == {}
    assert archive.archive(first.store, first.config) == {archive.ARCHIVED: 1}
    assert first.keys("wy/") == []


def test_sweep__folder_in_the_hands_of_another__nothing_of_it_read(root: Root) -> None:
    [key] = root.put(scrapes.bill())
    url = root.config.database_url
    with session(url) as cursor, ThreadPoolExecutor(1) as threads:
        cursor.execute(
            "SELECT pg_advisory_lock(%s, %s)", [locks.JURISDICTIONS, locks.number(WYOMING)]
        )
        first = threads.submit(_run_and_disconnect, root)
        assert wait_until(lambda: waiting(cursor) == 1), "it has read the file"
        reads = root.read.count(key)
        assert root.run().received == 0
        assert root.read.count(key) == reads == 1
        cursor.execute("SELECT pg_advisory_unlock_all()")
        assert first.result().outcomes["inserted"] == 1


def test_sweep__another_has_taken_a_part__rest_taken_by_others_meanwhile(folder: Root) -> None:
    """Who has finished with a folder's files lets others take more, before its run has ended."""
    folder.put(*(scrapes.bill(f"HB {n}") for n in range(4)))
    inbox = sweep.SweepInbox(folder.sweep())
    taken = inbox.receive(2)
    assert folder_is_free(folder.config.database_url) is False
    inbox.acknowledge(taken[:1])
    assert folder_is_free(folder.config.database_url) is False
    inbox.acknowledge(taken[1:])
    assert folder_is_free(folder.config.database_url) is True


def folder_is_free(url: str) -> bool:
    with session(url) as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [locks.SWEEP, locks.number("wy/")])
        return bool(cursor.fetchone()[0])


def test_sweep__beside_a_queue__file_that_both_read_imported_once(aws: Aws, database: str) -> None:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    root = Root(f"s3://{aws.bucket}", aws.environment, database)
    [key] = mail.publish(scrapes.bill())
    reports: list[Any] = []
    together(
        database,
        "INSERT ON realtime_file",
        lambda: reports.append(mail.run()),
        lambda: reports.append(root.run()),
    )
    counts = [report.outcomes for report in reports]
    assert sorted((one["inserted"], one["ignored"]) for one in counts) == [(0, 1), (1, 0)]
    assert File.objects.filter(key=key).count() == 1


def test_sweep__released_file__left_alone_for_a_while_by_this_process(folder: Root) -> None:
    folder.put(scrapes.bill())
    known = folder.sweep()
    inbox = sweep.SweepInbox(known)
    taken = inbox.receive(10)
    inbox.release(taken)
    assert inbox.receive(10) == []
    assert not known.look()
    assert [one.message_id for one in sweep.SweepInbox(folder.sweep()).receive(10)] == [
        one.message_id for one in taken
    ]


def test_sweep__more_than_a_run_takes__the_oldest_first(database: str) -> None:
    clock = iter(datetime(2031, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(100))
    store = MemoryStore(clock=lambda: next(clock))
    root = Root("s3://memory", {}, database)
    root.store = store
    bills = [scrapes.bill(f"HB {n}") for n in range(6)]
    folders = ["wy", "dc", "wy", "dc", "wy", "wy"]
    keys = [f"{abbr}/bill_{bill['_id']}.json" for abbr, bill in zip(folders, bills, strict=True)]
    for key in keys:
        store.put(key, b"{}", {})
    inbox = sweep.SweepInbox(root.sweep())
    passes = []
    while taken := inbox.receive(3):
        passes.append([json.loads(one.body)["Records"][0]["s3"]["object"]["key"] for one in taken])
        inbox.acknowledge(taken)
    names = [[key.replace("%2F", "/") for key in one] for one in passes]
    # A folder's files together, from the folder with the oldest.
    assert names == [[keys[0], keys[2], keys[4]], [keys[1], keys[3], keys[5]]]


def test_sweep__more_than_is_listed_at_once__all_taken(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "LISTED", 2)
    monkeypatch.setattr(sweep, "LISTING_SECONDS", -1)
    root.put(*(scrapes.bill(f"HB {n}") for n in range(7)))
    report = root.run(max_messages=3, until_empty=True)
    assert (report.received, report.outcomes["inserted"]) == (7, 7)


def test_sweep__more_than_is_listed_at_once__session_among_the_first(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "LISTED", 2)
    monkeypatch.setattr(sweep, "LISTING_SECONDS", -1)
    root = Root("s3://memory", {}, database)
    root.store = MemoryStore()
    for name in ("bill_1", "bill_2", "bill_3", "jurisdiction_wy"):
        root.store.put(f"wy/{name}.json", b"{}", {})
    inbox = sweep.SweepInbox(root.sweep())
    first = inbox.receive(2)
    assert "jurisdiction_wy" in first[0].body
    inbox.acknowledge(first)
    rest = inbox.receive(10)
    names = ("bill_2", "bill_3")
    assert all(name in one.body for name, one in zip(names, rest, strict=True))


def test_follow__more_was_found_than_taken__taken_without_another_listing(folder: Root) -> None:
    folder.put(*(scrapes.bill(f"HB {n}") for n in range(3)))
    arrivals = RootArrivals(folder.sweep(), seconds=600)
    for expected in (2, 1):
        inbox = arrivals.wait()
        assert inbox is not None
        taken = inbox.receive(2)
        assert len(taken) == expected
        inbox.acknowledge(taken)
        folder.put(scrapes.bill("HB 9"))
    assert arrivals.wait() is None, "it is not yet time to list the root again"


def test_sweep__older_than__only_those_taken(database: str) -> None:
    now = datetime.now(UTC)
    clock = iter([now - timedelta(minutes=20), now])
    store = MemoryStore(clock=lambda: next(clock))
    root = Root("s3://memory", {}, database)
    root.store = store
    for name in ("old", "new"):
        store.put(f"wy/bill_{name}.json", b"{}", {})
    [taken] = sweep.SweepInbox(root.sweep(timedelta(minutes=15))).receive(10)
    assert "bill_old" in taken.body


class Killed(BaseException):
    """Ends the run as nothing that it could handle."""


def test_sweep__older_than_any_calendar__refused() -> None:
    with pytest.raises(CommandError, match="--older-than: 999999999999999 minutes are more than"):
        call_command("import_realtime", "--sweep", "--older-than", "999999999999999")


def test_sweep__file_that_kills_the_process__found_by_halves_and_fails_alone(
    folder: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = folder.put(*(scrapes.bill(f"HB {n}") for n in range(4)))
    read, deaths = scraped_object.read, 0

    def die_of_one(object_type: str, body: bytes, *more: Any, **named: Any) -> Any:
        if b'"HB 3"' in body:
            raise Killed
        return read(object_type, body, *more, **named)

    monkeypatch.setattr(fetch, "read", die_of_one)
    for _ in range(8):
        try:
            folder.run()
        except Killed:
            deaths += 1
    # With three, with one, and three times alone.
    assert deaths == 5
    found = outcomes(keys)
    assert found.pop(keys[3]) == "failed"
    assert set(found.values()) == {"inserted"}
    assert File.objects.get(outcome="failed").reason == "kills-the-import"
    assert len(folder.keys("failed/")) == 1


def _run_and_disconnect(root: Root) -> Any:
    try:
        return root.run()
    finally:
        connection.close()
