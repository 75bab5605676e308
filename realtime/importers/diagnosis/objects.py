"""Where in a scraped object something stands that core's tables could not hold."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db.models import ForeignKey
from openstates import importers
from openstates.data import models

from realtime.domain.errors import PoisonMessage
from realtime.importers.diagnosis import columns
from realtime.importers.diagnosis.columns import column_of
from realtime.importers.diagnosis.paths import join, misfit, shown
from realtime.importers.diagnosis.references import NAMED_BILL
from realtime.importers.diagnosis.shapes import SHAPES, Shape, references

_SET_BY_DJANGO = ("created_at", "updated_at")
_TRANSFORMED_BY = {
    "bill": lambda: importers.BillImporter(""),
    "event": lambda: importers.EventImporter("", None),
}


def misfits(object_type: str, data: dict[str, Any]) -> Iterator[PoisonMessage]:
    """What core's tables could not hold of a scraped object, were it a new row.

    Needs no connection. `data` is changed as core's own transformers would.
    """
    shape = SHAPES.get(object_type)
    if shape is None:
        return
    data = _transform(object_type, data)
    match object_type:
        case "bill":
            yield from _session(data)
        case "vote_event":
            yield from _session(data)
            if not (data.get("bill") or data.get("identifier")):
                yield misfit("bill", "or identifier must say which vote it is")
        case "event":
            yield from _location(data.get("location"))
            yield from _start(data)
        case "person":
            yield from _accounts(data.get("ids"))
    yield from _row(shape, data, "")


def _transform(object_type: str, data: dict[str, Any]) -> dict[str, Any]:
    make = _TRANSFORMED_BY.get(object_type)
    try:
        transformed: dict[str, Any] = make().apply_transformers(data) if make else data
    except (TypeError, AttributeError):
        return data  # not even that: what follows says where
    return transformed


def _session(data: Mapping[str, Any]) -> Iterator[PoisonMessage]:
    name = "legislative_session"
    value = data.get(name)
    if name not in data:
        yield misfit(name, "is missing")
    elif isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        yield misfit(name, f"names no session: {shown(value)}")
    else:
        yield from columns.misfits(column_of(models.LegislativeSession, "identifier"), value, name)


def _location(value: Any) -> Iterator[PoisonMessage]:
    if isinstance(value, Mapping):
        read = {name: value[name] for name in ("name", "url") if name in value}
        yield from _row(Shape(models.EventLocation, required=("name",)), read, "location")
    else:
        yield misfit("location", f"is no object: {shown(value)}")


def _start(event: Mapping[str, Any]) -> Iterator[PoisonMessage]:
    # Core looks the bills of an agenda up in the session of its day.
    day = event.get("start_date")
    named = (reference for _, reference, _ in references("event", event))
    if isinstance(day, str) and NAMED_BILL in named:
        try:
            datetime.fromisoformat(day)
        except ValueError as exc:
            yield misfit("start_date", f"is no date, which the bills of the agenda need: {exc}")


def _accounts(ids: Any) -> Iterator[PoisonMessage]:
    column = column_of(models.PersonIdentifier, "identifier")
    for name, value in ids.items() if isinstance(ids, Mapping) else ():
        # Whether one may be null, core's own model of a person has said.
        if value is not None:
            yield from columns.misfits(column, value, join("ids", name))


def _row(shape: Shape, data: Any, path: str) -> Iterator[PoisonMessage]:
    if not isinstance(data, Mapping):
        yield misfit(path, f"is no object: {shown(data)}")
        return
    for name in shape.required:
        if name not in data:
            yield misfit(join(path, name), "is missing")
    for name, value in data.items():
        below = join(path, name)
        if name in shape.rows:
            yield from _rows(shape.rows[name], value, below)
        elif name in shape.references:
            if problem := shape.references[name].problem_with(value):
                yield misfit(below, problem)
        elif not isinstance(value, shape.kinds.get(name, object)):
            yield misfit(below, f"is no text: {shown(value)}")
        elif name not in shape.unused:
            yield from _value(shape, name, value, below)


def _rows(shape: Shape, items: Any, path: str) -> Iterator[PoisonMessage]:
    if isinstance(items, list):
        for index, item in enumerate(items):
            yield from _row(shape, item, join(path, index))
    elif items not in ("", {}):  # core takes whatever has nothing in it for an empty list
        yield misfit(path, f"is no list: {shown(items)}")


def _value(shape: Shape, name: str, value: Any, path: str) -> Iterator[PoisonMessage]:
    column = column_of(shape.model, name)
    if column is None:
        yield misfit(path, f"is not a field of core's {shape.model.__name__}")
    # What a key names is the database's to know.
    elif not isinstance(column, ForeignKey) and name not in _SET_BY_DJANGO:
        yield from columns.misfits(column, value, path)
