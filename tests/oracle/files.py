"""What the oracle is given, scraped files in scrape order, and what it has to say of some."""

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# As core's batch import takes them; people are loaded before all of it.
TYPES = ("person", "jurisdiction", "bill", "vote_event", "event")


@dataclass(frozen=True)
class ScrapedFile:
    """One file. `ticks` is its place in the scrape order, in the units of a UUIDv1."""

    object_type: str
    body: str
    ticks: int

    def content(self) -> dict[str, Any]:
        """What it holds, for core to change."""
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
    """One scrape run. `deletes` is False for one that was closed before it was complete."""

    started: int
    files: Sequence[ScrapedFile]
    deletes: bool = True


@dataclass(frozen=True)
class Refused:
    """A file that core raises for; `unresolved` when it is for want of what the file names."""

    id: str
    why: str
    unresolved: bool


def in_order(files: Iterable[ScrapedFile], object_type: str) -> list[ScrapedFile]:
    """The files of one type, in scrape order."""
    return sorted((f for f in files if f.object_type == object_type), key=lambda f: f.order)


def read(paths: Iterable[Path]) -> list[ScrapedFile]:
    """The scraped files at `paths`; what core's import never reads is left out."""
    files = []
    for path in paths:
        object_type = next((name for name in TYPES if path.name.startswith(f"{name}_")), None)
        if object_type and path.suffix == ".json":
            body = path.read_text()
            files.append(ScrapedFile(object_type, body, _ticks(json.loads(body))))
    return files


def contents(paths: Iterable[Path], object_type: str) -> list[dict[str, Any]]:
    """What the files of one type hold, in scrape order."""
    return [file.content() for file in in_order(read(paths), object_type)]


def _ticks(data: dict[str, Any]) -> int:
    try:
        return uuid.UUID(data["_id"]).time
    except (KeyError, ValueError):
        return 0
