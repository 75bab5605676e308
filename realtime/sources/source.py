"""The protocol of a source, and the values it yields.

A source is read volume by volume: the single files of a folder or prefix are one volume; each file
of JSON lines and each archive is one of its own. A volume lists its members without reading more
of them than it must, and reads each by itself.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, Self
from uuid import UUID

from realtime.domain.errors import PoisonMessage, RealtimeError
from realtime.domain.scraped_object import (
    IGNORED_TYPES,
    IMPORTED_TYPES,
    SCRAPED_AT_METADATA,
    STORED_AT_METADATA,
    parse_time,
    time_of,
)


class NoSource(RealtimeError):
    """A path or URL names no source, or holds nothing that could be imported."""


class Empty(NoSource):
    """There is a place, and nothing in it yet."""


class Member(NamedTuple):
    """One object in a volume. (A tuple: a snapshot has a hundred thousand.)

    `name` is unique in the source. `version` tells this content from a later one under that name.
    `abbr` is the jurisdiction's abbreviation, empty when the source does not say. `ticks` is the
    time in the UUIDv1 of its name or line, in units of 100 ns; None without one. `size` is in
    bytes, 0 if unknown. `position` is where its volume finds it.
    """

    name: str
    object_type: str
    abbr: str
    version: str
    size: int
    ticks: int | None
    position: Any


class Broken(NamedTuple):
    """Something that cannot be a member, or is outside its place; it is never read."""

    name: str
    problem: PoisonMessage


class Skipped(NamedTuple):
    """Something that is none of ours."""

    name: str


Entry = Member | Broken | Skipped


@dataclass(frozen=True)
class Body:
    """What a member holds: JSON. Times are aware UTC: `changed_at` is when it was last written,
    `scraped_at` what our producer has stamped on it, if it did, and `stored_at` when its store
    received it, if it is in one."""

    content: bytes
    changed_at: datetime
    scraped_at: datetime | None = None
    stored_at: datetime | None = None

    @classmethod
    def stored(cls, content: bytes, changed_at: datetime, metadata: Mapping[str, str]) -> Self:
        """What a store holds with this metadata, written at `changed_at`."""
        stamp = metadata.get(SCRAPED_AT_METADATA)
        return cls(
            content,
            changed_at,
            scraped_at=parse_time(stamp, changed_at) if stamp else None,
            stored_at=min(changed_at, parse_time(metadata.get(STORED_AT_METADATA), changed_at)),
        )


class Volume(Protocol):
    """Members that are listed together. Not thread-safe, unless `parallel` says that `read` is.

    The names of its members begin with its own `name` and `#`; that of single files is empty.
    """

    @property
    def name(self) -> str: ...

    @property
    def parallel(self) -> bool:
        """Whether members are far away, so that many should be read at once."""

    @property
    def fingerprint(self) -> str:
        """Changes with anything in the volume. Reads no member."""

    def entries(self) -> Iterator[Entry]:
        """What is in the volume, in no order.

        Raises RetryLater when it cannot be reached. What is wrong with a part of it is Broken.
        """

    def read(self, member: Member, max_bytes: int) -> Body:
        """Read a member that `entries` has yielded.

        Raises PoisonMessage when there is none any more, it exceeds `max_bytes`, or it cannot be
        read for what it holds; RetryLater when it cannot be read now.
        """

    def close(self) -> None:
        """Let go of files and memory. `entries` opens the volume again."""


class Source(Protocol):
    """Where objects are. `url` says where, to people and in the ledger. `run_id` is the scrape run
    that it says it is, if it does. `is_far` says that looking at it takes requests."""

    url: str
    run_id: UUID | None
    is_far: bool

    def volumes(self) -> Iterator[Volume]:
        """The volumes, in an order in which what is referred to comes first where that can be told.

        Raises NoSource when there is none (Empty where there may be some later), ConfigurationError
        and RetryLater when it cannot be reached. Called again, it looks again.
        """


def import_place(member: Member) -> tuple[str, int, int, str]:
    """The sort key of members: by jurisdiction, what others refer to first, as scraped."""
    types = IMPORTED_TYPES + IGNORED_TYPES
    return member.abbr, types.index(member.object_type), member.ticks or 0, member.name


def folder_of(member: Member) -> str:
    """The folder that a member is in, within its source."""
    return member.name.rpartition("/")[0]


def earliest(members: list[Member]) -> dict[str, datetime]:
    """By folder, the earliest time in its members' names: when its scrape began."""
    first: dict[str, int] = {}
    for member in members:
        if member.ticks is not None:
            folder = folder_of(member)
            first[folder] = min(member.ticks, first.get(folder, member.ticks))
    return {folder: time_of(ticks) for folder, ticks in first.items()}


def digest(texts: Iterable[str]) -> str:
    """One digest of these texts, whatever their order."""
    found = hashlib.sha256()
    for text in sorted(texts):
        found.update(f"{text}\0".encode())
    return found.hexdigest()


def aware(timestamp: float) -> datetime:
    """The UTC time of a file's timestamp; the epoch for one that no calendar has."""
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)
