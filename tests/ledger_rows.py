"""Rows of the ledger as imports would have left them, written down directly."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from realtime.models import File, Outcome, ScrapeRun

NOW = datetime.now(UTC).replace(microsecond=0)
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
OHIO = "ocd-jurisdiction/country:us/state:oh/government"


def ago(**units: float) -> datetime:
    """That long before these tests began; with NOW, for what is told the time."""
    return NOW - timedelta(**units)


def before_now(**units: float) -> datetime:
    """That long ago, for what asks the database for the time."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**units)


def file(
    scraped_at: datetime | None,
    outcome: Outcome = Outcome.INSERTED,
    object_type: str = "bill",
    to_queue: float = 1,
    to_receive: float = 10,
    to_commit: float = 2,
    **more: Any,
) -> File:
    """A file that took so many seconds for each part of its way, if it has come all of it."""
    queued = (scraped_at or ago(minutes=5)) + timedelta(seconds=to_queue)
    received = queued + timedelta(seconds=to_receive)
    imported = received + timedelta(seconds=to_commit)
    scrape_id = str(uuid.uuid4())
    fields: dict[str, Any] = {
        "bucket": "bucket",
        "key": f"wy/{object_type}_{scrape_id}.json",
        "version": "1",
        "jurisdiction_id": WYOMING,
        "object_type": object_type,
        "scrape_id": scrape_id,
        "outcome": outcome,
        "scraped_at": scraped_at,
        "queued_at": queued,
        "received_at": received,
        "imported_at": None if outcome == Outcome.DEFERRED else imported,
        **more,
    }
    return File.objects.create(**fields)


def run(started_at: datetime, finished_at: datetime | None = None, **more: Any) -> ScrapeRun:
    """A scrape run; one that has ended said so at once."""
    fields: dict[str, Any] = {
        "run_id": uuid.uuid4(),
        "bucket": "bucket",
        "jurisdiction_id": WYOMING,
        "started_at": started_at,
        "finished_at": finished_at,
        "received_at": finished_at,
        **more,
    }
    return ScrapeRun.objects.create(**fields)
