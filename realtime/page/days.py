"""Charts of a jurisdiction's last 24 hours: files and median lag by hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.safestring import SafeString

from realtime.monitoring.status.lag import Lag
from realtime.page import charts
from realtime.page.words import duration

HOURS = 24


def hours_until(now: datetime) -> list[datetime]:
    """The starts of the last 24 clock hours in UTC, the current hour included, oldest first."""
    last = now.replace(minute=0, second=0, microsecond=0)
    return [last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]


@dataclass(frozen=True)
class Day:
    """Charts of files (`volume`) and median lag by hour, and the number of files of all hours."""

    files: int
    volume: SafeString
    lag: SafeString


def day(hours: Sequence[datetime], found: Sequence[Lag]) -> Day:
    """Draw `found` over `hours`; an hour missing from `found` had no files."""
    by_hour = {one.hour: one for one in found}
    files = [by_hour[hour].files if hour in by_hour else 0 for hour in hours]
    lags = [by_hour[hour].total.p50 if hour in by_hour else None for hour in hours]
    known = [value for value in lags if value is not None]
    between = f"{duration(min(known))} to {duration(max(known))}" if known else "nothing measured"
    return Day(
        sum(files),
        charts.bars(files, f"Files by hour, 24 hours: {sum(files):,}, at most {max(files):,}"),
        charts.line(lags, f"Median lag by hour, 24 hours: {between}"),
    )
