"""How long files took from scraped to visible, as the ledger says."""

from datetime import timedelta
from typing import Any

import pytest

from realtime.models import Outcome
from realtime.monitoring.status.lag import (
    HOUR,
    JURISDICTION,
    TYPE,
    Lag,
    Spread,
    jurisdictions,
    lags,
    lags_by,
    volumes,
)
from realtime.monitoring.status.lead_time import lead_times
from tests.ledger_rows import NOW, OHIO, WYOMING, ago, file, run

pytestmark = pytest.mark.usefixtures("database")
DAY = ago(hours=24)


def measured(**how: Any) -> list[Lag]:
    return lags(DAY, NOW, [WYOMING, OHIO], **how)


def test_lag__of_a_hundred_files__is_the_nearest_rank_of_each_part() -> None:
    for number in range(1, 101):
        file(ago(hours=1), to_queue=number / 2, to_receive=number, to_commit=number * 2)
    (lag,) = measured()
    assert lag.measured == 100
    assert lag.total == Spread(50 * 3.5, 95 * 3.5, 100 * 3.5)
    assert lag.to_queue == Spread(25, 47.5, 50)
    assert lag.to_receive == Spread(50, 95, 100)
    assert lag.to_commit == Spread(100, 190, 200)


def test_lag__grouped__by_jurisdiction_type_and_hour_of_the_import() -> None:
    hour = NOW.replace(minute=0, second=0)
    file(hour - timedelta(hours=2, seconds=1), to_receive=0)
    file(hour - timedelta(hours=3), object_type="event", to_receive=50)
    file(hour - timedelta(hours=3), jurisdiction_id=OHIO, to_receive=90)
    by_jurisdiction = {lag.jurisdiction_id: lag.total.max for lag in measured(by=[JURISDICTION])}
    assert by_jurisdiction == {WYOMING: 53, OHIO: 93}
    by_type = {lag.object_type: lag.measured for lag in measured(by=[TYPE])}
    assert by_type == {"bill": 2, "event": 1}
    first, last = (lag.hour for lag in measured(by=[HOUR]))
    assert first is not None and last is not None
    assert (first.minute, last) == (0, hour - timedelta(hours=2))
    assert len(measured(by=[JURISDICTION, TYPE, HOUR])) == 3


@pytest.mark.parametrize(
    "more",
    [
        {"outcome": Outcome.UNCHANGED},
        {"outcome": Outcome.SUPERSEDED},
        {"outcome": Outcome.FAILED, "reason": "invalid"},
        {"outcome": Outcome.DEFERRED},
        {"bucket": "", "to_receive": 9e6},
        {"imported_at": ago(hours=25)},
    ],
    ids=["unchanged", "superseded", "failed", "parked", "from a folder", "long ago"],
)
def test_lag__of_what_made_nothing_visible_in_the_window__is_not_measured(
    more: dict[str, Any],
) -> None:
    file(ago(hours=2), **more)
    assert measured() == []


def test_lag__old_scrape_published_today__is_counted_but_not_measured() -> None:
    file(ago(hours=1))
    for _ in range(2):
        file(ago(days=400), to_queue=timedelta(days=399, hours=23).total_seconds())
    (lag,) = measured()
    assert (lag.files, lag.late, lag.measured) == (3, 2, 1)
    assert lag.total == Spread(13, 13, 13)


def test_lag__retried_file__is_counted_but_not_measured() -> None:
    file(ago(hours=1))
    again: dict[str, Any] = dict.fromkeys(
        ("retried_at", "received_at", "imported_at"), ago(hours=1)
    )
    file(ago(hours=20), **again)
    file(ago(hours=20), to_queue=-300, **again)
    file(ago(days=400), to_queue=timedelta(days=399, hours=23).total_seconds(), **again)
    (lag,) = measured()
    assert (lag.files, lag.late, lag.retried, lag.skewed, lag.measured) == (4, 1, 2, 0, 1)
    assert lag.total == Spread(13, 13, 13)


def test_lag__imported_between_two_windows__is_of_the_later_one() -> None:
    between = file(ago(hours=2)).imported_at
    assert between is not None
    assert lags(DAY, between, [WYOMING]) == []
    assert [lag.files for lag in lags(between, NOW, [WYOMING])] == [1]


def test_lag__file_that_was_parked__counts_from_its_scrape() -> None:
    file(ago(hours=1), to_commit=1800)
    (lag,) = measured()
    assert (lag.total.max, lag.to_commit.max) == (1811, 1800)


