"""Dumps every row that an import can change, without generated ids and times, for comparison."""

import difflib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db.models import ForeignKey, Model
from openstates import importers as core
from openstates.data import models as data

_LEFT_OUT = {"created_at", "updated_at", "latest_bill_update", "latest_people_update"}

_PERSON: dict[str, Any] = {
    "other_names": (data.PersonName, "person_id", {}),
    "links": (data.PersonLink, "person_id", {}),
    "sources": (data.PersonSource, "person_id", {}),
    "offices": (data.PersonOffice, "person_id", {}),
    "identifiers": (data.PersonIdentifier, "person_id", {}),
    "memberships": (data.Membership, "person_id", {}),
}
# Their ids are the same in every database; an import generates all others.
_STABLE_IDS = {data.Jurisdiction, data.Organization, data.Person}
_ROOTS: tuple[tuple[type[Model], Mapping[str, Any], tuple[str, ...]], ...] = (
    (data.Jurisdiction, core.JurisdictionImporter.related_models, ()),
    (data.Organization, {}, ()),
    (data.Person, _PERSON, ("memberships__organization", "memberships__post")),
    (
        data.Bill,
        core.BillImporter.related_models,
        ("legislative_session", "actions__related_entities", "versions__links", "documents__links",
         "related_bills__related_bill__legislative_session"),
    ),
    (
        data.VoteEvent,
        core.VoteEventImporter.related_models,
        ("legislative_session", "bill__legislative_session", "bill_action"),
    ),
    (
        data.Event,
        core.EventImporter.related_models,
        ("location", "agenda__related_entities__bill__legislative_session",
         "agenda__related_entities__vote_event__bill__legislative_session", "agenda__media"),
    ),
    (
        data.SearchableBill,
        {},
        ("bill__legislative_session", "version_link__version__bill__legislative_session"),
    ),
)  # fmt: skip


def _bill(bill: data.Bill | None) -> str:
    if bill is None:
        return ""
    session = bill.legislative_session
    return f"{session.jurisdiction_id} {session.identifier} {bill.identifier}"


_NAMES: dict[type[Model], Callable[[Any], str]] = {
    data.LegislativeSession: lambda session: f"{session.jurisdiction_id} {session.identifier}",
    data.Bill: lambda bill: _bill(bill),
    data.BillAction: lambda action: f"{action.order}: {action.description}",
    data.BillVersionLink: lambda link: f"{_bill(link.version.bill)} {link.url}",
    data.VoteEvent: lambda vote: (
        f"{_bill(vote.bill)}: {vote.identifier} {vote.motion_text} {vote.start_date}"
        f" {vote.dedupe_key}"
    ),
    data.Event: lambda event: f"{event.name} {event.start_date} {event.dedupe_key}",
    data.EventLocation: lambda place: f"{place.name} {place.url}",
}
# What the names of these need.
_NAMED: dict[type[Model], tuple[str, ...]] = {
    data.Bill: ("legislative_session",),
    data.VoteEvent: ("bill__legislative_session",),
    data.Event: (),
}
# Core gives only these an order of their own; others are compared by what is in them.
_ORDERED = {data.BillAction}


def roots() -> Iterator[tuple[type[Model], Mapping[str, Any]]]:
    """Each model that is dumped, with its related ones as core's importers describe them."""
    for model, related, _ in _ROOTS:
        yield model, related


def names() -> dict[tuple[str, str], str]:
    """The model and id of each bill, vote event and event, with a name that says which it is."""
    found = {}
    for model, select in _NAMED.items():
        for row in model._default_manager.select_related(*select):
            found[model.__name__, str(row.pk)] = _NAMES[model](row)
    return found


def dump() -> list[str]:
    """The default database as sorted lines of JSON, one for each bill, vote event, event, …."""
    lines = []
    for model, related, prefetch in _ROOTS:
        names = [name for name in related if not any(p.split("__")[0] == name for p in prefetch)]
        for row in model._default_manager.prefetch_related(*names, *prefetch):
            line = {"": model.__name__, **_content(row, related, None)}
            lines.append(json.dumps(line, sort_keys=True, default=str))
    return sorted(lines)


def _content(row: Model, related: Mapping[str, Any], parent: str | None) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if field.name in _LEFT_OUT or field.attname == parent:
            continue
        if field.primary_key and type(row) not in _STABLE_IDS:
            continue
        if isinstance(field, ForeignKey):
            content[field.name] = _name(row, field)
        else:
            content[field.name] = getattr(row, field.attname)
    for name, (_, column, subrelated) in related.items():
        items = list(getattr(row, name).all())
        children = [_content(item, subrelated, column) for item in items]
        if items and type(items[0]) not in _ORDERED:
            children.sort(key=lambda child: json.dumps(child, sort_keys=True, default=str))
        content[name] = children
    return content


def _name(row: Model, field: Any) -> str | None:
    key = getattr(row, field.attname)
    name = _NAMES.get(field.related_model)
    if key is None or name is None:
        return None if key is None else str(key)
    return name(getattr(row, field.name))


def differences(expected: list[str], actual: list[str]) -> Iterator[str]:
    """The lines that differ between two dumps, with `-` or `+`; none when they are equal."""
    for line in difflib.unified_diff(expected, actual, "core", "in pieces", lineterm="", n=0):
        if line[0] in "+-" and not line.startswith(("---", "+++")):
            yield line
