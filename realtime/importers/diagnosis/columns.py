"""What core's tables can hold, and where in a file something stands that they cannot."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import (
    CharField,
    ForeignKey,
    IntegerField,
    JSONField,
    Model,
    TextField,
)
from openstates.data import models
from openstates.importers import (
    BillImporter,
    EventImporter,
    JurisdictionImporter,
    VoteEventImporter,
)

from realtime.domain.text import is_storable
from realtime.importers import pseudo_ids

INVALID, TOO_LONG = "invalid", "too-long"
_MOST = 2**31 - 1


@dataclass(frozen=True)
class Misfit:
    """The value at `path` (dotted; empty for the whole file) fits no column, and why not."""

    path: str
    reason: str
    problem: str


@dataclass(frozen=True)
class _Table:
    """How an object becomes a row: which of its names are columns, and what core does to others.

    `rows` are lists of objects with tables of their own, `required` what core reads without
    asking whether it is there, `texts` what it handles as text, `references` (kind, what may
    stand there instead) what it looks up, and `unused` what it leaves out or sets itself.
    """

    model: type[Model]
    rows: Mapping[str, "_Table"] = field(default_factory=dict)
    required: Collection[str] = ()
    texts: Collection[str] = ()
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    unused: Collection[str] = ()


def _tables(related: Mapping[str, Any], special: Mapping[str, Any], path: str) -> dict[str, _Table]:
    return {
        name: _Table(
            model, _tables(subrelated, special, f"{path}{name}."), **special.get(path + name, {})
        )
        for name, (model, _, subrelated) in related.items()
    }


_PERSON, _ORGANIZATION = pseudo_ids.PERSON, pseudo_ids.ORGANIZATION
_SET_BY_DJANGO = ("created_at", "updated_at")
_NOTE_IS_CUT = (models.BillDocument, models.BillVersion, models.EventMedia)
_SCRAPED = ("_id", "jurisdiction", "scraped_at")
# What may stand in the place of a reference: a null, or whatever Python takes for false.
_NOTHING, _NULL, _FALSE = "nothing", "null", "false"
_ENTITY = {"person_id": (_PERSON, _NOTHING), "organization_id": (_ORGANIZATION, _FALSE)}
_SPECIAL: Mapping[str, Any] = {
    "actions": {
        "required": ("organization_id",),
        "references": {"organization_id": (_ORGANIZATION, _NOTHING)},
        "unused": ("order",),
    },
    "actions.related_entities": {"references": _ENTITY},
    "sponsorships": {
        "references": {"person_id": (_PERSON, _NULL), "organization_id": (_ORGANIZATION, _NULL)}
    },
    "counts": {"required": ("value",)},
    "votes": {"required": ("voter_id",), "references": {"voter_id": (_PERSON, _NOTHING)}},
    "participants": {
        "references": {
            **_ENTITY,
            "legislator_id": (_PERSON, _NOTHING),
            "committee_id": (_ORGANIZATION, _FALSE),
        }
    },
    "agenda": {"unused": ("order",)},
    "agenda.related_entities": {
        "references": {
            **_ENTITY,
            "bill_id": (pseudo_ids.NAMED_BILL, _NOTHING),
            "vote_event_id": (pseudo_ids.VOTE_EVENT, _FALSE),
        }
    },
    "legislative_sessions": {"unused": ("_scraped_name", "extras")},
}
_TABLES = {
    "jurisdiction": _Table(
        models.Jurisdiction,
        _tables(JurisdictionImporter.related_models, _SPECIAL, ""),
        required=("division_id", "classification"),
        unused=_SCRAPED,
    ),
    "bill": _Table(
        models.Bill,
        _tables(BillImporter.related_models, _SPECIAL, ""),
        required=("identifier", "from_organization"),
        texts=("identifier",),
        references={"from_organization": (_ORGANIZATION, _NULL)},
        unused=(*_SCRAPED, "legislative_session"),
    ),
    "vote_event": _Table(
        models.VoteEvent,
        _tables(VoteEventImporter.related_models, _SPECIAL, ""),
        required=("organization", "bill", "bill_action", "identifier"),
        references={
            "organization": (_ORGANIZATION, _NOTHING),
            "bill": (pseudo_ids.BILL, _FALSE),
        },
        unused=(*_SCRAPED, "legislative_session", "bill_identifier", "bill_action"),
    ),
    "event": _Table(
        models.Event,
        _tables(EventImporter.related_models, _SPECIAL, ""),
        required=("name", "start_date", "location"),
        texts=("name",),
        unused=(*_SCRAPED, "location"),
    ),
    "person": _Table(
        models.Person,
        {
            "other_names": _Table(models.PersonName),
            "links": _Table(models.PersonLink),
            "sources": _Table(models.PersonSource),
            "offices": _Table(models.PersonOffice),
            "other_identifiers": _Table(models.PersonIdentifier, unused=("start_date", "end_date")),
        },
        # Core's own model of a person says what may be there; only what it lets pass is asked.
        unused=("party", "roles", "ids", "middle_name", "suffix"),
    ),
}
_IMPORTERS = {
    "bill": lambda: BillImporter(""),
    "event": lambda: EventImporter("", None),
}


def misfits(object_type: str, data: dict[str, Any]) -> Iterator[Misfit]:
    """What core's tables could not hold of a scraped object, were it a new row.

    Needs no connection. `data` is changed as core's own transformers would.
    """
    table = _TABLES.get(object_type)
    if table is None:
        return
    transformed = _transform(object_type, data)
    yield from _session(object_type, transformed)
    if object_type == "event":
        yield from _location(transformed.get("location"))
        yield from _start(transformed)
    if object_type == "vote_event" and not (data.get("bill") or data.get("identifier")):
        yield Misfit("bill", INVALID, "neither bill nor identifier says which vote it is")
    if object_type == "person":
        yield from _accounts(transformed.get("ids"))
    yield from _row(table, transformed, "", new=object_type != "person")


def unstorable(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all text, names included, that PostgreSQL cannot hold."""
    if isinstance(value, str):
        if not is_storable(value):
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not is_storable(name):
                yield path
            yield from unstorable(item, _join(path, name))
    elif isinstance(value, Sequence):
        for index, item in enumerate(value):
            yield from unstorable(item, _join(path, index))


