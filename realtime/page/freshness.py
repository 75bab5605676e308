"""The state of a jurisdiction's data, in one word and a few more that say why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from realtime.monitoring.status.lag import Lag, newest_lag
from realtime.monitoring.verdict.finding import Finding, Kind, Level
from realtime.monitoring.verdict.judgement import Limits
from realtime.page.words import duration

# A jurisdiction without an import for this long is quiet.
_QUIET_AFTER = timedelta(hours=3)


class Freshness(Enum):
    """The states, worst first: each a CSS class, a word, and a sign that needs no colour. Those
    down to FAILED are findings of the verdict.

    - FAILING: so many files fail that the verdict is bad
    - BEHIND: the p95 lag of the newest hour is too long
    - STALLED: a run is open, and nothing was imported for too long
    - PAUSED: its files are parked instead of imported
    - UNFINISHED: a run ended long ago, and something keeps it from being final
    - WAITING: nobody takes what waits in the queue or the store, which may be its files
    - FAILED: files have failed that nobody has retried or discarded
    - SLOW: the p95 lag of the newest hour is long
    - BACKFILL: files came in during the last three hours, all of them scraped long before, or
      retried
    - FRESH: the p95 lag of the newest hour is short
    - SAME: files came in during the last three hours, and none changed anything
    - QUIET: nothing was imported in the last three hours
    """

    FAILING = ("failing", "Failing", "■")
    BEHIND = ("behind", "Behind", "■")
    STALLED = ("stalled", "Stalled", "■")
    PAUSED = ("paused", "Paused", "▮▮")
    UNFINISHED = ("unfinished", "Unfinished", "▲")
    WAITING = ("waiting", "Waiting", "▲")
    FAILED = ("failed", "Failed files", "▲")
    SLOW = ("slow", "Slow", "▲")
    BACKFILL = ("backfill", "Backfill", "●")
    FRESH = ("fresh", "Fresh", "●")
    SAME = ("same", "No changes", "○")
    QUIET = ("quiet", "Quiet", "○")

    def __init__(self, slug: str, word: str, sign: str) -> None:
        self.slug, self.word, self.sign = slug, word, sign

    @property
    def place(self) -> int:
        """Its place in the list of states: the worst has the lowest."""
        return list(Freshness).index(self)


_STATES = {
    Kind.FAILING: Freshness.FAILING,
    Kind.LAG: Freshness.BEHIND,
    Kind.STALLED: Freshness.STALLED,
    Kind.BREAKER: Freshness.PAUSED,
    Kind.PAUSED: Freshness.PAUSED,
    Kind.BROKEN_RUN: Freshness.UNFINISHED,
    Kind.NOT_FINAL: Freshness.UNFINISHED,
    Kind.NOBODY: Freshness.WAITING,
    Kind.BEHIND: Freshness.WAITING,
    Kind.FAILED: Freshness.FAILED,
}


@dataclass(frozen=True)
class Facts:
    """What a jurisdiction is judged by.

    `imported_at` is when its newest file was imported, `hours` its lags by hour, oldest first,
    `findings` those of the verdict on it, those that concern all included.
    """

    imported_at: datetime | None
    hours: Sequence[Lag]
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Latest:
    """The state, why it is that, and the newest hour with a measured lag (None: none in 24
    hours)."""

    freshness: Freshness
    why: str
    lag: Lag | None


def latest(facts: Facts, limits: Limits, now: datetime) -> Latest:
    """Judge a jurisdiction: the worst of the states that are true of it."""
    measured = [hour for hour in facts.hours if hour.measured and hour.total.p95 is not None]
    return Latest(*_state(facts, limits, now), measured[-1] if measured else None)


def _state(facts: Facts, limits: Limits, now: datetime) -> tuple[Freshness, str]:
    found = [(state, one) for one in facts.findings if (state := _state_of(one))]
    if found:
        state, worst = min(found, key=lambda each: each[0].place)
        return state, worst.why or worst.sentence
    newest = newest_lag(facts.hours, now)
    if newest and newest.total.p95 is not None:
        slow = newest.total.p95 > limits.slow.total_seconds()
        why = f"p95 lag {duration(newest.total.p95)}"
        return (Freshness.SLOW if slow else Freshness.FRESH), why
    if facts.imported_at is None or facts.imported_at < now - _QUIET_AFTER:
        return Freshness.QUIET, ""
    if any(hour.hour and hour.hour >= now - _QUIET_AFTER for hour in facts.hours):
        return Freshness.BACKFILL, "files that were scraped long ago, or retried"
    return Freshness.SAME, "what came in changed nothing"


def _state_of(one: Finding) -> Freshness | None:
    if one.level == Level.LOOK and one.kind == Kind.NOBODY:
        # Nothing waits.
        return None
    if one.level == Level.LOOK and one.kind == Kind.FAILING:
        return Freshness.FAILED
    return _STATES.get(one.kind)