def test_lag__scraper_clock_ahead__counted_as_skewed_and_no_negative_time() -> None:
    file(ago(hours=1), to_queue=-300, to_receive=10, to_commit=2)
    file(ago(hours=1), to_queue=-1, to_receive=0, to_commit=0)
    (lag,) = measured()
    assert lag.skewed == 1
    assert lag.total == lag.to_queue == Spread(0, 0, 0)


def test_jurisdictions__of_the_ledger__with_their_newest_import() -> None:
    assert jurisdictions() == {}
    file(ago(hours=3))
    newest = file(ago(hours=2), outcome=Outcome.UNCHANGED)
    file(ago(hours=1), outcome=Outcome.FAILED)
    file(ago(hours=1), outcome=Outcome.DEFERRED, jurisdiction_id=OHIO)
    file(None, outcome=Outcome.FAILED, jurisdiction_id="")
    assert jurisdictions() == {"": None, OHIO: None, WYOMING: newest.imported_at}


def test_volumes__count_every_outcome_by_hour() -> None:
    hour = NOW.replace(minute=0, second=0) - timedelta(hours=1)
    for outcome in (Outcome.INSERTED, Outcome.UNCHANGED, Outcome.FAILED):
        file(hour, outcome=outcome)
    assert [(v.jurisdiction_id, v.hour, v.files) for v in volumes(DAY, NOW, [WYOMING])] == [
        (WYOMING, hour, 3)
    ]


def test_lead_times__ended_run__end_of_run_minus_our_import() -> None:
    ended = run(ago(hours=9), ago(hours=1))
    for hours in (8, 6, 4):
        file(ago(hours=hours), run_id=ended.run_id)
    file(ago(hours=2), object_type="event", run_id=ended.run_id, to_commit=2 * 3600)
    bills, events = lead_times(DAY, NOW, [WYOMING])
    assert (bills.object_type, bills.files) == ("bill", 3)
    assert (bills.lead, bills.batch_lag, bills.lag) == (5 * 3600 - 13, 5 * 3600, 13)
    assert events.lead == -3600 - 11, "visible after the scrape had ended"
    assert [one.run_id for one in lead_times(DAY, NOW, [WYOMING], by_run=True)] == [
        ended.run_id
    ] * 2
    assert ended.finished_at is not None
    assert lead_times(DAY, ended.finished_at, [WYOMING]) == []
    assert lead_times(ended.finished_at, NOW, [WYOMING]) == [bills, events]


def test_lead_times__newest_runs_only__those_that_ended_last() -> None:
    for ended in (3, 1, 2):
        of = run(ago(hours=9), ago(hours=ended))
        file(ago(hours=8), run_id=of.run_id)
    (found,) = lead_times(DAY, NOW, [WYOMING], newest=2)
    assert (found.files, found.batch_lag) == (2, 6 * 3600)


def test_lags_by__groupings__each_as_if_asked_for_alone() -> None:
    file(ago(hours=1))
    file(ago(hours=2), object_type="event", jurisdiction_id=OHIO)
    file(ago(hours=2), jurisdiction_id=OHIO, to_commit=7)
    groupings = [(), (JURISDICTION,), (TYPE,), (HOUR,), (TYPE, HOUR)]
    found = lags_by(DAY, NOW, [WYOMING, OHIO], groupings)
    assert found == [lags(DAY, NOW, [WYOMING, OHIO], by) for by in groupings]
    assert [len(each) for each in found] == [1, 2, 2, 2, 3]
    assert lags_by(DAY, DAY, [WYOMING], groupings) == [[]] * len(groupings)


def test_lead_times__of_what_was_not_imported_as_scraped__left_out() -> None:
    ended = run(ago(hours=9), ago(hours=1))
    file(ago(hours=8), run_id=ended.run_id, outcome=Outcome.UNCHANGED)
    file(ago(hours=8), run_id=ended.run_id, retried_at=ago(hours=2))
    file(ago(hours=8), run_id=ended.run_id, jurisdiction_id=OHIO)
    file(ago(hours=8), run_id=ended.run_id, bucket="")  # from a folder
    going_on = run(ago(hours=9))
    file(ago(hours=8), run_id=going_on.run_id)
    old = run(ago(days=400), ago(days=399))
    file(ago(days=400), run_id=old.run_id, to_queue=3e7)
    assert lead_times(DAY, NOW, [WYOMING, OHIO]) == []
