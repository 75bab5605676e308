"""Existing files on disk: a folder scraped by core, and people's YAML."""

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import yaml

from realtime.domain import scraped_object
from realtime.domain.errors import PoisonMessage, RealtimeError
from realtime.producer.producer import File

PEOPLE_FOLDERS = ("executive", "legislature", "retired")
# Entries of the people repository that hold no people.
NOT_PEOPLE = ("committees", "municipalities", "municipalities.yml")

_SCRAPED = re.compile(rf"(?P<type>{'|'.join(scraped_object.OBJECT_TYPES)})_(?P<id>.+)\.json")
_YAML = (".yml", ".yaml")


class NotPublishable(RealtimeError):
    """A path is not a publishable file, or holds none."""


@dataclass(frozen=True)
class Existing:
    """A file on disk. `ticks` is the time of the UUIDv1 in its name, in its units of 100 ns; None
    without one."""

    path: Path
    object_type: str
    ticks: int | None = None


@dataclass(frozen=True)
class Found:
    """The files found, sorted by name, and the entries skipped."""

    files: list[Existing]
    skipped: list[Path]


def find(path: Path) -> Found:
    """The files to publish at `path`: one file, a folder of scraped files, or a folder of people.

    A folder of people is one of PEOPLE_FOLDERS or a jurisdiction's folder that contains some.
    Raises NotPublishable when nothing can be published.
    """
    if path.is_file():
        existing = _existing(path)
        if existing is None:
            raise NotPublishable(f"{path} is neither {{type}}_{{id}}.json nor a person's YAML")
        return Found([existing], [])
    if not path.is_dir():
        raise NotPublishable(f"{path} does not exist")
    files: list[Existing] = []
    skipped: list[Path] = []
    # By name, which paths of one folder are sorted by too: comparing paths takes longer.
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name):
        if entry.name in PEOPLE_FOLDERS and entry.is_dir():
            inner = _people(entry)
            files += inner.files
            skipped += inner.skipped
        elif (existing := _existing(entry)) is not None and entry.is_file():
            files.append(existing)
        else:
            skipped.append(entry)
    if not files:
        raise NotPublishable(f"{path} holds no scraped files and no people")
    return Found(files, skipped)


def read(existing: Existing, stamp: datetime | None) -> tuple[File, int | None]:
    """The file to publish, and the ticks of the UUIDv1 in its `_id`, or None.

    `scraped_at` is the first that exists of: the time in the file, the time in its `_id`, `stamp`,
    the file's modification time. For people `stamp` is the current time. Raises NotPublishable when
    the file cannot be read, or its content does not match its name.
    """
    try:
        content = existing.path.read_bytes()
        if existing.path.suffix in _YAML:
            content = person_json(content)
        if existing.object_type == "person":
            stamp = datetime.now(UTC)
        stamp = stamp or datetime.fromtimestamp(existing.path.stat().st_mtime, UTC)
        found = scraped_object.read(existing.object_type, content, stamp)
    except (OSError, PoisonMessage, NotPublishable) as exc:
        raise NotPublishable(f"{existing.path}: {exc}") from exc
    file = File(existing.object_type, found.scrape_id, content, found.scraped_at.astimezone(UTC))
    return file, found.order.ticks if found.order.ticks != found.order.stamp_ticks else None


def jurisdiction_id(existing: Existing) -> str:
    """The id of the jurisdiction that a scraped file names as its own; empty when it names none,
    is a person's, or cannot be read."""
    if existing.object_type == "person":
        return ""
    try:
        body = existing.path.read_bytes()
        return scraped_object.read(existing.object_type, body, datetime.now(UTC)).jurisdiction_id
    except (OSError, PoisonMessage):
        return ""


def earliest(files: list[Existing]) -> dict[Path, datetime]:
    """By folder, the earliest time in its files' names: when its scrape began."""
    first: dict[Path, int] = {}
    for file in files:
        if file.ticks is not None:
            first[file.path.parent] = min(file.ticks, first.get(file.path.parent, file.ticks))
    return {folder: scraped_object.time_of(ticks) for folder, ticks in first.items()}


def person_json(content: bytes) -> bytes:
    """One person's YAML as JSON, from which core's Person loads the same values.

    Raises NotPublishable when it is not YAML or not a person.
    """
    from openstates.models.people import Person

    try:
        body = yaml_json(content)
        Person(**json.loads(body))
    except (yaml.YAMLError, ValueError, TypeError) as exc:
        raise NotPublishable(f"not a person: {exc}") from exc
    return body


def yaml_json(content: bytes) -> bytes:
    """YAML as JSON, with dates in ISO 8601. Raises YAMLError, ValueError or TypeError."""
    return json.dumps(yaml.safe_load(content), default=_date).encode()


def _people(folder: Path) -> Found:
    entries = sorted(folder.iterdir())
    files = [found for entry in entries if (found := _existing(entry)) is not None]
    return Found(files, [entry for entry in entries if _existing(entry) is None])


def _existing(path: Path) -> Existing | None:
    if path.suffix in _YAML and path.name not in NOT_PEOPLE:
        return None if path.parent.name in NOT_PEOPLE else Existing(path, "person")
    match = _SCRAPED.fullmatch(path.name)
    return Existing(path, match["type"], _ticks(match["id"])) if match else None


def _ticks(text: str) -> int | None:
    try:
        value = uuid.UUID(text[:36])
    except ValueError:
        return None
    return value.time if value.version == 1 else None


def _date(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
