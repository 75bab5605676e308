"""What happens to a file between the scraper and the queue, whatever fails on its way."""

import json
import resource
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.domain import messages, scraped_object
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
from realtime.domain.messages import FileMessage, RunFinished, ScraperReport
from realtime.producer import backoff, spool
from realtime.producer.backoff import Retrying, RetryPolicy
from realtime.producer.leftovers import Leftovers
from realtime.producer.producer import File, Jurisdiction, NotPublished, Producer
from realtime.producer.publish_files import Published, publish_spool
from tests.fakes import MemoryQueue, MemoryStore
from tests.support import wait_until

BASE = Bucket("bucket", "pre/")
WYOMING = Jurisdiction("wy", "ocd-jurisdiction/country:us/state:wy/government", "Wyoming")
RUN = uuid.UUID("01d5bf2e-3d0b-4b0c-9f4f-1f4f2ac6a111")
NOW = datetime(2026, 1, 6, 12, 30, 15, 123456, UTC)
BRISK = RetryPolicy(first_wait=0.001, longest_wait=0.004, give_up_after=0.2)

Make = Callable[..., Producer]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue()


@pytest.fixture
def make(store: MemoryStore, queue: MemoryQueue, tmp_path: Path) -> Make:
    def make(**options: Any) -> Producer:
        defaults: dict[str, Any] = {"run_id": RUN, "retry_policy": BRISK, "batch_age": 0.02}
        return Producer(store, queue, BASE, tmp_path / "spool", **(defaults | options))

    return make


def bill(number: int = 1) -> File:
    return File("bill", str(uuid.uuid1()), json.dumps({"n": number}).encode(), NOW)


def publish(producer: Producer, *files: File) -> list[str]:
    return [producer.publish(WYOMING, file, file_archiving_enabled=True) for file in files]


def spooled(folder: Path) -> dict[str, bytes]:
    """The files on disk, by key."""
    found = [spool.read(path).outgoing for run in spool.runs(folder) for path in spool.files(run)]
    return {outgoing.key: outgoing.body for outgoing in found}


def sent_keys(queue: MemoryQueue) -> list[str]:
    parsed = [message for body in queue.bodies for message in messages.parse(body)]
    return [message.key for message in parsed if isinstance(message, FileMessage)]


def ends(queue: MemoryQueue) -> list[RunFinished]:
    parsed = [message for body in queue.bodies for message in messages.parse(body)]
    return [message for message in parsed if isinstance(message, RunFinished)]


def test_publish__a_file__is_stored_and_announced_with_the_promised_fields(
    make: Make, store: MemoryStore, queue: MemoryQueue
) -> None:
    producer, file = make(), bill()
    (key,) = publish(producer, file)
    producer.close()
    assert key == f"pre/wy/bill_{file.scrape_id}.json"
    assert store.objects == {key: file.body}
    assert store.metadata == {
        key: {
            "run-id": str(RUN),
            "scraped-at": "2026-01-06T12:30:15.123456+00:00",
            "file-archiving": "true",
        }
    }
    assert [json.loads(body) for body in queue.bodies] == [
        {
            "file_path": key,
            "bucket": "bucket",
            "jurisdiction_id": "ocd-jurisdiction/country:us/state:wy/government",
            "jurisdiction_name": "Wyoming",
            "file_archiving_enabled": True,
            "run_id": str(RUN),
        }
    ]
    assert producer.counts == {"bill": 1}


def test_publish__without_a_run__names_none(
    make: Make, store: MemoryStore, queue: MemoryQueue
) -> None:
    producer = make(run_id=None)
    (key,) = publish(producer, bill())
    producer.close()
    assert set(store.metadata[key]) == {"scraped-at", "file-archiving"}
    assert "run_id" not in json.loads(queue.bodies[0])


