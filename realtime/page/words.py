"""Times and figures in a few words."""

from datetime import timedelta

NOTHING = "\N{EN DASH}"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | timedelta | None) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`; a dash for nothing."""
    if seconds is None:
        return NOTHING
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    whole = max(round(seconds), 0)
    for at, (size, unit) in enumerate(_UNITS):
        if whole >= size or size == 1:
            count, rest = divmod(whole, size)
            # Seconds say nothing beside hours, nor beside many minutes.
            if at + 1 < len(_UNITS) and (size != 60 or count < 10):
                smaller, name = _UNITS[at + 1]
                if rest // smaller:
                    return f"{count} {unit} {rest // smaller} {name}"
            return f"{count} {unit}"
    raise AssertionError("a second is the smallest unit")
