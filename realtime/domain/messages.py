"""Parses queue messages into values.

There are three forms: a file (sent by scrapers on core 6.10 to 6.23, and by ours), the end of a
scrape run, and S3's event notification. Their field names are a public interface.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, unquote_plus

from realtime.domain.errors import PoisonMessage
from realtime.domain.text import all_storable

# Characters in one value.
_LONGEST = 250
# Bytes in a key. S3 allows 1024, and the key must still fit below archived/ or failed/.
_LONGEST_KEY = 980
# Files of one type in a run must be fewer.
_MOST = 10**9


@dataclass(frozen=True)
class ReceivedMessage:
    """One delivery of a queue message.

    `receipt_handle` is empty when the message did not come from a queue. `sent_at` is aware UTC.
    `receive_count` includes this delivery; 0 when nobody counts.
    """

    message_id: str
    receipt_handle: str
    body: str
    sent_at: datetime
    receive_count: int = 1


@dataclass(frozen=True)
class FileMessage:
    """A scraped file was uploaded to `bucket` under `key` (full, prefix included, decoded).

    `jurisdiction_id` is empty in S3's notifications, which do not carry it.
    """

    bucket: str
    key: str
    jurisdiction_id: str = ""
    jurisdiction_name: str = ""
    file_archiving_enabled: bool = False
    run_id: uuid.UUID | None = None


@dataclass(frozen=True)
class ScraperReport:
    """One scraper of a run: arguments, times and object counts, for core's ScrapeReport."""

    args: str
    started_at: datetime
    finished_at: datetime
    objects: Mapping[str, int]


@dataclass(frozen=True)
class RunFinished:
    """A scrape run ended without error. `objects` counts the distinct files it sent, by type."""

    run_id: uuid.UUID
    bucket: str
    jurisdiction_id: str
    jurisdiction_name: str
    started_at: datetime
    finished_at: datetime
    objects: Mapping[str, int]
    scrapers: Mapping[str, ScraperReport] = field(default_factory=dict)

    def sent(self, sent_at: datetime) -> "RunFinished":
        """The same, with times by the queue's clock: when it was sent, the run was over.

        A scraper whose clock is ahead gives a later end. All its times are set back by that.
        """
        ahead = self.finished_at - sent_at
        if ahead <= timedelta():
            return replace(self, started_at=min(self.started_at, sent_at))
        return replace(
            self,
            started_at=min(self.started_at - ahead, sent_at),
            finished_at=sent_at,
            scrapers={
                name: replace(
                    scraper,
                    started_at=scraper.started_at - ahead,
                    finished_at=scraper.finished_at - ahead,
                )
                for name, scraper in self.scrapers.items()
            },
        )


@dataclass(frozen=True)
class Ignored:
    """A valid message that needs no import; `why` says the reason."""

    why: str


# PoisonMessage stands for one malformed record of a notification, whose other records are good.
Parsed = FileMessage | RunFinished | Ignored | PoisonMessage


def parse(body: str) -> list[Parsed]:
    """Parse a message's `body`; a notification with three records gives three values.

    Raises PoisonMessage naming the field when the message is malformed. A malformed record of a
    notification does not raise: its PoisonMessage is returned in its place.
    """
    data = _object(body)
    if data.get("Event") == "s3:TestEvent":
        return [Ignored("a test event of S3")]
    if "Records" in data:
        records = data["Records"]
        if not isinstance(records, list) or not records:
            raise PoisonMessage("bad-message", "Records is not a list with entries", "Records")
        return [_record(index, record) for index, record in enumerate(records)]
    if "run_finished" in data:
        return [_run_finished(data)]
    return [_file(data)]


def _object(body: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise PoisonMessage("bad-message", f"the message is not JSON: {exc}") from exc
    if not isinstance(data, dict):
        raise PoisonMessage("bad-message", "the message is not a JSON object")
    for name, value in data.items():
        if not all_storable(name):
            raise PoisonMessage("bad-message", f"a name {_UNSTORABLE}: {name[:100]!a}")
        if name != "Records" and not all_storable(value):
            raise PoisonMessage("bad-message", f"{name[:100]} {_UNSTORABLE}", name[:100])
    return data


# Neither PostgreSQL's text nor S3's keys can contain these.
_UNSTORABLE = "holds a NUL character or half of a surrogate pair"


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
        scrapers={name: _scraper(name, scraper) for name, scraper in scrapers.items()},
    )


