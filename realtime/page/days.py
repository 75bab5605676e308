"""The last 24 hours of a jurisdiction, drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.safestring import SafeString

from realtime.monitoring.status.lag import Lag
from realtime.page import charts
from realtime.page.words import duration

HOURS = 24


def hours_until(now: datetime) -> list[datetime]:
    """The beginnings of the last 24 hours by the clock, the one under way included; UTC."""
    last = now.replace(minute=0, second=0, microsecond=0)
    return [last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]


@dataclass(frozen=True)
class Day:
    """Files and median lag by the hour, as charts; all files of the day, and those of the busiest
    hour."""

    files: int
    busiest: int
    volume: SafeString
    lag: SafeString


def day(hours: Sequence[datetime], found: Sequence[Lag], height: int = charts.NARROW) -> Day:
    """Draw what was found of these hours; an hour that is missing had no files."""
    by_hour = {one.hour: one for one in found}
    files = [by_hour[hour].files if hour in by_hour else 0 for hour in hours]
    lags = [by_hour[hour].total.p50 if hour in by_hour else None for hour in hours]
    known = [value for value in lags if value is not None]
    between = f"{duration(min(known))} to {duration(max(known))}" if known else "nothing measured"
    return Day(
        sum(files),
        max(files),
        charts.bars(
            files, f"Files by hour, 24 hours: {sum(files):,}, at most {max(files):,}", height
        ),
        charts.line(lags, f"Median lag by hour, 24 hours: {between}", height),
    )
