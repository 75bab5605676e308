"""How many bytes of files are held at once."""

import threading
from collections.abc import Iterable

# The share of the room that is kept for a file whose size is not known yet.
_UNKNOWN = 64


def fitting(sizes: Iterable[int], most: int) -> int:
    """How many files of these sizes, from the first on, are at most `most` bytes; at least one."""
    held = count = 0
    for size in sizes:
        held += size
        if count and held > most:
            break
        count += 1
    return count


class Room:
    """Room for `most` bytes of files, which threads take. A file larger than that gets it alone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()
        self._full = threading.Event()
        self.unknown = max(most // _UNKNOWN, 1)

    @property
    def full(self) -> bool:
        """Whether a file did not fit: the others are left too, for another time."""
        return self._full.is_set()

    def change(self, before: int, after: int) -> bool:
        """Take room for `after` bytes in place of the `before` that this file has taken already.
        False, and nothing taken for it any more, when it does not fit."""
        with self._lock:
            self._taken -= before
            fits = self._taken + after <= self._most or not self._taken
            if fits:
                self._taken += after
            else:
                self._full.set()
            return fits
