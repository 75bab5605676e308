"""How core's importers turn each type of object into rows.

Which lists become rows of which tables, core's importers say themselves. What they read without
asking whether it is there, look up or leave out is in their code only: those are the lists below.
Core's JSON schemas cannot stand in for them: they object to much that core imports, and say of
no reference what it may be and of hardly anything that it must be there.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import UnionType
from typing import Any

from django.db.models import Model
from openstates import importers
from openstates.data import models

from realtime.importers.diagnosis.paths import join
from realtime.importers.diagnosis.references import (
    BILL,
    NAMED_BILL,
    ORGANIZATION,
    PERSON,
    VOTE_EVENT,
    Reference,
)


@dataclass(frozen=True)
class Shape:
    """How an object becomes a row of `model`: which of its names are columns, and which not.

    `rows` are lists of objects with tables of their own, `required` what core reads without
    asking whether it is there, `kinds` the types that core's own handling of a value can cope
    with, `references` what it looks up, and `unused` what it leaves out or sets itself.
    """

    model: type[Model]
    rows: Mapping[str, "Shape"] = field(default_factory=dict)
    required: Collection[str] = ()
    kinds: Mapping[str, type | UnionType] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    unused: Collection[str] = ()


_SCRAPED = ("_id", "jurisdiction", "scraped_at")
_PERSON_OR_NULL = replace(PERSON, or_null=True)
_ORGANIZATION_OR_NULL = replace(ORGANIZATION, or_null=True)
_ORGANIZATION_OR_FALSE = replace(ORGANIZATION, or_false=True)
_ENTITY = {"person_id": PERSON, "organization_id": _ORGANIZATION_OR_FALSE}
# Core cuts it at so many characters, of a list too.
_CUT_NOTE = {"kinds": {"note": str | list}}
_SPECIAL: Mapping[str, Mapping[str, Any]] = {
    "jurisdiction": {"required": ("division_id", "classification"), "unused": _SCRAPED},
    "jurisdiction.legislative_sessions": {
        "kinds": {"identifier": str | int | float | None},  # a key of core's
        "unused": ("_scraped_name", "extras"),
    },
    "bill": {
        "required": ("identifier", "from_organization"),
        "kinds": {"identifier": str},
        "references": {"from_organization": _ORGANIZATION_OR_NULL},
        "unused": (*_SCRAPED, "legislative_session"),
    },
    "bill.actions": {
        "required": ("organization_id",),
        "references": {"organization_id": ORGANIZATION},
        "unused": ("order",),
    },
    "bill.actions.related_entities": {"references": _ENTITY},
    "bill.sponsorships": {
        "references": {
            "person_id": _PERSON_OR_NULL,
            "organization_id": _ORGANIZATION_OR_NULL,
        }
    },
    "bill.documents": _CUT_NOTE,
    "bill.versions": _CUT_NOTE,
    "vote_event": {
        "required": ("organization", "bill", "bill_action", "identifier"),
        "references": {"organization": ORGANIZATION, "bill": replace(BILL, or_false=True)},
        "unused": (*_SCRAPED, "legislative_session", "bill_identifier", "bill_action"),
    },
    "vote_event.counts": {"required": ("value",)},
    "vote_event.votes": {"required": ("voter_id",), "references": {"voter_id": PERSON}},
    "event": {
        "required": ("name", "start_date", "location"),
        "kinds": {"name": str},
        "unused": (*_SCRAPED, "location"),
    },
    "event.media": _CUT_NOTE,
    "event.participants": {
        "references": {
            **_ENTITY,
            "legislator_id": PERSON,
            "committee_id": _ORGANIZATION_OR_FALSE,
        }
    },
    "event.agenda": {"unused": ("order",)},
    "event.agenda.related_entities": {
        "references": {
            **_ENTITY,
            "bill_id": NAMED_BILL,
            "vote_event_id": replace(VOTE_EVENT, or_false=True),
        }
    },
}


def _shape(path: str, model: type[Model], related: Mapping[str, Any]) -> Shape:
    special = _SPECIAL.get(path, {})
    rows = {
        name: _shape(join(path, name), row_model, below)
        for name, (row_model, _, below) in related.items()
    }
    required = (*special.get("required", ()), *rows)
    return Shape(model, **{**special, "rows": rows, "required": required})


def _imported(importer: Any) -> Shape:
    return _shape(importer._type, importer.model_class, importer.related_models)


SHAPES: Mapping[str, Shape] = {
    "jurisdiction": _imported(importers.JurisdictionImporter),
    "bill": _imported(importers.BillImporter),
    "vote_event": _imported(importers.VoteEventImporter),
    "event": _imported(importers.EventImporter),
    "person": Shape(
        models.Person,
        {
            "other_names": Shape(models.PersonName),
            "links": Shape(models.PersonLink),
            "sources": Shape(models.PersonSource),
            "offices": Shape(models.PersonOffice),
            "other_identifiers": Shape(models.PersonIdentifier, unused=("start_date", "end_date")),
        },
        # Core's own model of a person says what may be there; only what it lets pass is asked.
        unused=("party", "roles", "ids", "middle_name", "suffix"),
    ),
}


def references(object_type: str, data: Mapping[str, Any]) -> Iterator[tuple[str, Reference, Any]]:
    """(path, reference, value) of everything that a scraped object has core look up."""
    if object_type in SHAPES:
        yield from _references(SHAPES[object_type], data, "")


def _references(shape: Shape, data: Any, path: str) -> Iterator[tuple[str, Reference, Any]]:
    if not isinstance(data, Mapping):
        return
    for name, reference in shape.references.items():
        if name in data:
            yield join(path, name), reference, data[name]
    for name, below in shape.rows.items():
        items = data.get(name)
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield from _references(below, item, join(path, name, index))
