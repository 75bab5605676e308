"""What a queue message says, parsed once into values.

Three forms are understood: a file (as scrapers on core 6.10 to 6.23 send it, and as ours does),
the end of a scrape run, and S3's own event notification. Their fields are interfaces.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, unquote_plus

from realtime.errors import PoisonMessage

# Characters of any one value; bytes of a key, as S3 has it; files of a run.
_LONGEST = 250
_LONGEST_KEY = 1024
_MOST = 10**9


@dataclass(frozen=True)
class ReceivedMessage:
    """One delivery of a queue message.

    `receipt_handle` is empty when the message did not come from the queue itself; `sent_at` is
    aware UTC; `receive_count` counts this delivery too.
    """

    message_id: str
    receipt_handle: str
    body: str
    sent_at: datetime
    receive_count: int = 1


@dataclass(frozen=True)
class FileMessage:
    """A scraped file waits under `key` (full, prefix included, decoded) in `bucket`.

    `jurisdiction_id` is empty when the sender did not know it (S3's notifications).
    """

    bucket: str
    key: str
    jurisdiction_id: str = ""
    jurisdiction_name: str = ""
    file_archiving_enabled: bool = False
    run_id: uuid.UUID | None = None


@dataclass(frozen=True)
class ScraperReport:
    """What one scraper of a run did, as core's ScrapeReport records it."""

    args: str
    started_at: datetime
    finished_at: datetime
    objects: Mapping[str, int]


@dataclass(frozen=True)
class RunFinished:
    """A scrape run ended well; `objects` counts the distinct files it sent, by type."""

    run_id: uuid.UUID
    bucket: str
    jurisdiction_id: str
    jurisdiction_name: str
    started_at: datetime
    finished_at: datetime
    objects: Mapping[str, int]
    scrapers: Mapping[str, ScraperReport] = field(default_factory=dict)


@dataclass(frozen=True)
class Ignored:
    """Nothing to do, and nothing wrong."""

    why: str


Parsed = FileMessage | RunFinished | Ignored


def parse(body: str) -> list[Parsed]:
    """What the message `body` says; a notification with three records gives three values.

    Raises PoisonMessage naming the field when it says nothing that can be understood.
    """
    data = _object(body)
    if data.get("Event") == "s3:TestEvent":
        return [Ignored("a test event of S3")]
    if "Records" in data:
        records = data["Records"]
        if not isinstance(records, list) or not records:
            raise PoisonMessage("bad-message", "Records is not a list with entries", "Records")
        return [_notification(record) for record in records]
    if "run_finished" in data:
        return [_run_finished(data)]
    return [_file(data)]


def _object(body: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
        # PostgreSQL's text holds neither lone surrogates nor NUL, S3's keys neither.
        text = json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise PoisonMessage("bad-message", f"the message is not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise PoisonMessage("bad-message", "the message is not a JSON object")
    if b"\\u0000" in text:
        names = [name for name, value in data.items() if "\\u0000" in json.dumps(value)]
        field = (names or [""])[0]
        raise PoisonMessage("bad-message", f"{field or 'a name'} holds a NUL character", field)
    return data


def _file(data: dict[str, Any]) -> FileMessage:
    archiving = data.get("file_archiving_enabled", False)
    if not isinstance(archiving, bool):
        raise PoisonMessage(
            "bad-message", "file_archiving_enabled is not a boolean", "file_archiving_enabled"
        )
    return FileMessage(
        bucket=_text(data, "bucket"),
        key=_key(unquote(_text(data, "file_path", longest=3 * _LONGEST_KEY)), "file_path"),
        jurisdiction_id=_text(data, "jurisdiction_id"),
        jurisdiction_name=_text(data, "jurisdiction_name", default=""),
        file_archiving_enabled=archiving,
        run_id=_uuid(data, "run_id") if data.get("run_id") is not None else None,
    )


def _run_finished(data: dict[str, Any]) -> RunFinished:
    end = data["run_finished"]
    if not isinstance(end, dict):
        raise PoisonMessage("bad-message", "run_finished is not an object", "run_finished")
    scrapers = end.get("scrapers", {})
    if not isinstance(scrapers, dict) or not all(isinstance(s, dict) for s in scrapers.values()):
        raise PoisonMessage("bad-message", "scrapers is not an object of objects", "scrapers")
    return RunFinished(
        run_id=_uuid(data, "run_id"),
        bucket=_text(data, "bucket"),
        jurisdiction_id=_text(data, "jurisdiction_id"),
        jurisdiction_name=_text(data, "jurisdiction_name", default=""),
        started_at=_time(end, "started_at"),
        finished_at=_time(end, "finished_at"),
        objects=_counts(end),
        scrapers={
            name: ScraperReport(
                args=_text(scraper, "args", default="", longest=_LONGEST_KEY),
                started_at=_time(scraper, "started_at"),
                finished_at=_time(scraper, "finished_at"),
                objects=_counts(scraper),
            )
            for name, scraper in scrapers.items()
        },
    )


def _notification(record: Any) -> FileMessage | Ignored:
    if not isinstance(record, dict) or record.get("eventSource") != "aws:s3":
        raise PoisonMessage("bad-message", "a record is not an event of S3", "Records")
    name = str(record.get("eventName", ""))
    if not name.removeprefix("s3:").startswith("ObjectCreated:"):
        return Ignored(f"S3 event {name}")
    try:
        bucket, key = record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]
    except (KeyError, TypeError) as exc:
        raise PoisonMessage(
            "bad-message", "a record names no bucket and key", "Records.s3"
        ) from exc
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        raise PoisonMessage("bad-message", "a record names no bucket and key", "Records.s3")
    if len(bucket) > _LONGEST:
        raise PoisonMessage("bad-message", "a record's bucket is too long", "Records.s3")
    # Senders encode a space as +, as %20 or not at all; a literal plus is always encoded.
    return FileMessage(bucket=bucket, key=_key(unquote_plus(key), "Records.s3"))


def _key(key: str, name: str) -> str:
    # Percent signs can spell what the text of the message could not hold.
    if "\0" in key or len(key.encode("utf-8", "replace")) > _LONGEST_KEY:
        raise PoisonMessage("bad-key", f"{key[:100]!r}… is longer than a key, or holds NUL", name)
    return key


def _text(
    data: Mapping[str, Any],
    name: str,
    default: str | None = None,
    longest: int = _LONGEST,
) -> str:
    value = data.get(name, default)
    if isinstance(value, str) and len(value) > longest:
        raise PoisonMessage("bad-message", f"{name} is longer than {longest} characters", name)
    if not isinstance(value, str) or (not value and default is None):
        problem = "is missing" if name not in data else f"is not text: {str(value)[:100]!r}"
        raise PoisonMessage("bad-message", f"{name} {problem}", name)
    return value


def _uuid(data: Mapping[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(_text(data, name))
    except ValueError as exc:
        raise PoisonMessage(
            "bad-message", f"{name} is not a UUID: {data[name][:100]!r}", name
        ) from exc


def _time(data: Mapping[str, Any], name: str) -> datetime:
    text = _text(data, name)
    try:
        return as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as exc:
        raise PoisonMessage("bad-message", f"{name} is not a time: {text[:100]!r}", name) from exc


def _counts(data: Mapping[str, Any]) -> dict[str, int]:
    counts = data.get("objects")
    if not isinstance(counts, dict) or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < _MOST for n in counts.values()
    ):
        raise PoisonMessage("bad-message", "objects does not map types to counts", "objects")
    return dict(counts)


def as_utc(time: datetime) -> datetime:
    """`time` in UTC, which it is taken for when it names no zone. Raises OverflowError when UTC
    has no such time."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
