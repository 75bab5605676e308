"""What happens to a file between the scraper and the queue, whatever fails on its way."""

import json
import resource
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from realtime.domain import messages, scraped_object
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError, RetryLater
from realtime.domain.messages import FileMessage, RunFinished, ScraperReport
from realtime.producer import backoff
from realtime.producer.backoff import Retrying, RetryPolicy
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
        key: {"run-id": str(RUN), "scraped-at": "2026-01-06T12:30:15.123456+00:00"}
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
    assert set(store.metadata[key]) == {"scraped-at"}
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
    kept = caught.value.folder / "wy" / f"bill_{files[0].scrape_id}.json"
    assert kept.read_bytes() == files[0].body

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
    publish(producer, file)
    began = time.monotonic()
    with pytest.raises(NotPublished):
        producer.close(0.05)
    assert time.monotonic() - began < 2
    assert [path.read_bytes() for path in tmp_path.rglob("bill_*.json")] == [file.body]
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
    assert (
        len(list(tmp_path.rglob("bill_*.json")))
        == len(caught.value.keys)
        == len(store.attempts) + 1
    )


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


def test_close__nothing_can_be_kept_either__says_what_is_lost(
    make: Make, store: MemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "spool").write_text("not a folder")
    store.break_down(ConfigurationError("there is no bucket"))
    producer = make()
    publish(producer, bill())
    with pytest.raises(NotPublished, match="1 could not be kept and are lost") as caught:
        producer.finish(WYOMING, NOW)
    assert caught.value.lost == 1


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
def disk_full_after(size: int) -> Iterator[None]:
    """Of each file written in this block only so many bytes reach the disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("body", "size"), [(10, 100), (9000, 4000)], ids=["note", "content"])
def test_close__disk_full_while_spooling__nothing_half_written_is_sent_nor_the_end(
    make: Make, store: MemoryStore, queue: MemoryQueue, tmp_path: Path, body: int, size: int
) -> None:
    store.break_down()
    producer = make()
    publish(producer, File("bill", str(uuid.uuid1()), b"x" * body, NOW))
    with disk_full_after(size), pytest.raises(NotPublished, match="1 could not be kept"):
        producer.finish(WYOMING, NOW)
    store.repair()
    report = Published()
    publish_spool(store, queue, BASE, tmp_path / "spool", report, retry_policy=BRISK)
    assert (report.problems, store.objects, queue.bodies) == ([], {}, [])


def test_publish_spool__sent_file_removed_in_part__what_is_left_is_no_problem(
    make: Make,
    store: MemoryStore,
    queue: MemoryQueue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.break_down()
    producer = make()
    publish(producer, bill())
    with pytest.raises(NotPublished):
        producer.close()
    store.repair()
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
    assert len(queue.bodies) == 1


def test_publish__after_close__is_kept(make: Make, tmp_path: Path) -> None:
    producer, file = make(), bill()
    producer.close()
    (key,) = publish(producer, file)
    with pytest.raises(NotPublished) as caught:
        producer.close()
    assert caught.value.keys == [key]
    assert [path.read_bytes() for path in tmp_path.rglob("bill_*.json")] == [file.body]


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
