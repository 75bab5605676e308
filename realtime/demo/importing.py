"""The two ways in which the demo imports while it scrapes."""

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from django.conf import settings

from realtime.demo import figures
from realtime.demo.commands import Commands
from realtime.demo.process import Process
from realtime.devstack import DevStack
from realtime.domain.errors import RealtimeError

# Seconds between import runs; in production it is a minute or more.
IMPORT_EVERY = 2.0
# Seconds in which all must be imported after the scrape.
_EMPTY_WITHIN = 30.0
_NOTABLE = ("deferred", "resumed", "failed")
_VISIBLE = {"bill": "bills", "vote_event": "vote events", "event": "events"}

Tell = Callable[[str], None]
Told = Callable[[Mapping[str, int]], None]


class DemoFailed(RealtimeError):
    """The demo failed; the message says why."""


class Importing(Protocol):
    """Imports what was published, and tells of it."""

    def while_scraping(self, progress: Told) -> None:
        """Called again and again while the scrape runs."""

    def settle(self) -> None:
        """Return when all that was published is imported, or raise DemoFailed."""

    def waiting(self) -> int:
        """The number of messages or files that are left to import."""

    def stop(self) -> None:
        """End what runs. Repeatable."""


class ByTurns:
    """An import run every IMPORT_EVERY seconds, as by cron, from the queue."""

    def __init__(self, commands: Commands, stack: DevStack, tell: Tell) -> None:
        self._commands = commands
        self._stack = stack
        self._tell = tell
        self._due = time.monotonic() + IMPORT_EVERY
        self._runs = 0

    def while_scraping(self, progress: Told) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + IMPORT_EVERY
            progress(self._import())

    def settle(self) -> None:
        self._commands("import_realtime", "--until-empty")
        deadline = time.monotonic() + _EMPTY_WITHIN
        while self.waiting() or self._commands.call(figures.parked):
            if time.monotonic() > deadline:
                raise DemoFailed("the queue did not become empty")
            self._commands("import_realtime", "--until-empty")

    def waiting(self) -> int:
        return figures.waiting(self._stack)

    def stop(self) -> None:
        """Nothing runs between its turns."""

    def _import(self, *arguments: str) -> dict[str, int]:
        report = self._commands("import_realtime", *arguments)
        visible = self._commands.call(figures.visible)
        self._runs += 1
        notable = "".join(f", {report[name]} {name}" for name in _NOTABLE if report[name])
        told = f"import {self._runs}: {report['received']} files{notable};"
        self._tell(f"{told} visible: {as_list(visible)}")
        return visible


class Following:
    """A process that follows the store's root; there is no queue."""

    def __init__(self, commands: Commands, folder: Path, tell: Tell) -> None:
        self._commands = commands
        self._tell = tell
        self._told = ""
        self._process = Process(folder, "import_realtime", "--follow")

    def while_scraping(self, progress: Told) -> None:
        visible = self._commands.call(figures.visible)
        progress(visible)
        if (told := as_list(visible)) != self._told:
            self._told = told
            self._tell(f"visible: {told}")

    def settle(self) -> None:
        deadline = time.monotonic() + _EMPTY_WITHIN
        while self.waiting() or self._commands.call(figures.unfinished):
            if time.monotonic() > deadline or self._process.status is not None:
                raise DemoFailed(f"not all was imported; the log's end:\n{self._process.tail()}")
            time.sleep(0.2)

    def waiting(self) -> int:
        return self._commands.call(lambda: figures.left_in(settings.REALTIME))

    def stop(self) -> None:
        self._process.stop(signal.SIGTERM)


def as_list(visible: Mapping[str, int]) -> str:
    """What is visible, in words."""
    return ", ".join(f"{visible[name]} {label}" for name, label in _VISIBLE.items())
