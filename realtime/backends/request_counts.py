"""Counts the requests that this process makes to stores and queue, by their providers' names.

A folder is asked nothing.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_made: Counter[str] = Counter()


def count(operation: str) -> None:
    """A request is made: `operation` is AWS's or Google's name for it, such as `GetObject` or
    `storage.objects.get`, whatever makes it.

    A request that is repeated after a transient error counts once. Thread-safe.
    """
    with _lock:
        _made[operation] += 1


@contextmanager
def counted_into(counts: Counter[str]) -> Iterator[None]:
    """Add to `counts`, when the block ends, the requests that the process has made during it, in
    whatever thread."""
    with _lock:
        before = _made.copy()
    try:
        yield
    finally:
        with _lock:
            counts.update(_made - before)
