"""What the commands share: limits given as arguments."""

import time
from argparse import ArgumentTypeError
from collections.abc import Callable

# Acknowledging and releasing must fit between the last file and the limit.
_WIND_DOWN = 0.1


def positive(text: str) -> int:
    """An argument that is a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def deadline(limit: int | None) -> Callable[[], bool]:
    """Whether nothing more should be begun, `limit` seconds (None: never) after this call."""
    end = time.monotonic() + limit * (1 - _WIND_DOWN) if limit else None
    return lambda: end is not None and time.monotonic() > end
