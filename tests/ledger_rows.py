"""Writes rows of the ledger directly, as imports would have left them."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from realtime.models import File, Outcome, ScrapeRun

NOW = datetime.now(UTC).replace(microsecond=0)
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
OHIO = "ocd-jurisdiction/country:us/state:oh/government"


def ago(**units: float) -> datetime:
    """A time before NOW, for code that takes the time as an argument."""
    return NOW - timedelta(**units)


def before_now(**units: float) -> datetime:
    """A time before the present, for code that reads the database's clock."""
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
    """Create a file. `to_queue`, `to_receive` and `to_commit` are the seconds of each stage."""
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
    """Create a scrape run. With `finished_at`, its end was received at that time."""
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
