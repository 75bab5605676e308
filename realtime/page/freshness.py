"""How fresh a jurisdiction's data is, in one word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from realtime.monitoring.status.lag import Lag
from realtime.monitoring.status.run_states import RunState, State

# Upper limits of the p95 lag, in seconds.
FRESH, SLOW = 10 * 60, 60 * 60
# A jurisdiction with no measured file for this long is quiet.
_QUIET_AFTER = timedelta(hours=3)
# An open run with no import for this long is stalled: its scraper has died or hangs.
_STALLED_AFTER = timedelta(hours=2)


class Freshness(Enum):
    """The verdict on a jurisdiction: a CSS class, a word, and a sign that needs no colour."""

    FRESH = ("fresh", "Fresh", "●")
    SLOW = ("slow", "Slow", "▲")
    BEHIND = ("behind", "Behind", "■")
    STALLED = ("stalled", "Stalled", "■")
    QUIET = ("quiet", "Quiet", "○")

    def __init__(self, slug: str, word: str, sign: str) -> None:
        self.slug, self.word, self.sign = slug, word, sign


@dataclass(frozen=True)
class Latest:
    """The verdict, and the newest hour with a measured lag (None: none in 24 hours)."""

    freshness: Freshness
    lag: Lag | None


def latest(hours: Sequence[Lag], runs: Sequence[RunState], now: datetime) -> Latest:
    """Judge a jurisdiction by its lags by hour, oldest first, and its unfinished runs.

    Stalled: an open run has imported nothing for 2 hours. Quiet: no hour that began in the last 3
    hours has a measured lag. Else by the p95 lag of the newest hour: fresh up to 10 minutes, slow
    up to 1 hour, behind beyond that.
    """
    measured = [hour for hour in hours if hour.measured and hour.total.p95 is not None]
    lag = measured[-1] if measured else None
    open_runs = [run for run in runs if run.state == State.OPEN]
    if any((run.newest or run.run.started_at) < now - _STALLED_AFTER for run in open_runs):
        return Latest(Freshness.STALLED, lag)
    if lag is None or lag.hour is None or lag.total.p95 is None or lag.hour < now - _QUIET_AFTER:
        return Latest(Freshness.QUIET, lag)
    if lag.total.p95 <= FRESH:
        return Latest(Freshness.FRESH, lag)
    return Latest(Freshness.SLOW if lag.total.p95 <= SLOW else Freshness.BEHIND, lag)
