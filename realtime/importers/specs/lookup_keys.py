"""Lookup keys with which a row would be found, a vote event's content, and a jurisdiction's
sessions, as digests for the ledger."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from realtime.domain.results import LookupKeys

_DEDUPE = "dedupe:"
# Of a file that says that it has none: its row has none afterwards. Core leaves a row its dedupe
# key if the file does not mention one.
NO_DEDUPE_KEY = _DEDUPE


def keys_after(keys: Sequence[str], before: Sequence[str]) -> list[str]:
    """The keys by which a row is found once a file with `keys` is applied to it; `before` were
    those of the row."""
    says = any(key.startswith(_DEDUPE) for key in keys)
    kept = [] if says else [key for key in before if key.startswith(_DEDUPE)]
    return [key for key in (*kept, *keys) if key != NO_DEDUPE_KEY]


def about_vote(data: dict[str, Any], action: str) -> LookupKeys:
    """What the ledger keeps of a resolved vote event that names `action`."""
    bill, session = data["bill_id"] or "", str(data["legislative_session_id"])
    date, organization = str(data["start_date"]), data["organization_id"] or ""
    keys = [_key("motion", session, bill, data["motion_text"], date, organization)]
    if data["identifier"]:
        keys.insert(0, _key("identifier", session, bill, data["identifier"]))
    if data.get("dedupe_key"):
        keys.insert(0, _key("dedupe", session, bill, data["dedupe_key"]))
    elif "dedupe_key" in data:
        keys.append(NO_DEDUPE_KEY)
    return LookupKeys(bill, tuple(keys), action, date, organization, _content(data))


def about_bill(title: Any, sources: Iterable[Mapping[str, Any]]) -> LookupKeys:
    """What the ledger keeps of a bill: what tells two measures under one identifier apart."""
    return LookupKeys(content=_digest("\1".join([str(title), *sources_of(sources)])))


def about_event(
    data: dict[str, Any], agenda: Mapping[str, Sequence[str]] | None = None
) -> LookupKeys:
    """What the ledger keeps of a resolved event; `agenda` is as LookupKeys has it."""
    fields = ("name", "description", "start_date", "end_date")
    keys = [_key("fields", *(data[name] for name in fields))]
    if data.get("dedupe_key"):
        keys.insert(0, _key("dedupe", data["dedupe_key"]))
    elif "dedupe_key" in data:
        keys.append(NO_DEDUPE_KEY)
    return LookupKeys(keys=tuple(keys), date=str(data["start_date"]), agenda=agenda)


def about_jurisdiction(data: dict[str, Any]) -> LookupKeys:
    """What the ledger keeps of a resolved jurisdiction: which legislative sessions it names."""
    named = [session.get("identifier", "") for session in data["legislative_sessions"]]
    return LookupKeys(keys=tuple(map(session_key, named)))


def session_key(identifier: str) -> str:
    """The key of a legislative session of a jurisdiction."""
    return _key("session", identifier)


def sources_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The sources of an object or a row, in an order of their own, to compare them."""
    return _sorted(rows, "url", "note")


def counts_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The counts of a vote event, likewise."""
    return _sorted(rows, "option", "value")


def _content(data: dict[str, Any]) -> str:
    """What tells two votes of one motion apart: sources, counts and roll. Empty for a vote event
    with neither counts nor roll."""
    counts, roll = data["counts"], data["votes"]
    if not counts and not roll:
        return ""
    parts = sources_of(data["sources"]), counts_of(counts), _sorted(roll, "option", "voter_name")
    return _digest("\1".join("\0".join(part) for part in parts))


def _sorted(rows: Iterable[Mapping[str, Any]], first: str, second: str) -> list[str]:
    return sorted([f"{row.get(first)}\0{row.get(second)}" for row in rows])


def _key(kind: str, *parts: Any) -> str:
    # Digests, since motions and descriptions can be pages long.
    return f"{kind}:{_digest(json.dumps(parts, default=str))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:24]
