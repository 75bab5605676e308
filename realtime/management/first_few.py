"""Lines of a command about single files: of each kind only the first few."""

from collections import Counter
from collections.abc import Callable

from realtime.process.logs import FEW


class FirstFew:
    """Passes on the first FEW lines of each kind, or with `every` all of them, to `write`; `rest`
    then tells how many there were."""

    def __init__(self, write: Callable[[str], object], *, every: bool = False) -> None:
        self._write = write
        self._every = every
        self._seen: Counter[str] = Counter()

    def __call__(self, line: str, kind: str = "") -> bool:
        """Whether the line was passed on."""
        self._seen[kind] += 1
        if not self._every and self._seen[kind] > FEW:
            return False
        self._write(line)
        return True

    def rest(self, remedy: str = "") -> None:
        """Say how many lines were left out of each kind; `remedy` says how to see them."""
        if self._every:
            return
        for kind, count in self._seen.most_common():
            if count > FEW:
                like = f" {kind}" if kind else ""
                self._write(f"… and {count - FEW} more{like}{remedy}")
