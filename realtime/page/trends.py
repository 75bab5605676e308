"""Charts of a period: lag, throughput and queue, and how much sooner than by batch import."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from django.core.cache import cache
from django.utils.safestring import SafeString

from realtime.monitoring.status.lead_time import LeadTime, lead_times
from realtime.monitoring.status.over_time import OverTime, Window, over_time
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.page import axes, charts
from realtime.page.charts import Series
from realtime.page.words import counted, duration

DEFAULT = "24h"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
# By the name in an address: the words for it, and the window.
WINDOWS = {
    "1h": ("1 hour", Window(_HOUR, 60)),
    "24h": ("24 hours", Window(_DAY, 48)),
    "7d": ("7 days", Window(7 * _DAY, 56)),
}
# Scrape runs, those that ended last, that tell how much sooner: one reads all files of each.
RUNS = 100
# Figures may be as old as this part of a step.
_SHOWN = 12


@dataclass(frozen=True)
class Chart:
    """A chart, what it says in a sentence, and its figures as rows of a table."""

    slug: str
    heading: str
    said: str
    drawn: SafeString
    columns: Sequence[str]
    rows: Sequence[tuple[datetime, Sequence[str]]]
    legend: Sequence[Series] = ()


@dataclass(frozen=True)
class Trends:
    """The charts of a window that ends at `at`, and how much sooner files became visible."""

    window: str
    words: str
    at: datetime
    charts: Sequence[Chart]
    lead_times: Sequence[LeadTime]
    runs: int = RUNS
    windows: Sequence[str] = tuple(WINDOWS)


def trends(
    now: datetime,
    window: str,
    jurisdiction_ids: Collection[str],
    queue: QueueStatus | None = None,
    received_at: datetime | None = None,
    everywhere: bool = False,
) -> Trends:
    """The window before `now` that WINDOWS calls `window`, or else the default.

    The figures may be a twelfth of a step old. `queue` says how much waits now; None: of these
    jurisdictions that is not known. `received_at` is when the newest file was received.
    `everywhere`: these are all jurisdictions that the ledger knows.
    """
    name = window if window in WINDOWS else DEFAULT
    words, length = WINDOWS[name]

    def ask() -> tuple[OverTime, list[LeadTime]]:
        return (
            over_time(now, length, jurisdiction_ids, everywhere),
            lead_times(now - length.length, now, jurisdiction_ids, newest=RUNS),
        )

    # An id may hold what a cache's key must not.
    which = "" if everywhere else hashlib.sha256("\n".join(jurisdiction_ids).encode()).hexdigest()
    shown = length.step.total_seconds() / _SHOWN
    answer = cache.get_or_set(f"realtime-trends-{name}-{which}", ask, shown)
    found, sooner = cast(tuple[OverTime, list[LeadTime]], answer)
    drawn = [_lag(found), _throughput(found), _waiting(found, queue, received_at)]
    return Trends(name, words, found.until, drawn, sooner)


def _lag(found: OverTime) -> Chart:
    series = [Series("p95", "p95", found.p95), Series("median", "p50", found.p50)]
    p50, p95 = ([value for value in each if value is not None] for each in (found.p50, found.p95))
    said = "Nothing was measured."
    if p50:
        said = f"Median {duration(min(p50))} to {duration(max(p50))}, p95 up to"
        said = f"{said} {duration(max(p95))}."
    drawn = charts.plot(f"Lag. {said}", found.since, found.until, series, axes.durations)
    rows = _rows(
        found,
        [duration(value) for value in found.p50],
        [duration(value) for value in found.p95],
    )
    heading = "Lag, from scraped to visible"
    return Chart("lag", heading, said, drawn, ["Median", "p95"], rows, series)


def _throughput(found: OverTime) -> Chart:
    step = axes.short(found.window.step.total_seconds())
    said = f"{counted(sum(found.files), 'file')}, at most {max(found.files):,} in {step}."
    series = [Series("files", "files", found.files, as_bars=True)]
    drawn = charts.plot(f"Throughput. {said}", found.since, found.until, series)
    rows = _rows(found, [f"{value:,}" for value in found.files])
    heading = f"Throughput, files in {step}"
    return Chart("throughput", heading, said, drawn, ["Files"], rows)


def _waiting(found: OverTime, queue: QueueStatus | None, received_at: datetime | None) -> Chart:
    said = f"At most {max(found.waiting):,} at once"
    ending = None
    if queue is None:
        said = f"{said}. Whose files wait now, the queue does not tell."
    elif queue.depth is None:
        said = f"{said}. How many wait now is unknown."
    else:
        now = queue.depth.visible + queue.depth.in_flight + queue.depth.delayed
        said = f"{said}; {now:,} now."
        if now:
            # Those that wait now came at some time since the oldest of them did.
            since = received_at or found.since
            if queue.oldest_seconds is not None:
                since = found.until - timedelta(seconds=queue.oldest_seconds)
            ending = (min(max(since, found.since), found.until), now)
    series = [Series("waiting", "waiting", found.waiting)]
    title = f"Waiting in the queue. {said}"
    drawn = charts.plot(title, found.since, found.until, series, ending=ending)
    rows = _rows(found, [f"{value:,}" for value in found.waiting])
    return Chart("waiting", "Files waiting in the queue", said, drawn, ["At most"], rows)


def _rows(found: OverTime, *columns: Sequence[str]) -> Sequence[tuple[datetime, Sequence[str]]]:
    """The steps that begin at these times, newest first."""
    step = found.window.step
    rows = enumerate(zip(*columns, strict=True))
    return [(found.since + at * step, values) for at, values in rows][::-1]
