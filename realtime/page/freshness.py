"""How fresh what one sees of a jurisdiction is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from realtime.monitoring.status.lag import Lag
from realtime.monitoring.status.run_states import RunState, State

# Seconds from scraped to visible that nineteen of twenty files keep to.
FRESH, SLOW = 10 * 60, 60 * 60
# Hours at the end of the window in which something must have come, to speak of now.
_RECENT = timedelta(hours=3)
# A scrape that goes on, and of which nothing has come for so long, has died or hangs.
_SILENCE = timedelta(hours=2)


class Freshness(Enum):
    """What an operator should think of a jurisdiction: a word, and a sign beside the colour."""

    FRESH = ("fresh", "Fresh", "●")
    SLOW = ("slow", "Slow", "▲")
    BEHIND = ("behind", "Behind", "■")
    STALLED = ("stalled", "Stalled", "■")
    QUIET = ("quiet", "Quiet", "○")

    def __init__(self, slug: str, word: str, sign: str) -> None:
        self.slug, self.word, self.sign = slug, word, sign


@dataclass(frozen=True)
class Latest:
    """The newest hour in which anything was measured, and what that means."""

    freshness: Freshness
    lag: Lag | None


def latest(hours: Sequence[Lag], runs: Sequence[RunState], now: datetime) -> Latest:
    """Judge by the hours of a day, in order, and the runs that are not over.

    Nineteen of twenty files within ten minutes are fresh, within an hour slow, later behind.
    """
    measured = [hour for hour in hours if hour.measured and hour.total.p95 is not None]
    lag = measured[-1] if measured else None
    goes_on = [run for run in runs if run.state == State.OPEN]
    if any((run.newest or run.run.started_at) < now - _SILENCE for run in goes_on):
        return Latest(Freshness.STALLED, lag)
    if lag is None or lag.hour is None or lag.total.p95 is None or lag.hour < now - _RECENT:
        return Latest(Freshness.QUIET, lag)
    if lag.total.p95 <= FRESH:
        return Latest(Freshness.FRESH, lag)
    return Latest(Freshness.SLOW if lag.total.p95 <= SLOW else Freshness.BEHIND, lag)
