"""How far the receivers of changes are, for the screen and as JSON."""

from datetime import datetime
from typing import Any

from realtime.ledger.receivers import AT_MOST, Progress


def as_dict(one: Progress) -> dict[str, Any]:
    """A receiver as JSON values; README.md documents the keys."""
    row = one.row
    return {
        "name": row.name,
        "address": row.address,
        "cursor": str(one.cursor),
        "behind": one.behind,
        "oldest": _time(one.oldest),
        "delivered": row.delivered,
        "delivered_at": _time(row.delivered_at),
        "failing_since": _time(row.failing_since),
        "failures": row.failures,
        "next_try_at": _time(row.next_try_at),
        "last_error": row.last_error or None,
        "paused_at": _time(row.paused_at),
        "paused_by": row.paused_by or None,
        "pause_reason": row.pause_reason or None,
    }


def as_line(one: Progress) -> str:
    """A receiver as one line: who, where it is, and what is wrong."""
    row = one.row
    return f"{row.name} ({row.address}) at {one.cursor}: {state(one)}"


def state(one: Progress) -> str:
    """How a receiver is, in words."""
    row = one.row
    if not one.behind:
        behind = "has been told of everything"
    else:
        count = f"{one.behind:,}" + ("+" if one.behind == AT_MOST else "")
        behind = f"{count} changes behind, the oldest of {one.oldest:%Y-%m-%d %H:%M}"
    if row.paused_at:
        why = f": {row.pause_reason}" if row.pause_reason else ""
        behind += f"; paused by {row.paused_by} at {row.paused_at:%Y-%m-%d %H:%M}{why}"
    elif row.failing_since:
        behind += f"; failing since {row.failing_since:%Y-%m-%d %H:%M}"
    return behind + (f" ({row.last_error})" if row.last_error else "")


def _time(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
