"""Times in a few words."""

from datetime import timedelta

from realtime.monitoring.status.staleness import minutes

NOTHING = "\N{EN DASH}"


def duration(seconds: float | timedelta | None) -> str:
    """As `status_realtime` says it: `42 s`, `3 min`, `2.5 h`; a dash for nothing."""
    if seconds is None:
        return NOTHING
    return minutes(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
