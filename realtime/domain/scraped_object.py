"""A scraped file: its key, its content, and its place in the scrape order."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from realtime.domain.errors import PoisonMessage
from realtime.domain.messages import as_utc

# In import order: a type comes before the types that refer to it.
IMPORTED_TYPES = ("jurisdiction", "person", "bill", "vote_event", "event")
# Accepted but never imported, as in core's batch import.
IGNORED_TYPES = ("organization",)
OBJECT_TYPES = IMPORTED_TYPES + IGNORED_TYPES
# "archive" is the folder of the Lambda function that this project replaces.
ARCHIVED_FOLDERS = ("archived", "archive", "failed")

# Metadata that our producer stamps on each S3 object.
RUN_ID_METADATA = "run-id"
SCRAPED_AT_METADATA = "scraped-at"
# A retry stamps when the store first received the file: its copy is younger.
STORED_AT_METADATA = "stored-at"
# "true": the scraper asks for archiving. Its message, if there is one, says the same.
ARCHIVING_METADATA = "file-archiving"
# Stores round down the time at which they received a file.
_STORE_RESOLUTION = timedelta(seconds=1)
# A scraper's clock that is ahead by no more needs no attention.
CLOCK_TOLERANCE = timedelta(seconds=5)

_ABBR = r"[A-Za-z0-9][\w.-]*"
_KEY = re.compile(rf"(?P<abbr>{_ABBR})/(?P<file>(?P<type>{'|'.join(OBJECT_TYPES)})_[^/\\]+\.json)")
_RUN_END = re.compile(rf"{_ABBR}/run_finished_[^/\\]+\.json")
_LONGEST_ID = 300
_UUID_EPOCH = datetime(1582, 10, 15, tzinfo=UTC)


class ScrapeOrder(NamedTuple):
    """Orders the scraped versions of one object; the greatest is the newest.

    `ticks` are 100 ns units since 1582-10-15 UTC, as in UUIDv1. They come from the time in the
    file's `_id`; without one, from `stamp_ticks`: the `scraped-at` metadata of the object, else
    the time the first message was sent. Neither is later than the store received the file.
    """

    ticks: int
    scrape_id: str
    stamp_ticks: int


@dataclass(frozen=True)
class Key:
    """A key relative to the prefix: `{abbr}/{object_type}_{id}.json`."""

    abbr: str
    object_type: str
    file: str


@dataclass(frozen=True)
class ScrapedObject:
    """The content of one file.

    `data` is for reading. Core's importers modify their input, so pass them `fresh()`.
    `clock_ahead` is by how many seconds the scraper's clock was ahead, as far as can be told: its
    time in the scrape order was set back by that. 0 up to CLOCK_TOLERANCE. `scraped_at` is the
    scraper's time as it is.
    """

    object_type: str
    scrape_id: str
    order: ScrapeOrder
    scraped_at: datetime
    jurisdiction_id: str
    body: bytes
    data: Mapping[str, Any]
    clock_ahead: float = 0.0

    def fresh(self) -> dict[str, Any]:
        """A new copy of `data` that the caller may modify."""
        content: dict[str, Any] = json.loads(self.body)
        return content


def parse_key(key: str) -> Key:
    """Split `key`, relative to the prefix, into its parts.

    Raises PoisonMessage (`bad-key`, `unknown-type`) for a key that no scraper writes.
    """
    if not key.isprintable() or "\\" in key or key.startswith("/"):
        raise PoisonMessage("bad-key", f"{key[:200]!r} is not a key of a scraped file", "file_path")
    if any(part in ("", ".", "..") for part in key.split("/")):
        raise PoisonMessage("bad-key", f"{key[:200]!r} has an empty or dotted part", "file_path")
    match = _KEY.fullmatch(key)
    if match:
        return Key(match["abbr"], match["type"], match["file"])
    if key.count("/") == 1 and key.endswith(".json"):
        raise PoisonMessage(
            "unknown-type",
            f"{key[:200]!r} names none of the types {', '.join(OBJECT_TYPES)}",
            "file_path",
        )
    raise PoisonMessage(
        "bad-key", f"{key[:200]!r} is not {{abbr}}/{{type}}_{{id}}.json", "file_path"
    )


def is_archived(key: str) -> bool:
    """Whether `key`, relative to the prefix, is in a folder of archived or failed files."""
    return key.split("/", 1)[0] in ARCHIVED_FOLDERS and "/" in key


def is_run_end(key: str) -> bool:
    """Whether `key`, relative to the prefix, is the end of a scrape run, stored for the sweep."""
    return bool(_RUN_END.fullmatch(key)) and not is_archived(key)


def run_end_key(abbr: str, run_id: str) -> str:
    """The key, relative to the prefix, at which a scraper without a queue stores the end of a
    run."""
    return f"{abbr}/run_finished_{run_id}.json"


def ticks_of(time: datetime) -> int:
    """The ticks (see ScrapeOrder) of an aware time."""
    return (time - _UUID_EPOCH) // timedelta(microseconds=1) * 10


def time_of(ticks: int) -> datetime:
    """The aware UTC time of `ticks`, rounded down to the microsecond."""
    return _UUID_EPOCH + timedelta(microseconds=ticks // 10)


def read(
    object_type: str, body: bytes, stamped_at: datetime, stored_at: datetime | None = None
) -> ScrapedObject:
    """Parse a file's `body`.

    `stamped_at` (aware UTC) orders objects whose `_id` contains no time. A time of the scrape order
    that is later than `stored_at`, when the store received the file, becomes that. Raises
    PoisonMessage (`bad-json`, `bad-id`) naming the field.
    """
    data = _load(body)
    stamp_ticks = ticks_of(stamped_at)
    ticks = stamp_ticks
    name = "id" if object_type == "person" else "_id"
    scrape_id = data.get(name)
    if not isinstance(scrape_id, str) or not 0 < len(scrape_id) <= _LONGEST_ID:
        raise PoisonMessage("bad-id", f"{name} is missing, no text or too long", name)
    if not scrape_id.isascii() or not scrape_id.isprintable():
        raise PoisonMessage("bad-id", f"{name} has odd characters: {scrape_id[:100]!a}", name)
    if object_type in ("bill", "vote_event", "event"):
        _refuse_row_id(data)
    if object_type in ("bill", "vote_event", "event", "organization"):
        ticks = _uuid_ticks(scrape_id, default=stamp_ticks)
    order = ScrapeOrder(_set_back(ticks, stored_at), scrape_id, _set_back(stamp_ticks, stored_at))
    return ScrapedObject(
        object_type=object_type,
        scrape_id=scrape_id,
        order=order,
        scraped_at=_scraped_at(data, stamped_at if ticks == stamp_ticks else time_of(ticks)),
        jurisdiction_id=_jurisdiction_id(object_type, data),
        body=body,
        data=data,
        clock_ahead=clock_ahead(ticks, order),
    )


def _set_back(ticks: int, stored_at: datetime | None) -> int:
    if stored_at is None or ticks <= ticks_of(stored_at + _STORE_RESOLUTION):
        return ticks
    return ticks_of(stored_at)


def clock_ahead(ticks: int, order: ScrapeOrder) -> float:
    """By how many seconds `ticks`, the scraper's time, are later than `order` has it; 0 up to
    CLOCK_TOLERANCE."""
    seconds = (ticks - order.ticks) / 10**7
    return seconds if seconds > CLOCK_TOLERANCE.total_seconds() else 0.0


def _load(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except RecursionError as exc:
        raise PoisonMessage("bad-json", "the file is nested too deeply") from exc
    except ValueError as exc:
        raise PoisonMessage("bad-json", f"the file is not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise PoisonMessage("bad-json", "the file is not a JSON object")
    return data


def _refuse_row_id(data: Mapping[str, Any]) -> None:
    # Core would overwrite the row with that id, even one of another object or state.
    for name in ("id", "pk"):
        if name in data:
            raise PoisonMessage("bad-id", f"{name} names a row, which no scraper knows", name)


def _uuid_ticks(scrape_id: str, default: int) -> int:
    try:
        value = uuid.UUID(scrape_id)
    except ValueError as exc:
        raise PoisonMessage("bad-id", f"_id is not a UUID: {scrape_id[:100]!r}", "_id") from exc
    return value.time if value.version == 1 else default


def _scraped_at(data: Mapping[str, Any], default: datetime) -> datetime:
    value = data.get("scraped_at")
    return parse_time(value if isinstance(value, str) else None, default)


def parse_time(text: str | None, default: datetime) -> datetime:
    """`text` as a UTC time; `default` when it is empty, malformed or out of range."""
    try:
        return as_utc(datetime.fromisoformat(text)) if text else default
    except (ValueError, OverflowError):
        return default


def _jurisdiction_id(object_type: str, data: Mapping[str, Any]) -> str:
    if object_type == "jurisdiction":
        value = data.get("id", data.get("_id"))
    else:
        value = data.get("jurisdiction")
        value = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(value, str):
        return ""
    if len(value) > _LONGEST_ID or not value.isascii() or not value.isprintable():
        raise PoisonMessage("bad-id", f"no jurisdiction has the id {value[:100]!a}", "jurisdiction")
    return value
