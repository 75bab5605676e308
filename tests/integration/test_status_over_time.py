"""Lag, throughput and the queue, step by step."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from realtime.models import Outcome
from realtime.monitoring.status.over_time import Window, over_time
from tests.ledger_rows import NOW, OHIO, WYOMING, ago, file

pytestmark = pytest.mark.usefixtures("database")

HOUR = Window(timedelta(hours=1), 6)


def waited(queued_at: datetime, received_at: datetime, **more: Any) -> None:
    file(queued_at, queued_at=queued_at, received_at=received_at, imported_at=received_at, **more)


def test_waiting__queue_that_grew_and_was_emptied__its_height_in_each_step() -> None:
    # Three came at once, and were received after 2, 12 and 25 minutes.
    for minutes in (2, 12, 25):
        waited(ago(minutes=35), ago(minutes=35 - minutes))
    # Waited before the hour began, and into it.
    waited(ago(minutes=70), ago(minutes=55))
    # Between two steps.
    waited(ago(minutes=7), ago(minutes=6))
    waited(ago(minutes=50), ago(minutes=5), bucket="")  # of a folder: never queued
    waited(ago(minutes=50), ago(minutes=5), retried_at=ago(minutes=5))
    # Between two looks, of which there is one every ten seconds.
    waited(ago(minutes=35) + timedelta(seconds=1), ago(minutes=35) + timedelta(seconds=9))
    assert over_time(NOW, HOUR, [WYOMING]).waiting == [1, 0, 3, 2, 1, 1]


def test_waiting__of_one_jurisdiction_or_everywhere() -> None:
    waited(ago(minutes=35), ago(minutes=31))
    waited(ago(minutes=35), ago(minutes=31), jurisdiction_id=OHIO)
    assert over_time(NOW, HOUR, [WYOMING]).waiting[2] == 1
    assert over_time(NOW, HOUR, [WYOMING, OHIO], everywhere=True).waiting[2] == 2


def test_lag_and_files__each_step__without_retried_and_old_files_in_the_lag() -> None:
    for seconds in (10, 20, 200):
        file(ago(minutes=15), imported_at=ago(minutes=15) + timedelta(seconds=seconds))
    file(ago(minutes=15), Outcome.FAILED)
    file(ago(minutes=40), retried_at=ago(minutes=12), imported_at=ago(minutes=12))
    file(ago(days=3), queued_at=ago(minutes=13), imported_at=ago(minutes=12))
    found = over_time(NOW, HOUR, [WYOMING])
    assert (found.since, found.until) == (ago(hours=1), NOW)
    assert found.p50 == [None, None, None, None, 20, None]
    assert found.p95[4] == 200
    assert found.files == [0, 0, 0, 0, 6, 0]
