"""How scraped files name what is in the database: `~` and a query in JSON, or a scrape id."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.db.models import Model
from openstates.data import models

from realtime.domain.text import all_storable

PERSON, ORGANIZATION, VOTE_EVENT = "person", "organization", "vote event"
# What a vote event is about, by scrape id too; and what an agenda names, by its identifier only.
BILL, NAMED_BILL = "bill", "bill's identifier"

_MODELS: Mapping[str, type[Model]] = {
    PERSON: models.Person,
    ORGANIZATION: models.Organization,
    VOTE_EVENT: models.VoteEvent,
    BILL: models.Bill,
    NAMED_BILL: models.Bill,
}
# Core takes these out of the query and looks for them in ways of its own.
_HANDLED_AS_TEXT = {
    PERSON: ("name",),
    ORGANIZATION: ("name",),
    BILL: ("identifier",),
    NAMED_BILL: ("identifier",),
}
_HANDLED = ("name", "chamber")


def problem_with(kind: str, value: Any) -> str:
    """Why `value` can name nothing of that kind, whatever the database holds; empty if it can."""
    if not isinstance(value, str) or not value:
        return f"names no {kind}: {ascii(value)[:100]}"
    if not value.startswith("~"):
        by_id = kind not in (PERSON, NAMED_BILL)
        return "" if by_id else f"names no {kind}: {ascii(value)[:100]} does not start with ~"
    spec = spec_of(value)
    if spec is None:
        return f"names no {kind}: after ~ comes no JSON object: {ascii(value)[:100]}"
    for name in _HANDLED_AS_TEXT.get(kind, ()):
        if not isinstance(spec.get(name, ""), str):
            return f"names no {kind}: {name} is no text: {ascii(spec[name])[:100]}"
    if kind == NAMED_BILL:
        return "" if "identifier" in spec else f"names no {kind}: it says no identifier"
    return _query_problem(kind, {k: v for k, v in spec.items() if k not in _HANDLED})


def unusual_part(kind: str, value: Any) -> str:
    """The part of a query that asks in a way of Django's (`name__regex`), where core's own
    queries only name fields; empty if there is none."""
    spec = spec_of(value)
    return next((name for name in spec or {} if not _names_a_field(_MODELS[kind], name)), "")


def spec_of(value: Any) -> dict[str, Any] | None:
    """What a pseudo id asks for; None when it is none that can be read."""
    if not isinstance(value, str) or not value.startswith("~"):
        return None
    try:
        spec = json.loads(value[1:])
    except (ValueError, RecursionError):
        return None
    return spec if isinstance(spec, dict) else None


def _query_problem(kind: str, spec: dict[str, Any]) -> str:
    if not all_storable(spec):
        return f"names no {kind}: it holds a NUL character or half of a surrogate pair"
    try:
        _MODELS[kind]._default_manager.filter(**spec)
    except (FieldError, TypeError, ValueError, AttributeError, ValidationError) as exc:
        return f"names no {kind}: {' '.join(str(exc).split())[:200]}"
    return ""


def _names_a_field(model: type[Model], name: str) -> bool:
    if name in _HANDLED:
        return True
    found: Any = model
    for part in name.split("__"):
        try:
            found = found._meta.get_field(part).related_model
        except (AttributeError, FieldDoesNotExist):
            return False
    return True
