"""Durations as operators read them."""


def short_duration(seconds: float) -> str:
    """Seconds in the unit that suits: `42 s`, `3 min`, `2.5 h`, `4.0 d`; negative with a minus."""
    if seconds < 0:
        return f"-{short_duration(-seconds)}"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"
