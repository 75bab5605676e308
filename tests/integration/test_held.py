"""How many bytes of files a run holds at once: counted, whenever one more has been read."""

import gc
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openstates.data.models import Bill, VoteEvent

from realtime.consumer import from_source
from realtime.domain import scraped_object
from realtime.domain.interfaces import StoredFile
from realtime.domain.scraped_object import ScrapedObject
from realtime.files import fetch, refetch
from realtime.finalization.finalize import finalize_complete
from realtime.importers.bulk.batch import Record
from realtime.models import File
from realtime.sources.open_source import open_source
from tests import scrapes
from tests.fault_proxy import AwsProxy, Forward, Request, Response, on
from tests.scrape_runs import Run, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws, through, wait_until

SIZE, FILES = 10_000, 12
# Room for three files, and a bit.
MOST = 35_000


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that were held when each file had been read."""
    found: list[int] = []
    read = scraped_object.read

    def count(*arguments: Any, **more: Any) -> ScrapedObject:
        content = read(*arguments, **more)
        objects = [one for one in gc.get_objects() if type(one) in (ScrapedObject, StoredFile)]
        # By their bodies: of one there may be several objects.
        found.append(sum(len(body) for body in {one.body for one in objects if one.body}))
        return content

    for module in (fetch, refetch, from_source):
        monkeypatch.setattr(module, "read", count)
    return found


def large(data: dict[str, Any], size: int = SIZE) -> dict[str, Any]:
    return {**data, "extras": {"much": "x" * (size - len(json.dumps(data)))}}


def bills() -> list[dict[str, Any]]:
    return [large(scrapes.bill(f"HB {number}")) for number in range(FILES)]


def tighten(mail: Mail) -> None:
    # What the run before has left behind is none of the next one's.
    gc.collect()
    mail.config = replace(mail.config, max_batch_bytes=MOST)


def received(mail: Mail) -> None:
    mail.publish(*bills())
    tighten(mail)
    assert mail.run().outcomes["inserted"] == FILES


def resumed(mail: Mail) -> None:
    bill = scrapes.bill()
    mail.publish(*(large(scrapes.vote_event(bill, f"motion {n}")) for n in range(FILES)))
    mail.run()
    tighten(mail)
    mail.publish(bill)
    assert mail.run().resumed == VoteEvent.objects.count() == FILES


def replayed(mail: Mail) -> None:
    scrape = Run(mail)
    scrape.publish(*bills())
    scrape.end()
    import_only(mail)
    tighten(mail)
    [finalized] = finalize_complete(replace(context_of(mail), replay_all=True))
    assert finalized.counts["replayed"] == FILES


@pytest.mark.parametrize("way", [received, resumed, replayed])
def test_run__many_large_files__at_most_max_batch_bytes_held(
    mail: Mail, held: list[int], way: Callable[[Mail], None]
) -> None:
    way(mail)
    of_this = held[-FILES:]
    assert max(of_this) <= MOST, of_this
    assert max(of_this) > SIZE, "several at a time, where there is room"


def test_run__files_are_being_archived__they_count_as_held(
    mail: Mail, aws: Aws, proxy: AwsProxy, held: list[int]
) -> None:
    # Four fit into the quarter that may be archived beside the next; then two large ones fit.
    few, small = 4, MOST // 4 // 4 - 50
    slow = Mail(through(proxy.endpoint, aws), mail.config.database_url)
    slow.publish(*(large(scrapes.bill(f"HB {n}"), small) for n in range(few)), *bills()[few:])
    tighten(slow)

    def wait(request: Request, forward: Forward) -> Response:
        # Until the next two are read, and for a third that must not be.
        wait_until(lambda: len(held) >= few + 2, seconds=30)
        wait_until(lambda: len(held) > few + 2, seconds=2)
        return forward(request)

    proxy.rule = on("PutObject", fault=wait, times=few)
    slow.run(max_messages=few, until_empty=True)
    assert Bill.objects.count() == FILES
    assert 2 * SIZE + small < max(held) <= MOST, held


def test_directory__many_large_files__at_most_max_batch_bytes_held(
    mail: Mail, held: list[int], tmp_path: Path
) -> None:
    for number, data in enumerate(bills()):
        (tmp_path / f"bill_{number}.json").write_text(json.dumps(data))
    tighten(mail)
    source = open_source(str(tmp_path), "wy")
    from_source.run(mail.config, source, lambda: False, from_source.Watcher(print))
    assert Bill.objects.count() == FILES
    assert max(held) <= MOST, held


def test_run__file_larger_than_the_room__imported_by_itself(mail: Mail, held: list[int]) -> None:
    mail.publish(*bills()[:3])
    mail.config = replace(mail.config, max_batch_bytes=SIZE // 2)
    assert mail.run().outcomes["inserted"] == 3
    assert max(held) < 2 * SIZE
    assert File.objects.filter(outcome="inserted").count() == 3


def test_run__rows_are_written__let_go_without_waiting_for_the_garbage_collector(
    mail: Mail,
) -> None:
    mail.publish(*bills())
    gc.collect()
    gc.disable()
    try:
        assert mail.run().outcomes["inserted"] == FILES
        assert not [one for one in gc.get_objects() if type(one) is Record]
    finally:
        gc.enable()
