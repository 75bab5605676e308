"""Input and output of the oracle: scraped files, runs, and files that core refuses."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# In the order of core's batch import; people are loaded before it.
TYPES = ("person", "jurisdiction", "bill", "vote_event", "event")


@dataclass(frozen=True)
class ScrapedFile:
    """One file. `ticks` is its place in the scrape order, in units of 100 ns as in UUIDv1."""

    object_type: str
    body: str
    ticks: int

    def content(self) -> dict[str, Any]:
        """A new copy of its content, which core may modify."""
        data: dict[str, Any] = json.loads(self.body)
        return data

    @cached_property
    def id(self) -> str:
        data = self.content()
        found: str = data["id" if self.object_type == "person" else "_id"]
        return found

    @property
    def order(self) -> tuple[int, str]:
        return self.ticks, self.id


@dataclass(frozen=True)
class Run:
    """One scrape run, started at `started` ticks. `deletes` is False for a closed one, `final`
    for one that never ends."""

    started: int
    files: Sequence[ScrapedFile]
    deletes: bool = True
    final: bool = True


@dataclass(frozen=True)
class Refused:
    """A file for which core raises. `unresolved`: because something it refers to is missing."""

    id: str
    why: str
    unresolved: bool


def in_order(files: Iterable[ScrapedFile], object_type: str) -> list[ScrapedFile]:
    """The files of one type, in scrape order."""
    return sorted((f for f in files if f.object_type == object_type), key=lambda f: f.order)


def read(paths: Iterable[Path]) -> list[ScrapedFile]:
    """The scraped files at `paths`, without those that core's import never reads."""
    files = []
    for path in paths:
        object_type = next((name for name in TYPES if path.name.startswith(f"{name}_")), None)
        if object_type and path.suffix == ".json":
            body = path.read_text()
            files.append(ScrapedFile(object_type, body, ticks(json.loads(body))))
    return files


def contents(paths: Iterable[Path], object_type: str) -> list[dict[str, Any]]:
    """The contents of the files of one type, in scrape order."""
    return [file.content() for file in in_order(read(paths), object_type)]


def ticks(data: dict[str, Any]) -> int:
    """The time in the `_id` of a scraped object, 0 without one."""
    try:
        return uuid.UUID(data["_id"]).time
    except (KeyError, ValueError):
        return 0
