"""Changes of the change log as CloudEvents 1.0, and as lines for people."""

from typing import Any
from urllib.parse import quote

from realtime.domain.config import Bucket
from realtime.domain.jurisdictions import abbreviation_of
from realtime.ledger.changes import Logged
from realtime.models import LoggedChange

_PREFIX = "org.openstates.realtime"
# The source of what concerns no one jurisdiction.
_SOURCE = "openstates-realtime"
_SITE = "https://openstates.org"


def cloud_event(change: Logged) -> dict[str, Any]:
    """The change as a CloudEvent: its `id` is the cursor to go on from, `data.id` core's id (of a
    scrape run, the run's). docs/changes.md describes it, docs/changes.schema.json is its schema."""
    return {
        "specversion": "1.0",
        "id": str(change.cursor),
        "source": change.jurisdiction_id or _SOURCE,
        "type": f"{_PREFIX}.{change.object_type}.{change.verb}",
        "subject": change.core_id,
        "time": change.at.isoformat(),
        "datacontenttype": "application/json",
        "data": {
            "id": change.core_id,
            "jurisdiction_id": change.jurisdiction_id,
            "run_id": change.run_id and str(change.run_id),
            "bill_identifier": change.bill_identifier,
            "session": change.session,
            "fields": list(change.fields),
            "before": dict(change.before),
            "after": dict(change.after),
            "file_id": change.file_id,
            "links": _links(change),
        },
    }


def _links(change: Logged) -> dict[str, str]:
    found = {}
    if change.bill_identifier and change.session:
        parts = (
            abbreviation_of(change.jurisdiction_id),
            "bills",
            change.session,
            change.bill_identifier.replace(" ", ""),
        )
        found["openstates"] = f"{_SITE}/{'/'.join(quote(part, safe='') for part in parts)}/"
    if change.file:
        bucket, key = change.file
        found["file"] = Bucket(bucket).url_of(key)
    return found


def line(change: Logged) -> str:
    """The change as one line: time, what, where, and what differs."""
    parts = [f"{change.at:%Y-%m-%d %H:%M:%S}", str(change.cursor), change.jurisdiction_id]
    parts.append(f"{change.object_type} {change.verb} {change.core_id}")
    if change.bill_identifier:
        parts.append(f"({change.bill_identifier} of {change.session})")
    differs = differences(change)
    return " ".join(parts) + (f": {', '.join(differs)}" if differs else "")


def differences(change: Logged | LoggedChange) -> list[str]:
    """What differs, in words: columns by their names, related kinds with their numbers."""
    kinds = sorted({*change.before, *change.after})
    counts = {kind: (change.before.get(kind, 0), change.after.get(kind, 0)) for kind in kinds}
    differs = [name for name in change.fields if name not in counts]
    differs += [f"{kind} {n} -> {m}" for kind, (n, m) in counts.items() if n != m]
    return differs + [kind for kind, (n, m) in counts.items() if n == m and kind in change.fields]
