"""The interface of the demo's views, and the plain one."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

Row = Sequence[str | int]
Progress = Callable[[Mapping[str, int]], None]


class View(Protocol):
    """What the demo calls to show its progress."""

    def title(self, text: str) -> None:
        """Show the heading of what follows."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """Show a step that lasts as long as the block."""

    def say(self, text: str) -> None:
        """Show an event."""

    def problem(self, text: str) -> None:
        """Show an error."""

    def watch(self, totals: Mapping[str, int]) -> AbstractContextManager[Progress]:
        """Show progress towards each of `totals` within the block, which passes the counts to the
        Progress it is given."""

    def table(self, title: str, header: Sequence[str], rows: Sequence[Row]) -> None:
        """Show a table; its first column is text, the others are right-aligned."""

    def code(self, title: str, lines: Sequence[str]) -> None:
        """Show commands to type."""


class PlainView:
    """Writes plain lines, for pipes, log files and screen readers."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()

    def title(self, text: str) -> None:
        self._write(f"\n{text}")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.say(f"{text} …")
        yield

    def say(self, text: str) -> None:
        self._write(f"[{time.monotonic() - self._started:5.1f} s] {text}")

    def problem(self, text: str) -> None:
        self._write(text)

    @contextmanager
    def watch(self, totals: Mapping[str, int]) -> Iterator[Progress]:
        # The line of each import run has the same figures as a terminal's progress bars.
        yield lambda done: None

    def table(self, title: str, header: Sequence[str], rows: Sequence[Row]) -> None:
        lines = [[str(cell) for cell in row] for row in (header, *rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        self.title(title)
        for line in lines:
            first, *others = [
                cell.rjust(width) if index else cell.ljust(width)
                for index, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            self._write("  ".join(["", first, *others]).rstrip())

    def code(self, title: str, lines: Sequence[str]) -> None:
        self.title(title)
        for line in lines:
            self._write(f"  {line}")

    def _write(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
