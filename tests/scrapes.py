"""Scraped objects made with core's classes, and Mail, which publishes and imports them."""

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from openstates.scrape import Bill, Event, State, VoteEvent
from openstates.utils import JSONEncoderPlus

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.consumer.run import Limits, run
from realtime.consumer.sources import QueueInbox
from realtime.domain.config import BULK, Config, load
from realtime.domain.likeness import likeness
from realtime.domain.scraped_object import SCRAPED_AT_METADATA
from realtime.models import File
from realtime.monitoring.report import Report
from tests.support import Aws, messages_in

SESSION = "2031"
OUTCOMES = ("inserted", "updated", "unchanged", "superseded", "ignored", "deferred", "failed",
            "released")  # fmt: skip


class Wyoming(State):  # type: ignore[misc]
    legislative_sessions = [
        {
            "identifier": SESSION,
            "name": "2031 General Session",
            "classification": "primary",
            "start_date": "2031-01-10",
            "end_date": "2031-03-10",
        }
    ]


WYOMING = Wyoming()


def content(scraped: Any) -> dict[str, Any]:
    """The content of the file that core writes for a scraped object."""
    scraped.pre_save(WYOMING)
    data: dict[str, Any] = json.loads(json.dumps(scraped.as_dict(), cls=JSONEncoderPlus))
    return data


def jurisdiction() -> dict[str, Any]:
    return content(WYOMING)


def bill(identifier: str = "HB 1", title: str = "Of bridges", actions: int = 1) -> dict[str, Any]:
    scraped = Bill(identifier, SESSION, title, chamber="lower", classification="bill")
    for number in range(actions):
        scraped.add_action(f"reading {number + 1}", f"2031-01-{11 + number}", chamber="lower")
    scraped.add_sponsorship("Ada Plainsman", "primary", "person", True)
    scraped.add_version_link(
        "introduced", "https://example.com/1.pdf", media_type="application/pdf"
    )
    scraped.add_source("https://example.com/bills")
    return content(scraped)


def vote_event(
    of: dict[str, Any] | str | None, motion: str = "passage", action: str | None = None
) -> dict[str, Any]:
    """A vote event of a scraped bill, of a bill given by its identifier, or of none."""
    scraped = VoteEvent(
        motion_text=motion,
        start_date="2031-01-11",
        classification="passage",
        result="pass",
        legislative_session=SESSION,
        bill=of if isinstance(of, str) else None,
        bill_chamber="lower" if isinstance(of, str) else None,
        bill_action=action,
        chamber="lower",
    )
    scraped.yes("Ada Plainsman")
    scraped.no("Bo Ridge")
    scraped.set_count("yes", 1)
    scraped.set_count("no", 1)
    scraped.add_source("https://example.com/votes")
    if isinstance(of, dict):
        scraped.bill, scraped.bill_identifier = of["_id"], of["identifier"]
    return content(scraped)


def event(name: str = "Hearing", about: str | None = None) -> dict[str, Any]:
    scraped = Event(name, "2031-01-12T09:00:00+00:00", "Room 1")
    if about:
        scraped.add_bill(about)
    scraped.add_source("https://example.com/events")
    return content(scraped)


def type_of(data: dict[str, Any]) -> str:
    if "motion_text" in data:
        return "vote_event"
    if "legislative_sessions" in data:
        return "jurisdiction"
    return "event" if "all_day" in data else "bill"


def _stamp(data: dict[str, Any]) -> dict[str, str]:
    """As the producer stamps an object whose `_id` has no time. By its message's time alone, two
    uploads within a second would not be told apart."""
    if type_of(data) != "jurisdiction":
        return {}
    return {SCRAPED_AT_METADATA: datetime.now(UTC).isoformat(timespec="microseconds")}


class Mail:
    """Uploads files and sends their messages, like older scrapers, and imports them in this
    process."""

    def __init__(self, aws: Aws, database_url: str, **settings: str) -> None:
        self.aws = aws
        self.importer = BULK
        self.config: Config = load({**aws.environment, "DATABASE_URL": database_url, **settings})
        self.store = S3Store(aws.bucket, aws.s3)
        self.queue = SqsQueue(aws.queue_url, aws.sqs, wait=0)

    def key(self, data: dict[str, Any]) -> str:
        object_type = type_of(data)
        return (
            f"wy/{object_type}_{data['_id']}.json".replace("ocd-jurisdiction/", "")
            .replace("/government", "")
            .replace("country:us/", "")
        )

    def put(self, data: dict[str, Any] | bytes, key: str = "", **metadata: str) -> str:
        key = key or self.key(data)  # type: ignore[arg-type]
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.aws.s3.put_object(Bucket=self.aws.bucket, Key=key, Body=body, Metadata=metadata)
        return key

    def message(self, key: str, **fields: Any) -> dict[str, Any]:
        return {
            "file_path": key,
            "bucket": self.aws.bucket,
            "jurisdiction_id": WYOMING.jurisdiction_id,
            "jurisdiction_name": "Wyoming",
            "file_archiving_enabled": False,
            **fields,
        }

    def send(self, body: dict[str, Any] | str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.aws.sqs.send_message(QueueUrl=self.aws.queue_url, MessageBody=text)

    def publish(self, *files: dict[str, Any], **fields: Any) -> list[str]:
        keys = [self.put(data, **_stamp(data)) for data in files]
        for key in keys:
            self.send(self.message(key, **fields))
        return keys

    def run(self, max_messages: int = 300, until_empty: bool = False) -> Report:
        """One import run. Asserts that the outcomes add up to the files received."""
        inbox = QueueInbox(self.queue, self.config.visibility_timeout)
        limits = Limits(max_messages, until_empty, lambda: False)
        report = run(self.config, inbox, self.store, limits, self.importer)
        figures = report.as_dict()
        assert figures["received"] == sum(figures[name] for name in OUTCOMES)
        return report

    def keys(self, prefix: str = "") -> list[str]:
        return [found.key for found in self.store.list(prefix)]

    def waiting(self) -> int:
        """Number of messages in the queue, hidden ones included."""
        return messages_in(self.aws.sqs, self.aws.queue_url)


def outcomes(keys: Iterable[str] | None = None) -> dict[str, str]:
    """The outcomes in the ledger, by key. Each that failed must be in the group of its reason."""
    files = File.objects.all() if keys is None else File.objects.filter(key__in=list(keys))
    for row in files.filter(outcome="failed"):
        assert row.alike == likeness(row.reason, row.field, row.detail)
    return dict(files.values_list("key", "outcome"))


def fresh_id() -> str:
    return str(uuid.uuid1())
