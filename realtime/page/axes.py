"""Where an axis has its ticks, and what stands there."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Steps that people count in, in seconds, up to a day.
_DURATIONS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * n for n in (1, 2, 3, 6, 12)),
    _DAY,
)
# At most so many steps on a vertical axis.
_STEPS = 4


def counts(highest: float) -> list[tuple[float, str]]:
    """Ticks of numbers from 0 to at least `highest`, each with its label; the last is the top."""
    step = _round(highest / _STEPS)
    return [(tick, _number(tick)) for tick in _up_to(step, highest)]


def durations(highest: float) -> list[tuple[float, str]]:
    """Like `counts`, for seconds."""
    least = highest / _STEPS
    in_days = _round(least / _DAY) * _DAY
    step = next((one for one in _DURATIONS if one >= least), in_days)
    return [(tick, short(tick)) for tick in _up_to(step, highest)]


def times(since: datetime, until: datetime) -> Iterator[tuple[datetime, str]]:
    """Ticks of a period at round times in UTC, each with its label."""
    length = until - since
    if length <= timedelta(hours=1):
        step, form = timedelta(minutes=15), "%H:%M"
    elif length <= timedelta(days=1):
        step, form = timedelta(hours=6), "%H:%M"
    else:
        step, form = timedelta(days=1), "%a %d"
    tick = since + (_EPOCH - since) % step
    while tick <= until:
        yield tick, f"{tick:{form}}"
        tick += step


def _up_to(step: float, highest: float) -> Iterator[float]:
    tick = 0.0
    yield tick
    while tick < highest or not tick:
        tick += step
        yield tick


def _round(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, … that is not below `least`."""
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor >= least:
                return step * factor
        step *= 10


def _number(number: float) -> str:
    if number >= 1_000_000:
        return f"{number / 1_000_000:g}M"
    return f"{number / 1000:g}k" if number >= 10_000 else f"{number:,.0f}"


def short(seconds: float) -> str:
    """A round number of seconds, minutes, hours or days."""
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= length:
            return f"{seconds / length:g} {unit}"
    return f"{seconds:g} s" if seconds else "0"
