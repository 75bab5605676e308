"""What importing in pieces changes in an object, whichever importers write it."""

import hashlib
import json
from typing import Any

from openstates.data.models import LegislativeSession

from realtime.domain.errors import PoisonMessage
from realtime.domain.results import About
from realtime.domain.text import is_storable

# What an entity in a list may refer to.
_MEMBERS = ("person_id", "organization_id")
_ENTITIES = (*_MEMBERS, "bill_id", "vote_event_id")


def require_name(identifier: Any) -> None:
    """Raises PoisonMessage when no legislative session could ever be called that."""
    text = isinstance(identifier, str | int) and not isinstance(identifier, bool)
    if not text or identifier == "":
        # Waiting for it would only put the failure off.
        raise PoisonMessage(
            "invalid",
            f"legislative_session names no session: {ascii(identifier)[:100]}",
            "legislative_session",
        )
    width = LegislativeSession._meta.get_field("identifier").max_length
    if isinstance(identifier, str) and len(identifier) > width:
        raise PoisonMessage(
            "too-long",
            f"legislative_session has {len(identifier)} characters, its column holds {width}",
            "legislative_session",
        )


def take_action(data: dict[str, Any]) -> str:
    """The action that a vote event names, which is taken out of `data`.

    Which action is whose depends on all votes of the bill: `link_votes` settles that.
    """
    if "bill_action" not in data:
        raise PoisonMessage("invalid", "bill_action is missing", "bill_action")
    action = data["bill_action"] or ""
    if not is_storable(action):
        raise PoisonMessage(
            "invalid", f"bill_action is no text: {ascii(action)[:100]}", "bill_action"
        )
    data["bill_action"] = None
    return str(action)


def name_references_of_bill(data: dict[str, Any]) -> None:
    """Let every entity of a prepared bill say what it refers to, if only that it is nothing."""
    for action in data["actions"]:
        _name_all(action["related_entities"], _MEMBERS)


def name_references_of_event(data: dict[str, Any]) -> None:
    """Let every entity of a prepared event say what it refers to, if only that it is nothing."""
    _name_all(data["participants"], _MEMBERS)
    for item in data["agenda"]:
        _name_all(item["related_entities"], _ENTITIES)


def about_vote(data: dict[str, Any], action: str) -> About:
    """What the ledger keeps of a prepared vote event that names `action`."""
    bill, session = data["bill_id"] or "", str(data["legislative_session_id"])
    date, organization = str(data["start_date"]), data["organization_id"] or ""
    keys = [_key("motion", session, bill, data["motion_text"], date, organization)]
    if data["identifier"]:
        keys.insert(0, _key("identifier", session, bill, data["identifier"]))
    if data.get("dedupe_key"):
        keys.insert(0, _key("dedupe", data["dedupe_key"]))
    return About(bill, tuple(keys), action, date, organization)


def about_event(data: dict[str, Any]) -> About:
    """What the ledger keeps of a prepared event."""
    fields = ("name", "description", "start_date", "end_date")
    keys = [_key("fields", *(data[name] for name in fields))]
    if data.get("dedupe_key"):
        keys.insert(0, _key("dedupe", data["dedupe_key"]))
    return About(keys=tuple(keys))


def _key(kind: str, *parts: Any) -> str:
    # Digests, since motions and descriptions can be pages long.
    digest = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]
    return f"{kind}:{digest}"


def _name_all(entities: list[dict[str, Any]], references: tuple[str, ...]) -> None:
    # Core compares only what the first of a list names, and would not notice that another's
    # reference can be resolved now.
    for entity in entities:
        for name in references:
            entity.setdefault(name, None)
