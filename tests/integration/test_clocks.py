"""Scrapers whose clocks are ahead: what they scrape is in its place, and freezes nothing."""

import importlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from openstates.data.models import Bill, Event, LegislativeSession, VoteEvent

from realtime.domain.scraped_object import SCRAPED_AT_METADATA, ticks_of, time_of
from realtime.files.fetch import fetch
from realtime.files.refetch import read_again
from realtime.models import File, RaisedFlag
from tests import scrapes
from tests.schedules.content import uuid1_at
from tests.scrape_runs import Run, import_only
from tests.scrapes import Mail
from tests.support import Aws

YEAR, HOUR, MINUTE = timedelta(days=365), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def ahead(data: dict[str, Any], by: timedelta) -> dict[str, Any]:
    """The same object, scraped by a clock that is ahead."""
    at = datetime.now(UTC) + by
    return {**data, "_id": uuid1_at(ticks_of(at)), "scraped_at": at.isoformat()}


def order_of(key: str) -> datetime:
    return time_of(File.objects.get(key=key).order_ticks)


@pytest.mark.parametrize("by", [YEAR, HOUR], ids=["a-year", "an-hour"])
def test_import__scraped_by_a_clock_ahead__newer_scrapes_still_win(
    mail: Mail, by: timedelta
) -> None:
    key, _ = mail.publish(ahead(scrapes.bill("HB 1", "old"), by), ahead(scrapes.event("A"), by))
    report = mail.run()
    assert order_of(key) <= datetime.now(UTC)
    assert report.outcomes["inserted"] == 2
    assert report.lags == [0.0, 0.0]
    assert RaisedFlag.objects.filter(kind="clock-ahead", resolved_at=None).count() == 2
    newer = Run(mail)
    newer.publish(scrapes.bill("HB 1", "new"), scrapes.event("B"))
    newer.end()
    mail.run()
    assert newer.row.finalized_at and not newer.row.closed
    assert Bill.objects.get().title == "new"
    assert RaisedFlag.objects.get(kind="clock-ahead", resolved_at=None).object_type == "event"
    assert {event.name: event.deleted for event in Event.objects.all()} == {"A": True, "B": False}


def test_import__honest_clock__scrape_order_is_that_of_the_id(mail: Mail) -> None:
    datas = [scrapes.bill(f"HB {number}") for number in range(5)]
    seen = fetched(mail, datas)
    ids = {f"wy/bill_{data['_id']}.json": uuid.UUID(data["_id"]).time for data in datas}
    assert dict(File.objects.filter(key__in=ids).values_list("key", "order_ticks")) == ids
    assert seen == [0.0] * 5


def test_fetch__clock_ahead__marked_with_how_far(mail: Mail) -> None:
    (seconds,) = fetched(mail, [ahead(scrapes.bill(), HOUR)])
    assert 3590 < seconds < 3602


def test_read_again__clock_ahead__has_the_place_of_the_ledger_and_is_marked(mail: Mail) -> None:
    key, other = mail.publish(ahead(scrapes.bill("HB 1"), HOUR), scrapes.bill("HB 2"))
    mail.run()
    rows = [File.objects.get(key=key), File.objects.get(key=other)]
    one, two = read_again(mail.store, mail.config.max_file_bytes, rows)
    assert one and two
    assert one.content.order.ticks == rows[0].order_ticks
    assert 3590 < one.content.clock_ahead < 3602
    assert two.content.clock_ahead == 0.0


def fetched(mail: Mail, datas: Sequence[dict[str, Any]]) -> list[float]:
    """By how much each of the files is marked to be ahead, once it is imported."""
    found: list[float] = []

    def watched(files: Any, *arguments: Any) -> None:
        fetch(files, *arguments)
        found.extend(file.ready().content.clock_ahead for file in files)

    mail.publish(*datas)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.consumer.fetching.fetch", watched)
        mail.run()
    return found


def test_import__jurisdiction_stamped_in_the_future__later_dates_win(mail: Mail) -> None:
    for day, stamp in (("2031-04-01", "2099-01-01T00:00:00+00:00"), ("2031-05-05", "")):
        data = scrapes.jurisdiction()
        data["legislative_sessions"][0]["end_date"] = day
        stamp = stamp or datetime.now(UTC).isoformat()
        mail.send(mail.message(mail.put(data, **{SCRAPED_AT_METADATA: stamp})))
        mail.run()
    assert LegislativeSession.objects.get().end_date == "2031-05-05"


def test_finalize__votes_scraped_by_a_clock_ahead__deleted_once_not_scraped_again(
    mail: Mail,
) -> None:
    bill = ahead(scrapes.bill("HB 1"), HOUR)
    first = Run(mail)
    first.started_at += HOUR
    first.publish(bill, ahead(scrapes.vote_event(bill, "mistaken"), HOUR))
    first.end(clock_ahead=HOUR)
    mail.run()
    assert first.row.finalized_at
    ended = first.row.finished_at
    assert ended and first.row.started_at <= ended <= datetime.now(UTC)
    again = scrapes.bill("HB 1")
    second = Run(mail)
    second.publish(again, scrapes.vote_event(again, "right"))
    second.end()
    mail.run()
    assert list(VoteEvent.objects.values_list("motion_text", flat=True)) == ["right"]


@pytest.mark.parametrize("end_first", [False, True], ids=["end-last", "end-first"])
def test_finalize__run_by_a_clock_ahead__deletes_nothing_scraped_beside_it(
    mail: Mail, end_first: bool
) -> None:
    run = Run(mail)
    began = run.started_at - MINUTE
    run.started_at = began + HOUR
    key = mail.put(ahead(scrapes.event("of the run"), HOUR))
    beside = mail.put(scrapes.event("beside it"))
    run.objects = {"event": 1}
    if end_first:
        run.end(clock_ahead=HOUR)
        import_only(mail)
    mail.send(mail.message(key, run_id=run.id))
    mail.send(mail.message(beside))
    import_only(mail)
    if not end_first:
        run.end(clock_ahead=HOUR)
    mail.run()
    assert run.row.finalized_at and not run.row.closed
    assert began <= run.row.started_at < began + MINUTE
    assert not Event.objects.filter(deleted=True).exists()


def test_migration__scrape_order_in_the_future__set_back(mail: Mail) -> None:
    future = ticks_of(datetime.now(UTC) + YEAR)
    frozen, honest = mail.publish(scrapes.bill("HB 1", "old"), scrapes.bill("HB 2"))
    mail.run()
    File.objects.filter(key=frozen).update(order_ticks=future, order_stamp=future)
    before = File.objects.get(key=honest).order_ticks
    migration = importlib.import_module("realtime.migrations.0009_clocks")
    with connection.cursor() as cursor:
        cursor.execute(migration.SET_BACK)
    row = File.objects.get(key=frozen)
    assert row.last_modified
    assert ticks_of(row.last_modified) == row.order_ticks == row.order_stamp
    assert File.objects.get(key=honest).order_ticks == before
    mail.publish(scrapes.bill("HB 1", "new"))
    assert mail.run().outcomes["updated"] == 1
