"""How the demo shows what it does: plain lines, wherever they go."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TextIO

Row = Sequence[str | int]
Progress = Callable[[Mapping[str, int]], None]


class View(Protocol):
    """What the demo tells, whoever shows it."""

    def title(self, text: str) -> None:
        """What follows."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """Something that takes a moment, for as long as the block runs."""

    def say(self, text: str) -> None:
        """Something that has happened."""

    def problem(self, text: str) -> None:
        """Something that has gone wrong."""

    def watch(self, totals: Mapping[str, int]) -> AbstractContextManager[Progress]:
        """Show, while the block runs, how far each of `totals` is; the block tells."""

    def table(self, title: str, header: Sequence[str], rows: Sequence[Row]) -> None:
        """Figures; the first column is text."""

    def code(self, title: str, lines: Sequence[str]) -> None:
        """Commands to type."""


class PlainView:
    """Writes lines that a pipe, a log file or a screen reader can make sense of."""

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
        # What the bars of a terminal show is also in the line that each import run gets.
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
