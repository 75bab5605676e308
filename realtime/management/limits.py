"""Numeric limits given as options: positive numbers, and deadlines."""

import time
from argparse import ArgumentTypeError
from collections.abc import Callable

# The share of the time limit kept for acknowledging and releasing after the last file.
_WIND_DOWN = 0.1


def positive(text: str) -> int:
    """Parse a whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def deadline(limit: int | None) -> Callable[[], bool]:
    """A function that is true once 90 % of `limit` seconds have passed since this call.

    None means no limit. The rest of the time is for finishing what has begun.
    """
    end = time.monotonic() + limit * (1 - _WIND_DOWN) if limit else None
    return lambda: end is not None and time.monotonic() > end
