"""The plug-in as core's scrapers use it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstates import settings
from openstates.exceptions import ScrapeValueError
from openstates.scrape import Bill, Scraper, State
from openstates.utils import JSONEncoderPlus

from realtime import output_handler
from realtime.domain.config import Bucket
from realtime.producer.leftovers import Leftovers
from realtime.producer.producer import Producer
from tests.fakes import MemoryQueue, MemoryStore


class Wyoming(State):  # type: ignore[misc]
    pass


class UnitedStates(State):  # type: ignore[misc]
    pass


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def session(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[output_handler.Session]:
    queue, bucket, spool = MemoryQueue(), Bucket("bucket"), tmp_path / "spool"
    producer = Producer(store, queue, bucket, spool, batch_age=0.02)
    leftovers = Leftovers(store, queue, bucket, spool)
    monkeypatch.setattr(output_handler, "_publishers", lambda run_id: (producer, leftovers))
    monkeypatch.setattr(settings, "CACHE_DIR", "")
    with output_handler.publishing(file_archiving_enabled=False) as session:
        yield session


def bill(source: str = "https://example.com") -> Any:
    scraped = Bill("HB 1", "2025", "Of bridges", chamber="lower")
    scraped.add_source(source)
    return scraped


def scraper(folder: Path, state: Any = None, **options: Any) -> Any:
    return Scraper(state or Wyoming(), str(folder / "_data" / "wy"), **options)


def test_handle__a_bill__publishes_the_bytes_core_would_have_written(
    session: output_handler.Session, store: MemoryStore, tmp_path: Path
) -> None:
    scraped = bill()
    scraper(tmp_path).save_object(scraped)
    session.producer.close()
    expected = json.dumps(scraped.as_dict(), cls=JSONEncoderPlus).encode()
    assert store.objects == {f"wy/bill_{scraped._id}.json": expected}
    assert not (tmp_path / "_data").exists()


def test_handle__an_invalid_object__is_published_by_a_nonstrict_scrape_only(
    session: output_handler.Session, store: MemoryStore, tmp_path: Path
) -> None:
    strict, lax = bill("no address"), bill("no address")
    with pytest.raises(ScrapeValueError):
        scraper(tmp_path).save_object(strict)
    scraper(tmp_path, strict_validation=False).save_object(lax)
    session.producer.close()
    assert list(store.objects) == [f"wy/bill_{lax._id}.json"]


def test_handle__scrapers_of_one_process__share_a_producer(
    session: output_handler.Session, store: MemoryStore, tmp_path: Path
) -> None:
    for _ in range(2):
        scraper(tmp_path).save_object(bill())
    session.producer.close()
    assert session.producer.counts == {"bill": 2}


@pytest.mark.parametrize(
    ("folder", "abbr"),
    [("_data/usa", "usa"), ("_data/scrapers.usa/", "usa"), ("_data/us-", "us-"), ("_data/!", "us")],
)
def test_jurisdiction_of__any_module__has_an_abbreviation_that_fits_keys(
    folder: str, abbr: str
) -> None:
    found = output_handler.jurisdiction_of(UnitedStates(), folder)
    assert found.abbr == abbr
    assert found.id == "ocd-jurisdiction/country:us/government"
