"""Axes and lines of the page's charts."""

from datetime import UTC, datetime, timedelta

import pytest

from realtime.page import axes, charts
from realtime.page.charts import Series

NOON = datetime(2026, 3, 2, 12, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0, ["0", "1"]),
        (3, ["0", "1", "2", "3"]),
        (1_920, ["0", "500", "1,000", "1,500", "2,000"]),
        (45_000, ["0", "20k", "40k", "60k"]),
    ],
)
def test_counts__ticks_are_round_and_reach_the_highest(highest: float, labels: list[str]) -> None:
    assert [label for _, label in axes.counts(highest)] == labels


@pytest.mark.parametrize(
    ("highest", "labels"),
    [
        (0.4, ["0", "1 s"]),
        (100, ["0", "30 s", "1 min", "1.5 min", "2 min"]),
        (7_000, ["0", "30 min", "1 h", "1.5 h", "2 h"]),
        (1_000_000, ["0", "5 d", "10 d", "15 d"]),
    ],
)
def test_durations__ticks_are_in_units_of_time(highest: float, labels: list[str]) -> None:
    assert [label for _, label in axes.durations(highest)] == labels


@pytest.mark.parametrize(
    ("length", "first", "last", "how_many"),
    [
        (timedelta(hours=1), "11:15", "12:00", 4),
        (timedelta(days=1), "18:00", "12:00", 4),
        (timedelta(days=7), "Tue 24", "Mon 02", 7),
    ],
)
def test_times__ticks_at_round_times(
    length: timedelta, first: str, last: str, how_many: int
) -> None:
    labels = [label for _, label in axes.times(NOON - length, NOON)]
    assert (labels[0], labels[-1], len(labels)) == (first, last, how_many)


def test_plot__gaps_hostile_words_and_what_waits_now__drawn_in_place() -> None:
    since = NOON - timedelta(hours=1)
    series = [Series("lag", "p50", [None, 2, 4, None, 1, None])]
    drawn = charts.plot('a "b" <c>', since, NOON, series, ending=(since, 4))
    assert 'aria-label="a &quot;b&quot; &lt;c&gt;"' in drawn
    # A line, a dot, and the dashed line to the top right corner.
    assert drawn.count("<polyline") == 3
    assert 'class="dot"' in drawn
    right, top = charts._WIDTH - charts._RIGHT, charts._TOP
    assert f" {right} {top}" in drawn