def test_publish__many_files_at_once__announces_none_before_it_is_stored(
    make: Make, store: MemoryStore, queue: MemoryQueue
) -> None:
    store.delay = 0.003
    missing: list[str] = []

    def watch(body: str) -> None:
        key = json.loads(body)["file_path"]
        if key not in store.objects:
            missing.append(key)

    queue.watch = watch
    producer = make()
    keys = publish(producer, *(bill(n) for n in range(60)))
    producer.close()
    assert missing == []
    assert sorted(sent_keys(queue)) == sorted(keys)


def test_publish__many_files__are_announced_in_batches_the_queue_takes(
    make: Make, queue: MemoryQueue
) -> None:
    producer = make(batch_age=1.0)
    long = Jurisdiction("wy", WYOMING.id, "W" * 100_000)
    publish(producer, *(bill(n) for n in range(25)))
    for n in range(5):
        producer.publish(long, bill(n), file_archiving_enabled=False)
    producer.close()
    assert len(queue.bodies) == 30
    assert max(len(call) for call in queue.calls) == 10
    assert max(sum(len(body.encode()) for body in call) for call in queue.calls) <= 256 * 1024


def test_publish__one_file__is_announced_without_waiting_for_others(
    make: Make, queue: MemoryQueue
) -> None:
    producer = make()
    publish(producer, bill())
    assert wait_until(lambda: len(queue.bodies) == 1, 2)
    producer.close()


def test_publish__the_store_is_slow__the_scraper_waits(make: Make, store: MemoryStore) -> None:
    store.open.clear()
    producer = make(capacity=5)
    handed_over: list[str] = []

    def scrape() -> None:
        for n in range(20):
            handed_over.extend(publish(producer, bill(n)))

    scraper = threading.Thread(target=scrape, daemon=True)
    scraper.start()
    assert wait_until(lambda: len(handed_over) == 5, 2)
    time.sleep(0.05)
    assert len(handed_over) == 5
    store.open.set()
    scraper.join(5)
    producer.close()
    assert len(store.objects) == 20


def test_publish__store_and_queue_fail_for_a_while__everything_arrives(
    make: Make, store: MemoryStore, queue: MemoryQueue
) -> None:
    store.fail_each(3)
    queue.down = True
    producer = make(retry_policy=RetryPolicy(0.001, 0.01, 5))
    keys = publish(producer, *(bill(n) for n in range(15)))
    assert wait_until(lambda: len(queue.calls) >= 3, 5)
    queue.down = False
    producer.finish(WYOMING, NOW)
    assert sorted(sent_keys(queue)) == sorted(keys)
    assert [end.objects for end in ends(queue)] == [{"bill": 15}]


def test_publish__the_queue_refuses_some__only_those_are_sent_again(
    make: Make, queue: MemoryQueue
) -> None:
    producer = make(batch_age=1.0)
    files = [bill(n) for n in range(10)]
    refused = {f"pre/wy/bill_{file.scrape_id}.json" for file in files[3:5]}
    queue.refuses = lambda body: (
        json.loads(body)["file_path"] in refused and sum(body in call for call in queue.calls) < 3
    )
    publish(producer, *files)
    producer.close()
    assert [len(call) for call in queue.calls] == [10, 2, 2]
    assert len(set(queue.bodies)) == len(queue.bodies) == 10


