"""Publishing files that exist already: which, in what order, and stamped how."""

import json
import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realtime.domain import messages
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError
from realtime.domain.messages import FileMessage, RunFinished
from realtime.domain.scraped_object import ticks_of
from realtime.producer import publish_files
from realtime.producer.backoff import RetryPolicy
from realtime.producer.producer import Jurisdiction, Producer
from realtime.producer.publish_files import Published
from tests.fakes import MemoryQueue, MemoryStore

WYOMING = publish_files.jurisdiction_named("wy")
RUN = uuid.UUID("01d5bf2e-3d0b-4b0c-9f4f-1f4f2ac6a111")
SCRAPED = datetime(2026, 1, 6, 12, 0, 0, 250_000, UTC)
CHANGED = datetime(2026, 3, 1, tzinfo=UTC)
PERSON = """\
id: ocd-person/11111111-2222-4333-8444-555555555555
name: Nellie Tayloe Ross
birth_date: 1876-11-29
party:
- name: Democratic
roles:
- start_date: 2023-01-02
  type: lower
  jurisdiction: ocd-jurisdiction/country:us/state:wy/government
  district: 3
"""


class Sent:
    """What one publishing sent, by the names of the original files."""

    def __init__(self, store: MemoryStore, queue: MemoryQueue, report: Published) -> None:
        self.store = store
        self.report = report
        parsed = [message for body in queue.bodies for message in messages.parse(body)]
        self.files = [message for message in parsed if isinstance(message, FileMessage)]
        self.ends = [message for message in parsed if isinstance(message, RunFinished)]
        self.keys = [message.key for message in self.files]

    def stamp(self, part: str) -> datetime:
        (key,) = [key for key in self.keys if part in key]
        return datetime.fromisoformat(self.store.metadata[key]["scraped-at"])


def publish(
    *paths: Path,
    run: bool = False,
    shuffle: int | None = None,
    archive: bool = False,
    whose: Jurisdiction = WYOMING,
) -> Sent:
    store, queue, report = MemoryStore(), MemoryQueue(), Published()
    producer = Producer(
        store,
        queue,
        Bucket("bucket"),
        paths[0].parent / "spool",
        RUN if run else None,
        retry_policy=RetryPolicy(0.001, 0.004, 0.05),
        # One uploader keeps the order.
        uploaders=1,
        batch_age=0.02,
    )
    publish_files.publish(
        producer,
        publish_files.select(paths, report, whose),
        [whose],
        report,
        max_bytes=1_000_000,
        file_archiving_enabled=archive,
        shuffle=shuffle,
    )
    return Sent(store, queue, report)


def uuid1_at(time: datetime) -> str:
    ticks = ticks_of(time)
    version_1 = (ticks >> 48 & 0x0FFF) | 0x1000
    return str(
        uuid.UUID(
            fields=(ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, version_1, 0x92, 0, os.getpid())
        )
    )


def write(folder: Path, name: str, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, (CHANGED.timestamp(), CHANGED.timestamp()))
    return path


@pytest.fixture
def scrape(tmp_path: Path) -> Path:
    """A folder as core leaves it: three bills and a vote, a minute apart, and the jurisdiction."""
    folder = tmp_path / "_data"
    write(
        folder,
        f"jurisdiction_{WYOMING.id.replace('/', '-')}.json",
        {"_id": WYOMING.id, "id": WYOMING.id},
    )
    for minute in range(3):
        scrape_id = uuid1_at(SCRAPED + timedelta(minutes=minute))
        content = {"_id": scrape_id, "scraped_at": f"2026-01-06T12:0{minute}:00+00:00"}
        write(folder, f"bill_{scrape_id}.json", content)
    vote = uuid1_at(SCRAPED + timedelta(minutes=3))
    write(folder, f"vote_event_{vote}.json", {"_id": vote})
    return folder


def test_publish__a_scraped_folder__sends_each_file_as_it_is(scrape: Path) -> None:
    sent = publish(scrape)
    assert sorted(sent.store.objects.values()) == sorted(p.read_bytes() for p in scrape.iterdir())
    assert sent.report.types == {"jurisdiction": 1, "bill": 3, "vote_event": 1}
    assert sent.report.problems == [] and sent.report.skipped == []
    assert sent.ends == []
    assert {(f.jurisdiction_id, f.run_id, f.file_archiving_enabled) for f in sent.files} == {
        (WYOMING.id, None, False)
    }


def test_publish__a_scraped_folder__what_others_refer_to_first_then_as_it_was_scraped(
    scrape: Path,
) -> None:
    # By name it would be the first of the bills.
    late = f"ffffffff{uuid1_at(SCRAPED - timedelta(days=1))[8:]}"
    write(scrape, f"bill_{late}.json", {"_id": late, "scraped_at": "2026-01-05T12:00:00+00:00"})
    sent = publish(scrape)
    assert [key.partition("_")[0] for key in sent.keys] == [
        "wy/jurisdiction", "wy/bill", "wy/bill", "wy/bill", "wy/bill", "wy/vote",
    ]  # fmt: skip
    bills = [sent.stamp(key) for key in sent.keys if "bill" in key]
    assert bills == sorted(bills)


