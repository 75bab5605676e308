"""Durations as text."""

from datetime import timedelta

from realtime.monitoring.status.durations import short_duration

NOTHING = "\N{EN DASH}"


def duration(seconds: float | timedelta | None) -> str:
    """As `status_realtime` writes it: `42 s`, `3 min`, `2.5 h`; a dash for None."""
    if seconds is None:
        return NOTHING
    return short_duration(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
