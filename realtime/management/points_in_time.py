"""Places in the change log given as options: a cursor, a time, or how long ago it is."""

import re
from datetime import UTC, datetime, timedelta

from realtime.domain.errors import ConfigurationError
from realtime.ledger import changes
from realtime.ledger.changes import Cursor
from realtime.ledger.files import database_now

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_time(text: str, now: datetime) -> datetime:
    """The aware time that `text` says: ISO 8601 (of UTC where it names no zone), or how long before
    `now`: `90m`, `24h`, `3d`. Raises ConfigurationError for any other text."""
    wrong = ConfigurationError(
        f"{text!r} is no time: write 2026-01-31, 2026-01-31T08:00Z, or 90m, 24h, 3d ago"
    )
    try:
        if ago := re.fullmatch(r"(\d{1,9})([mhd])", text, re.ASCII):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as exc:
        raise wrong from exc


def parse_place(option: str, text: str) -> Cursor:
    """The place in the change log that an option says. Raises ConfigurationError for what is none,
    and for a cursor of another database."""
    if Cursor.is_one(text):
        cursor = Cursor.parse(text)
        changes.end(cursor)
        return cursor
    try:
        return changes.at(parse_time(text, database_now()))
    except ConfigurationError as exc:
        raise ConfigurationError(f"{option}: {text!r} is no cursor (7131-42), and {exc}") from exc