def references(object_type: str, data: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(path, kind, value) of everything that a scraped object has core look up."""
    table = _TABLES.get(object_type)
    if table is not None:
        yield from _references(table, data, "")


def _references(table: _Table, data: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    if not isinstance(data, Mapping):
        return
    for name, (kind, _) in table.references.items():
        if name in data:
            yield _join(path, name), kind, data[name]
    for name, below in table.rows.items():
        items = data.get(name)
        if isinstance(items, list):
            for index, item in enumerate(items):
                yield from _references(below, item, _join(path, name, index))


def _transform(object_type: str, data: dict[str, Any]) -> dict[str, Any]:
    make = _IMPORTERS.get(object_type)
    try:
        transformed: dict[str, Any] = make().apply_transformers(data) if make else data
    except (TypeError, AttributeError):
        return data  # not even that: what follows says where
    return transformed


def _session(object_type: str, data: Mapping[str, Any]) -> Iterator[Misfit]:
    if object_type not in ("bill", "vote_event"):
        return
    name = "legislative_session"
    value = data.get(name)
    if name not in data:
        yield Misfit(name, INVALID, f"{name} is missing")
    elif isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        yield Misfit(name, INVALID, f"{name} names no session: {_short(value)}")
    else:
        yield from _text(models.LegislativeSession._meta.get_field("identifier"), value, name)


def _location(value: Any) -> Iterator[Misfit]:
    if not isinstance(value, Mapping):
        yield Misfit("location", INVALID, f"location is no object: {_short(value)}")
        return
    if "name" not in value:
        yield Misfit("location.name", INVALID, "location.name is missing")
    columns = {name: value[name] for name in ("name", "url") if name in value}
    yield from _row(_Table(models.EventLocation), columns, "location")


def _start(event: Mapping[str, Any]) -> Iterator[Misfit]:
    # Core looks the bills of an agenda up in the session of its day.
    day = event.get("start_date")
    kinds = {kind for _, kind, _ in references("event", event)}
    if pseudo_ids.NAMED_BILL in kinds and isinstance(day, str):
        try:
            datetime.fromisoformat(day)
        except ValueError as exc:
            problem = f"start_date is no date, which the bills of the agenda need: {exc}"
            yield Misfit("start_date", INVALID, problem)


def _accounts(ids: Any) -> Iterator[Misfit]:
    column = models.PersonIdentifier._meta.get_field("identifier")
    for name, value in ids.items() if isinstance(ids, Mapping) else ():
        yield from _text(column, value, f"ids.{name}")


def _row(table: _Table, data: Any, path: str, new: bool = True) -> Iterator[Misfit]:
    if not isinstance(data, Mapping):
        yield Misfit(path, INVALID, f"{path} is no object: {_short(data)}")
        return
    for name in (*table.required, *(table.rows if new else ())):
        if name not in data:
            below = _join(path, name)
            yield Misfit(below, INVALID, f"{below} is missing")
    for name, value in data.items():
        below = _join(path, name)
        if name in table.rows:
            yield from _rows(table.rows[name], value, below, new)
        elif name in table.references:
            yield from _reference(*table.references[name], value, below)
        elif not isinstance(value, _kinds(table, name)):
            yield Misfit(below, INVALID, f"{below} is no text: {_short(value)}")
        elif name not in table.unused:
            yield from _value(table.model, name, value, below)


def _kinds(table: _Table, name: str) -> Any:
    """What core's own handling of a value, before any column sees it, can cope with."""
    if name in table.texts:
        return str
    if name == "note" and table.model in _NOTE_IS_CUT:
        return str | list
    if name == "identifier" and table.model is models.LegislativeSession:
        return str | int | float | None  # a key of core's
    return object


def _rows(table: _Table, items: Any, path: str, new: bool) -> Iterator[Misfit]:
    if isinstance(items, list):
        for index, item in enumerate(items):
            yield from _row(table, item, _join(path, index), new)
    elif items not in ("", {}):  # core takes whatever has nothing in it for an empty list
        yield Misfit(path, INVALID, f"{path} is no list: {_short(items)}")


def _reference(kind: str, instead: str, value: Any, path: str) -> Iterator[Misfit]:
    if (value is None and instead == _NULL) or (not value and instead == _FALSE):
        return
    problem = pseudo_ids.problem_with(kind, value)
    if problem:
        yield Misfit(path, INVALID, f"{path} {problem}")


def _value(model: type[Model], name: str, value: Any, path: str) -> Iterator[Misfit]:
    column = _column(model, name)
    if column is None:
        yield Misfit(path, INVALID, f"{path} is not a field of core's {model.__name__}")
    elif isinstance(column, ForeignKey) or name in _SET_BY_DJANGO:
        return  # what a key names is the database's to know
    elif value is None:
        if not column.null:
            yield Misfit(path, INVALID, f"{path} is null")
    elif isinstance(column, CharField | TextField):
        yield from _text(column, value, path)
    elif isinstance(column, JSONField):
        yield from _json(value, path)
    elif isinstance(column, ArrayField):
        yield from _array(value, path)
    else:
        yield from _scalar(column, value, path)


def _column(model: type[Model], name: str) -> Any:
    # Most names are columns; Django's way takes foreign keys by either of their names.
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        return next((f for f in model._meta.concrete_fields if f.attname == name), None)
    return found if found.concrete else None


def _text(column: Any, value: Any, path: str) -> Iterator[Misfit]:
    text = str(value)  # as Django does
    width = column.max_length
    if width and len(text) > width:
        problem = f"{path} has {len(text)} characters, its column holds {width}"
        yield Misfit(path, TOO_LONG, problem)
    if not is_storable(text):
        yield Misfit(path, INVALID, f"{path} {_UNSTORABLE}")


_UNSTORABLE = "holds a NUL character or half of a surrogate pair, which no column can"


def _array(value: Any, path: str) -> Iterator[Misfit]:
    # A text may spell an array in PostgreSQL's own way.
    if isinstance(value, str):
        if not value.startswith("{"):
            yield Misfit(path, INVALID, f"{path} is no list: {_short(value)}")
    elif not isinstance(value, list):
        yield Misfit(path, INVALID, f"{path} is no list: {_short(value)}")
    else:
        for index, item in enumerate(value):
            if not is_storable(str(item)):
                below = _join(path, index)
                yield Misfit(below, INVALID, f"{below} {_UNSTORABLE}")


def _json(value: Any, path: str) -> Iterator[Misfit]:
    for below in unstorable(value, path):
        yield Misfit(below, INVALID, f"{below} {_UNSTORABLE}")
    for below in _not_finite(value, path):
        yield Misfit(below, INVALID, f"{below} is not a finite number, which JSON lacks")


def _not_finite(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, float) and not math.isfinite(value):
        yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _not_finite(item, _join(path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _not_finite(item, _join(path, index))


def _scalar(column: Any, value: Any, path: str) -> Iterator[Misfit]:
    try:
        prepared = column.to_python(value)
    except (TypeError, ValueError, OverflowError, ValidationError):
        kind = column.get_internal_type().removesuffix("Field").removeprefix("Positive")
        yield Misfit(path, INVALID, f"{path} is no {kind.lower()}: {_short(value)}")
        return
    if isinstance(column, IntegerField) and not 0 <= prepared <= _MOST:
        yield Misfit(path, INVALID, f"{path} is not between 0 and {_MOST}: {_short(value)}")


def _short(value: Any) -> str:
    return ascii(value)[:100]


def _join(path: str, *parts: Any) -> str:
    # A name in a hostile file may be anything, and of any length.
    return ".".join([*filter(None, [path]), *(str(part)[:100] for part in parts)])
