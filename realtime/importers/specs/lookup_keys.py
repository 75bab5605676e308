"""Lookup keys with which a row would be found, as digests for the ledger."""

import hashlib
import json
from typing import Any

from realtime.domain.results import LookupKeys


def about_vote(data: dict[str, Any], action: str) -> LookupKeys:
    """What the ledger keeps of a resolved vote event that names `action`."""
    bill, session = data["bill_id"] or "", str(data["legislative_session_id"])
    date, organization = str(data["start_date"]), data["organization_id"] or ""
    keys = [_key("motion", session, bill, data["motion_text"], date, organization)]
    if data["identifier"]:
        keys.insert(0, _key("identifier", session, bill, data["identifier"]))
    if data.get("dedupe_key"):
        keys.insert(0, _key("dedupe", data["dedupe_key"]))
    return LookupKeys(bill, tuple(keys), action, date, organization)


def about_event(data: dict[str, Any]) -> LookupKeys:
    """What the ledger keeps of a resolved event."""
    fields = ("name", "description", "start_date", "end_date")
    keys = [_key("fields", *(data[name] for name in fields))]
    if data.get("dedupe_key"):
        keys.insert(0, _key("dedupe", data["dedupe_key"]))
    return LookupKeys(keys=tuple(keys))


def _key(kind: str, *parts: Any) -> str:
    # Digests, since motions and descriptions can be pages long.
    digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]
    return f"{kind}:{digest}"