def _scraper(name: str, data: dict[str, Any]) -> ScraperReport:
    path = f"scrapers.{name[:100]}."
    return ScraperReport(
        args=_text(data, "args", default="", longest=_LONGEST_KEY, path=path),
        started_at=_time(data, "started_at", path),
        finished_at=_time(data, "finished_at", path),
        objects=_counts(data, path),
    )


def _record(index: int, record: Any) -> FileMessage | Ignored | PoisonMessage:
    try:
        return _notification(record)
    except PoisonMessage as problem:
        field = ".".join(filter(None, ["Records", str(index), problem.field]))
        return PoisonMessage(problem.reason, f"{field}: {problem.detail}", field)


def _notification(record: Any) -> FileMessage | Ignored:
    if not isinstance(record, dict) or record.get("eventSource") != "aws:s3":
        raise PoisonMessage("bad-message", "not an event of S3", "")
    if not all_storable(record):
        raise PoisonMessage("bad-message", _UNSTORABLE, "")
    name = _text(record, "eventName")
    if not name.removeprefix("s3:").startswith("ObjectCreated:"):
        return Ignored(f"S3 event {name}")
    try:
        bucket, key = record["s3"]["bucket"], record["s3"]["object"]
    except (KeyError, TypeError) as exc:
        raise PoisonMessage("bad-message", "names no bucket and object", "s3") from exc
    if not isinstance(bucket, dict) or not isinstance(key, dict):
        raise PoisonMessage("bad-message", "bucket or object is no JSON object", "s3")
    # Senders encode a space as +, as %20 or not at all, but always encode a literal plus.
    return FileMessage(
        bucket=_text(bucket, "name", path="s3.bucket."),
        key=_key(
            unquote_plus(_text(key, "key", longest=3 * _LONGEST_KEY, path="s3.object.")),
            "s3.object.key",
        ),
    )


def _key(key: str, name: str) -> str:
    # Checked after decoding: %00 passes is_storable as text.
    if "\0" in key or len(key.encode("utf-8", "replace")) > _LONGEST_KEY:
        raise PoisonMessage("bad-key", f"{key[:100]!r}… is longer than a key, or holds NUL", name)
    return key


def _text(
    data: Mapping[str, Any],
    name: str,
    default: str | None = None,
    longest: int = _LONGEST,
    path: str = "",
) -> str:
    value, field = data.get(name, default), f"{path}{name}"
    if isinstance(value, str) and len(value) > longest:
        raise PoisonMessage("bad-message", f"{field} is longer than {longest} characters", field)
    if not isinstance(value, str) or (not value and default is None):
        problem = "is missing" if name not in data else f"is not text: {ascii(value)[:100]}"
        raise PoisonMessage("bad-message", f"{field} {problem}", field)
    return value


def _uuid(data: Mapping[str, Any], name: str) -> uuid.UUID:
    try:
        return uuid.UUID(_text(data, name))
    except ValueError as exc:
        raise PoisonMessage(
            "bad-message", f"{name} is not a UUID: {data[name][:100]!r}", name
        ) from exc


def _time(data: Mapping[str, Any], name: str, path: str = "") -> datetime:
    text, field = _text(data, name, path=path), f"{path}{name}"
    try:
        return as_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as exc:
        raise PoisonMessage("bad-message", f"{field} is not a time: {text[:100]!r}", field) from exc


def _counts(data: Mapping[str, Any], path: str = "") -> dict[str, int]:
    counts = data.get("objects")
    if not isinstance(counts, dict) or not all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n < _MOST for n in counts.values()
    ):
        field = f"{path}objects"
        raise PoisonMessage("bad-message", f"{field} does not map types to counts", field)
    return dict(counts)


def as_utc(time: datetime) -> datetime:
    """`time` in UTC; a naive one is taken as UTC. Raises OverflowError when the result is out of
    range."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
