"""Progress of a command: on the terminal, elsewhere in the log."""

import logging
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from django.core.management.base import OutputWrapper

logger = logging.getLogger(__name__)

# Seconds from one sign of progress to the next, on a terminal and elsewhere.
_LIVE, _NOW_AND_THEN = 0.2, 10.0
# The cursor stays at the start of the line, so that what is logged meanwhile is written over it.
_ERASE, _START = "\r\033[K", "\r"


class Progress:
    """Shows how far a command is: on a terminal one line, which is written over and is gone at the
    end; elsewhere `stream` is the log, which gets a line every 10 seconds. Thread-safe."""

    def __init__(self, stream: OutputWrapper) -> None:
        self._stream = stream
        self._on_terminal = stream.isatty()
        self._interval = _LIVE if self._on_terminal else _NOW_AND_THEN
        self._next = time.monotonic() + self._interval
        self._is_shown = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.erase()

    def __call__(self, done: int, total: int) -> None:
        """So many files of so many are done."""
        self.show(f"{done} of {total} files")

    def counts(self, step: str, counts: Mapping[str, int]) -> None:
        """The step is under way and has come to these counts."""
        told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        self.show(f"{step}: {told}" if told else step)

    def show(self, text: str) -> None:
        """Show `text`, unless another was shown right before."""
        with self._lock:
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + self._interval
            if not self._on_terminal:
                logger.info("in progress", extra={"action": "progress", "done": text})
                return
            self._is_shown = True
            self._write(f"{_ERASE}{text}{_START}")

    def erase(self) -> None:
        """Take the line off the terminal, for other text to come."""
        with self._lock:
            if self._is_shown:
                self._is_shown = False
                self._write(_ERASE)

    def _write(self, text: str) -> None:
        # In no style: standard error's is that of errors.
        self._stream.write(text, str, ending="")
        self._stream.flush()