def test_publish__the_same_folder_twice__reuses_no_key(scrape: Path) -> None:
    assert not set(publish(scrape).keys) & set(publish(scrape).keys)


def test_publish__shuffled__depends_on_the_seed_alone(scrape: Path) -> None:
    def order(seed: int | None) -> list[str]:
        return [key.rpartition("_")[0] for key in publish(scrape, shuffle=seed).keys]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in (None, 1, 2, 3)}) > 1
    assert sorted(order(1)) == sorted(order(None))


def test_publish__stamps_say_when_it_was_scraped_not_unpacked(scrape: Path) -> None:
    sent = publish(scrape)
    assert sent.stamp("vote_event") == SCRAPED + timedelta(minutes=3)
    assert sent.stamp("jurisdiction") == SCRAPED
    assert sorted(sent.stamp(key) for key in sent.keys if "bill" in key) == [
        datetime(2026, 1, 6, 12, minute, tzinfo=UTC) for minute in range(3)
    ]


def test_publish__a_jurisdiction_alone__is_stamped_with_its_last_change(tmp_path: Path) -> None:
    path = write(tmp_path, "jurisdiction_wy.json", {"_id": WYOMING.id, "id": WYOMING.id})
    assert publish(path).stamp("jurisdiction") == CHANGED


def test_publish__as_a_run__takes_its_place_among_real_scrapes(scrape: Path) -> None:
    sent = publish(scrape, run=True, archive=True, shuffle=5)
    (end,) = sent.ends
    assert end.run_id == RUN
    assert (end.started_at, end.finished_at) == (SCRAPED, SCRAPED + timedelta(minutes=3))
    assert end.objects == {"jurisdiction": 1, "bill": 3, "vote_event": 1}
    assert {(file.run_id, file.file_archiving_enabled) for file in sent.files} == {(RUN, True)}
    assert all(metadata["run-id"] == str(RUN) for metadata in sent.store.metadata.values())


def test_publish__files_that_are_no_objects__are_named_and_the_others_sent(scrape: Path) -> None:
    write(scrape, "bill_torn.json", '{"_id": ')
    write(scrape, "bill_list.json", [])
    write(scrape, "event_no-id.json", {})
    sent = publish(scrape, run=True)
    assert len(sent.files) == 5
    assert sent.ends == []
    for name in ("bill_torn.json", "bill_list.json", "event_no-id.json"):
        assert [name in problem for problem in sent.report.problems].count(True) == 1


def test_publish__paths_that_hold_nothing__are_named(scrape: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    odd = write(tmp_path / "odd", "notes.json", {})
    sent = publish(tmp_path / "missing", empty, odd, scrape)
    assert len(sent.files) == 5
    assert [str(path) in problem for path, problem in zip(
        (tmp_path / "missing", empty, odd), sent.report.problems, strict=True
    )] == [True] * 3  # fmt: skip


def test_publish__people__become_what_core_loads_the_same(tmp_path: Path) -> None:
    from openstates.models.people import Person

    state = tmp_path / "wy"
    state.mkdir()
    path = write(state / "legislature", "Nellie-Ross.yml", PERSON)
    write(state / "committees", "Roads.yml", "name: Roads")
    write(state, "municipalities.yml", "[]")
    before = datetime.now(UTC)
    sent = publish(state)
    (key,) = sent.keys
    assert key.startswith("wy/person_11111111-2222-4333-8444-555555555555_")
    original, loaded = Person.load_yaml(path), Person(**json.loads(sent.store.objects[key]))
    assert loaded.birth_date == original.birth_date
    assert loaded.roles[0].district == original.roles[0].district == "3"
    assert str(loaded.roles[0].start_date) == str(original.roles[0].start_date) == "2023-01-02"
    assert sent.stamp("person") >= before
    assert sorted(sent.report.skipped) == ["committees", "municipalities.yml"]
    assert publish(state / "legislature").report.types == {"person": 1}


def test_publish__a_person_core_refuses__is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "bad.yml", PERSON.replace("type: lower", "type: king"))
    sent = publish(path)
    assert sent.files == []
    assert "bad.yml" in sent.report.problems[0]


@pytest.mark.parametrize("abbr", ["us", "usa", "USA"])
def test_jurisdiction__congress__is_known_by_both_of_its_names(abbr: str) -> None:
    found = publish_files.jurisdiction_named(abbr)
    assert (found.abbr, found.id) == ("usa", "ocd-jurisdiction/country:us/government")


def test_jurisdiction__unknown__is_named() -> None:
    with pytest.raises(ConfigurationError, match="'zz'"):
        publish_files.jurisdiction_named("zz")