def test_close__the_store_is_down_for_good__files_are_kept_named_and_sent_later(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    store.break_down()
    producer = make()
    files = [bill(n) for n in range(12)]
    keys = publish(producer, *files)
    with pytest.raises(NotPublished) as caught:
        producer.finish(WYOMING, NOW)
    assert queue.calls == []
    assert sorted(caught.value.keys) == sorted(keys)
    assert caught.value.folder == tmp_path / "spool" / str(RUN)
    assert all(key.rpartition("/")[2] in str(caught.value) for key in caught.value.keys[:10])
    assert "the store is down" in str(caught.value)
    assert spooled(tmp_path) == {key: file.body for key, file in zip(keys, files, strict=True)}

    store.repair()
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert report.problems == []
    assert report.types == {"bill": 12}
    assert {key: store.objects[key] for key in keys} == {
        key: file.body for key, file in zip(keys, files, strict=True)
    }
    assert store.metadata[keys[0]]["run-id"] == str(RUN)
    assert sorted(sent_keys(queue)) == sorted(keys)
    assert [end.objects for end in ends(queue)] == [{"bill": 12}]
    assert "run_finished" in queue.bodies[-1]
    assert not (tmp_path / "spool").exists()


def test_publish_spool__still_down__keeps_what_it_could_not_send(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    store.break_down()
    producer = make()
    good, bad = publish(producer, bill(1), bill(2))
    with pytest.raises(NotPublished):
        producer.finish(WYOMING, NOW)
    store.failing = lambda key: ConfigurationError("no") if key == bad else None
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert len(report.problems) == 1 and bad.rpartition("/")[2] in report.problems[0]
    assert sent_keys(queue) == [good]
    assert ends(queue) == []

    store.repair()
    publish_spool(store, queue, BASE, tmp_path / "spool", Published(), retry_policy=BRISK)
    assert sent_keys(queue) == [good, bad]
    assert len(ends(queue)) == 1


def test_publish_spool__another_bucket__is_refused(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    store.break_down()
    producer = make()
    publish(producer, bill())
    with pytest.raises(NotPublished):
        producer.close()
    store.repair()
    report = Published()
    publish_spool(store, queue, Bucket("other"), tmp_path / "spool", report, retry_policy=BRISK)
    assert "s3://bucket/pre/wy/bill_" in report.problems[0]
    assert store.objects == {} and queue.calls == []


def test_close__the_queue_is_down_for_good__stored_files_are_only_announced_later(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    queue.down = True
    producer = make()
    keys = publish(producer, bill(1), bill(2))
    with pytest.raises(NotPublished):
        producer.close()
    queue.down = False
    publish_spool(store, queue, BASE, tmp_path / "spool", Published(), retry_policy=BRISK)
    assert sorted(sent_keys(queue)) == sorted(keys)
    assert set(store.attempts.values()) == {1}
    assert ends(queue) == []


def test_publish__a_long_outage__does_not_stop_the_scrape(make: Make, store: MemoryStore) -> None:
    store.break_down()
    producer = make(uploaders=1)
    publish(producer, bill())
    assert wait_until(lambda: max(store.attempts.values(), default=0) > 2)
    later = publish(producer, *(bill(n) for n in range(50)))
    began = time.monotonic()
    with pytest.raises(NotPublished):
        producer.close()
    assert time.monotonic() - began < 10 * BRISK.give_up_after
    assert store.attempts[later[-1]] == 1


def test_close__a_call_hangs__ends_in_time_and_keeps_the_file(
    make: Make, store: MemoryStore, tmp_path: Path
) -> None:
    store.open.clear()
    producer = make()
    file = bill()
    (key,) = publish(producer, file)
    began = time.monotonic()
    with pytest.raises(NotPublished):
        producer.close(0.05)
    assert time.monotonic() - began < 2
    assert spooled(tmp_path) == {key: file.body}
    store.open.set()


def test_publish__there_is_no_bucket__stops_the_scrape_at_once_and_keeps_the_files(
    make: Make, store: MemoryStore, tmp_path: Path
) -> None:
    store.break_down(ConfigurationError("there is no bucket"))
    producer = make()

    def scrape() -> None:
        for n in range(10_000):
            publish(producer, bill(n))
            time.sleep(0.001)

    with pytest.raises(ConfigurationError, match="there is no bucket"):
        scrape()
    with pytest.raises(NotPublished) as caught:
        producer.close()
    assert len(spooled(tmp_path)) == len(caught.value.keys) == len(store.attempts) + 1


def test_publish__one_file_breaks_the_store__others_are_published(
    make: Make, store: MemoryStore, queue: MemoryQueue
) -> None:
    producer = make(uploaders=1)
    files = [bill(n) for n in range(3)]
    store.failing = lambda key: ZeroDivisionError() if files[0].scrape_id in key else None
    keys = publish(producer, *files)
    with pytest.raises(NotPublished) as caught:
        producer.close(10)
    assert caught.value.keys == keys[:1]
    assert sorted(sent_keys(queue)) == sorted(keys[1:])


def test_publish__the_same_object_twice__has_two_keys(make: Make, store: MemoryStore) -> None:
    producer, file = make(), bill()
    first, second = publish(producer, file, file)
    producer.close()
    assert second.startswith(first.removesuffix(".json") + "_")
    assert set(store.objects) == {first, second}


def test_publish__a_scraped_jurisdiction__gets_an_id_of_this_scrape(make: Make) -> None:
    producer = make()
    (key,) = publish(producer, File("jurisdiction", WYOMING.id, b"{}", NOW))
    producer.close()
    assert uuid.UUID(key.removeprefix("pre/wy/jurisdiction_").removesuffix(".json")).version == 1


@pytest.mark.parametrize(
    ("object_type", "scrape_id"),
    [
        ("jurisdiction", WYOMING.id),
        ("bill", "0b0c1a52-8f2a-4a5e-9d7c-b52a1e5c1111"),
        ("vote_event", "House/Roll call #1 é"),
        ("person", "ocd-person/fc4a66ba-5fc1-47e2-8e8a-4fec762c7af6"),
    ],
)
def test_publish__an_id_other_scrapes_may_have__gets_a_key_of_its_own(
    make: Make, store: MemoryStore, object_type: str, scrape_id: str
) -> None:
    file = File(object_type, scrape_id, b"{}", NOW)
    first, second = make(), make()
    keys = publish(first, file) + publish(second, file)
    first.close()
    second.close()
    assert len(set(keys)) == 2
    for key in keys:
        assert scraped_object.parse_key(key.removeprefix("pre/")).object_type == object_type


def test_finish__everything_sent__says_so_last(make: Make, queue: MemoryQueue) -> None:
    producer = make()
    file = bill()
    publish(producer, file, file, bill(2), File("jurisdiction", WYOMING.id, b"{}", NOW))
    done = datetime(2026, 1, 6, 13, tzinfo=UTC)
    bills = ScraperReport("session=2025", NOW, done, {"bill": 2})
    producer.finish(WYOMING, NOW, done, {"bills": bills})
    assert "run_finished" in queue.bodies[-1]
    assert messages.parse(queue.bodies[-1]) == [
        RunFinished(
            RUN,
            "bucket",
            WYOMING.id,
            "Wyoming",
            NOW,
            done,
            {"bill": 3, "jurisdiction": 1},
            {"bills": bills},
        )
    ]


def test_finish__the_end_is_refused__is_kept_and_sent_later(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    queue.refuses = lambda body: "run_finished" in body
    producer = make()
    (key,) = publish(producer, bill())
    with pytest.raises(NotPublished, match="the end of the run"):
        producer.finish(WYOMING, NOW)
    assert sent_keys(queue) == [key]
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert len(report.problems) == 1, "it is still refused, and still kept"
    queue.refuses = lambda body: False
    publish_spool(store, queue, BASE, tmp_path / "spool", Published(), retry_policy=BRISK)
    assert [end.run_id for end in ends(queue)] == [RUN]
    assert sent_keys(queue) == [key]
    assert not (tmp_path / "spool").exists(), "the end is sent once"


@contextmanager
def disk_full() -> Iterator[None]:
    """Nothing more can be written to a file in this block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_publish__store_hangs__on_disk_before_it_returns_and_removed_when_announced(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    store.open.clear()
    producer, files = make(), [bill(1), bill(2)]
    keys = publish(producer, *files)
    assert spooled(tmp_path) == {key: file.body for key, file in zip(keys, files, strict=True)}
    assert wait_until(lambda: set(keys) == set(store.attempts))
    store.open.set()
    assert wait_until(lambda: len(queue.bodies) == 2 and not spooled(tmp_path))
    producer.close()
    assert not (tmp_path / "spool").exists()


def test_finish__files_still_on_their_way__end_is_on_disk_beside_them(
    make: Make, store: MemoryStore, tmp_path: Path
) -> None:
    store.open.clear()
    producer = make()
    publish(producer, bill())
    finishing = threading.Thread(target=producer.finish, args=(WYOMING, NOW), daemon=True)
    finishing.start()
    end = tmp_path / "spool" / str(RUN) / spool.END
    assert wait_until(end.exists)
    assert len(spooled(tmp_path)) == 1
    store.open.set()
    finishing.join(5)
    assert not (tmp_path / "spool").exists()


def test_publish__disk_fills_up__published_from_memory_with_a_warning(
    make: Make,
    store: MemoryStore,
    queue: MemoryQueue,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    producer = make()
    with disk_full():
        keys = publish(producer, bill(1), bill(2))
        producer.finish(WYOMING, NOW)
    assert sorted(sent_keys(queue)) == sorted(keys) == sorted(store.objects)
    assert len(ends(queue)) == 1
    (warned,) = [line for line in caplog.messages if "published from memory" in line]
    assert keys[0] in warned and "File too large" in warned
    assert not (tmp_path / "spool").exists()


def test_close__disk_full_and_store_down__says_what_is_lost_and_sends_no_end(
    make: Make,
    store: MemoryStore,
    queue: MemoryQueue,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.break_down()
    producer = make()
    kept = bill(1)
    (key,) = publish(producer, kept)
    with disk_full():
        publish(producer, bill(2))
        assert wait_until(lambda: any("not published, lost" in line for line in caplog.messages))
    with pytest.raises(NotPublished, match="1 could not be kept") as caught:
        producer.finish(WYOMING, NOW)
    assert (caught.value.lost, len(caught.value.keys)) == (1, 2)
    store.repair()
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert (report.problems, store.objects, ends(queue)) == ([], {key: kept.body}, [])


@pytest.mark.parametrize("problem", ["no-folder", "disk-full"])
def test_producer__spool_cannot_be_written__is_a_wrong_setting_at_once(
    make: Make, tmp_path: Path, problem: str
) -> None:
    if problem == "no-folder":
        (tmp_path / "spool").write_text("not a folder")
    with (
        disk_full() if problem == "disk-full" else nullcontext(),
        pytest.raises(ConfigurationError, match=r"spool/.* cannot be written: .*writable"),
    ):
        make()
    assert problem == "no-folder" or not (tmp_path / "spool").exists()


def test_publish_spool__a_scrape_that_runs__is_left_alone(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    store.break_down()
    over = make(run_id=None)
    (left,) = publish(over, bill())
    with pytest.raises(NotPublished):
        over.close()
    running = make(retry_policy=RetryPolicy(0.001, 0.004, 60))
    (live,) = publish(running, bill())
    report = Published()
    store.failing = lambda key: Unavailable("the store is down") if key == live else None
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert sent_keys(queue) == [left]
    assert report.busy == [tmp_path / "spool" / str(RUN)]
    assert set(spooled(tmp_path)) == {live}
    store.repair()
    running.close()
    assert sent_keys(queue) == [left, live]


def test_leftovers__several_jurisdictions_in_one_spool__only_those_asked_for_are_sent(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    ohio = Jurisdiction("oh", "ocd-jurisdiction/country:us/state:oh/government", "Ohio")
    store.break_down()
    kept = []
    for whose in (WYOMING, ohio):
        producer = make(run_id=uuid.uuid4())
        kept.append(producer.publish(whose, bill(), file_archiving_enabled=False))
        with pytest.raises(NotPublished):
            producer.finish(whose, NOW)
    store.repair()
    leftovers = Leftovers(store, queue, BASE, tmp_path / "spool", BRISK)
    leftovers.publish(WYOMING)
    leftovers.wait(10)
    assert sent_keys(queue) == [kept[0]]
    assert [end.jurisdiction_id for end in ends(queue)] == [WYOMING.id]
    assert set(spooled(tmp_path)) == {kept[1]}


def spool_of_an_earlier_release(folder: Path) -> tuple[str, bytes]:
    """A file with its note beside it, and the end of its run; returns key and content."""
    scrape_id = str(uuid.uuid1())
    key, body = f"pre/wy/bill_{scrape_id}.json", b'{"n": 1}'
    message = {
        "file_path": key,
        "bucket": "bucket",
        "jurisdiction_id": WYOMING.id,
        "jurisdiction_name": "Wyoming",
        "file_archiving_enabled": True,
        "run_id": str(RUN),
    }
    note = {
        "key": key,
        "metadata": {"run-id": str(RUN)},
        "message": json.dumps(message),
        "uploaded": False,
    }
    file = folder / str(RUN) / "wy" / f"bill_{scrape_id}.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    file.with_name(f"{file.name}.message").write_text(json.dumps(note))
    # Killed while it wrote these.
    (file.parent / "bill_x.json").write_bytes(b"{")
    (file.parent / "bill_x.json.message.partial").write_bytes(b"{")
    end = {key: message[key] for key in ("bucket", "jurisdiction_id", "run_id")} | {
        "run_finished": {
            "started_at": NOW.isoformat(),
            "finished_at": NOW.isoformat(),
            "objects": {"bill": 1},
        }
    }
    (folder / str(RUN) / spool.END).write_text(json.dumps({"message": json.dumps(end)}))
    return key, body


def test_publish_spool__of_an_earlier_release__is_sent_with_its_end(
    store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    key, body = spool_of_an_earlier_release(tmp_path / "spool")
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert (report.problems, store.objects) == ([], {key: body})
    assert sent_keys(queue) == [key]
    assert [end.run_id for end in ends(queue)] == [RUN]
    assert spooled(tmp_path) == {}


def test_publish_spool__sent_file_removed_in_part__what_is_left_is_no_problem(
    store: MemoryStore, queue: MemoryQueue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool_of_an_earlier_release(tmp_path / "spool")
    unlink, calls = Path.unlink, count()

    def fail_second(path: Path, missing_ok: bool = False) -> None:
        if next(calls) == 1:
            raise OSError("Input/output error")
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail_second)
        publish_spool(store, queue, BASE, tmp_path / "spool", Published(), retry_policy=BRISK)
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert report.problems == []
    assert len(sent_keys(queue)) == 1


def test_publish_spool__killed_while_it_wrote_a_file__half_of_it_is_not_sent_but_removed(
    store: MemoryStore, queue: MemoryQueue, tmp_path: Path
) -> None:
    half = tmp_path / "spool" / str(RUN) / "wy" / f"bill_{uuid.uuid1()}.json.spooled.partial"
    half.parent.mkdir(parents=True)
    half.write_bytes(b'{"key": "pre/wy/b')
    (half.parent.parent / spool.LOCK).touch()
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert (report.problems, store.objects, queue.bodies) == ([], {}, [])
    assert not (tmp_path / "spool").exists()


def test_publish__after_close__is_kept(make: Make, tmp_path: Path) -> None:
    producer, file = make(), bill()
    producer.close()
    (key,) = publish(producer, file)
    with pytest.raises(NotPublished) as caught:
        producer.close()
    assert caught.value.keys == [key]
    assert spooled(tmp_path) == {key: file.body}


def test_retrying__fails_again_long_after_a_success__tried_for_as_long_as_the_first_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(backoff, "time", SimpleNamespace(monotonic=lambda: now))
    retrying = Retrying(BRISK, threading.Event())

    def fail(times: int) -> Callable[[], None]:
        attempts = count(1)

        def attempt() -> None:
            if next(attempts) <= times:
                raise RetryLater("the store is down")

        return attempt

    retrying("a file", fail(1))
    now += 1000
    retrying("another", fail(3))
