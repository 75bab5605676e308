"""The demo's view for terminals: colours, a spinner and progress bars."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table

from realtime.demo.view import Progress, Row


class TerminalView:
    """Shows the demo with Rich; lines scroll above the progress bars."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._started = time.monotonic()

    def title(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/]")

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        started = time.monotonic()
        with self._console.status(escape(text)):
            yield
        took = f"{time.monotonic() - started:.1f} s"
        self._console.print(f" [green]✓[/] {escape(text)} [dim]{took}[/]")

    def say(self, text: str) -> None:
        clock = f"{time.monotonic() - self._started:5.1f} s"
        # A grid, so that a long line wraps below its text, not below the clock.
        line = Table.grid(padding=(0, 2, 0, 1))
        line.add_column(no_wrap=True)
        line.add_row(f"[dim]{clock}[/]", escape(text))
        self._console.print(line)

    def problem(self, text: str) -> None:
        self._console.print(f"[red]{escape(text)}[/]")

    @contextmanager
    def watch(self, totals: Mapping[str, int]) -> Iterator[Progress]:
        bars = Bars(
            TextColumn("  {task.description:<20}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            console=self._console,
        )
        with bars:
            tasks = {name: bars.add_task(name, total=total) for name, total in totals.items()}

            def show(done: Mapping[str, int]) -> None:
                for name, count in done.items():
                    bars.update(tasks[name], completed=count)

            yield show

    def table(self, title: str, header: Sequence[str], rows: Sequence[Row]) -> None:
        self.title(title)
        table = Table(box=SIMPLE_HEAD, show_edge=False)
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index else "left")
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        self._console.print(table)

    def code(self, title: str, lines: Sequence[str]) -> None:
        self.title(title)
        for line in lines:
            self._console.print(f"  [cyan]{escape(line)}[/]")
