"""What a file's row in the ledger says of its content and its outcome."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from realtime.domain.bill_identifiers import as_stored
from realtime.domain.results import (
    NO_LOOKUP,
    Failed,
    FetchedFile,
    FileOutcome,
    Ignored,
    Imported,
    LookupKeys,
    Paused,
    Released,
    Result,
    Superseded,
    Waiting,
)
from realtime.domain.text import sanitized, shortened
from realtime.models import File


def row_of(result: Result, now: datetime, referents: int | None = None) -> File:
    """A new row, not yet saved, for a file whose outcome is recorded `now`.

    `referents` is a digest of what its names were resolved among, if that is known.
    """
    identity, delivery, outcome = result.identity, result.delivery, result.outcome
    lookup = _lookup(outcome)
    row = File(
        bucket=identity.bucket,
        key=identity.key,
        version=identity.version,
        etag=identity.etag,
        version_id=identity.version_id,
        size=identity.size,
        last_modified=identity.last_modified,
        jurisdiction_id=sanitized(delivery.jurisdiction_id),
        object_type=result.object_type,
        run_id=delivery.run_id,
        outcome=outcome.word,
        bill_id=lookup.bill_id,
        bill_action=sanitized(lookup.action),
        identity=identity_of(lookup),
        referents=referents,
        tried_at=now,
        queued_at=delivery.queued_at,
        received_at=now,
        imported_at=None if isinstance(outcome, Waiting | Paused) else now,
        paused_at=now if isinstance(outcome, Paused) else None,
        file_archiving=delivery.file_archiving,
    )
    if result.file:
        _describe_content(row, result.file)
    _describe_outcome(row, outcome)
    if isinstance(outcome, Waiting | Paused | Failed):
        row.message = sanitized(delivery.message)
    return row


def kept(text: str) -> str:
    """What the ledger keeps of a traceback or an explanation."""
    return sanitized(shortened(text))


def _describe_outcome(row: File, outcome: FileOutcome) -> None:
    match outcome:
        case Imported():
            row.core_id, row.bill_identifier = outcome.core_id, outcome.bill_identifier
        case Superseded():
            row.core_id = outcome.core_id
        case Failed(problem):
            row.reason = problem.reason
            row.field = sanitized(problem.field)
            row.detail = kept(problem.detail)
            row.alike = problem.alike
            row.traceback = kept(outcome.traceback)
        case Paused(reason):
            row.detail = kept(f"paused: {reason}")
        case Waiting(waiting_for):
            row.detail = kept(str(waiting_for))
            row.session = waiting_for.session
            row.bill_scrape_id = waiting_for.bill_scrape_id
            row.bill_identifier = waiting_for.bill_identifier
            row.bill_named = row.bill_named or sanitized(waiting_for.bill_identifier) or None


def _lookup(outcome: FileOutcome) -> LookupKeys:
    return NO_LOOKUP if isinstance(outcome, Paused | Ignored | Released) else outcome.lookup


def _describe_content(row: File, file: FetchedFile) -> None:
    content = file.content
    row.jurisdiction_id = file.jurisdiction_id
    row.scrape_id = sanitized(content.scrape_id)
    row.order_ticks, row.order_stamp = content.order.ticks, content.order.stamp_ticks
    row.scraped_at = content.scraped_at
    if content.object_type in ("bill", "vote_event"):
        row.session = _text(content.data.get("legislative_session"))
        row.bill_named = _bill_named(content.object_type, content.data)
    if content.object_type == "vote_event":
        bill = _text(content.data.get("bill"))
        row.bill_scrape_id = "" if bill.startswith("~") else bill


def describe_again(row: File, outcome: FileOutcome) -> None:
    """Update the row's bill, action and lookup keys from a repeated import of its file."""
    lookup = _lookup(outcome)
    if lookup.keys:
        row.bill_id = lookup.bill_id
        row.bill_action = sanitized(lookup.action)
        row.identity = identity_of(lookup)
    if isinstance(outcome, Imported):
        row.bill_identifier = outcome.bill_identifier or row.bill_identifier


def identity_of(lookup: LookupKeys) -> dict[str, Any] | None:
    """The value of the column `identity` for these keys and this content."""
    if not lookup.keys and not lookup.content:
        return None
    identity: dict[str, Any] = {
        "keys": list(lookup.keys),
        "date": sanitized(lookup.date),
        "organization_id": lookup.organization_id,
        "content": lookup.content,
    }
    if lookup.agenda is not None:
        identity["agenda"] = {sanitized(bill): rows for bill, rows in lookup.agenda.items()}
    return identity


# A longer text is no identifier that core could store, and an index holds it.
_LONGEST = 100


def _bill_named(object_type: str, data: Mapping[str, Any]) -> str | None:
    """The identifier of the bill that a file says it is, or is a vote on; None if it says none."""
    named = data.get("identifier" if object_type == "bill" else "bill_identifier")
    if object_type == "vote_event" and not named:
        described = _text(data.get("bill"))
        try:
            named = json.loads(described[1:])["identifier"] if described[:1] == "~" else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
    text = _text(named)
    return as_stored(text) if 0 < len(text) <= _LONGEST else None


def _text(value: Any) -> str:
    return sanitized(value) if isinstance(value, str) else ""
