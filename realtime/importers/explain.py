"""Says what is wrong with a file, or that nothing is, when its import raised."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from django.db import DataError, IntegrityError, InterfaceError, OperationalError
from django.db.models import Model
from openstates.data.models import Bill, Event, Jurisdiction, VoteEvent
from openstates.importers import (
    BillImporter,
    EventImporter,
    JurisdictionImporter,
    VoteEventImporter,
)
from openstates.scrape.schemas import bill, event, jurisdiction, vote_event

from realtime.errors import PoisonMessage, RetryLater, Unavailable
from realtime.scraped import ScrapedObject

_SCHEMAS: dict[str, Mapping[str, Any]] = {
    "bill": bill.schema,
    "event": event.schema,
    "jurisdiction": jurisdiction.schema,
    "vote_event": vote_event.schema,
}
_IMPORTERS: dict[str, Any] = {
    "bill": BillImporter,
    "event": EventImporter,
    "jurisdiction": JurisdictionImporter,
    "vote_event": VoteEventImporter,
}
_MODELS: dict[str, type[Model]] = {
    "bill": Bill,
    "event": Event,
    "jurisdiction": Jurisdiction,
    "vote_event": VoteEvent,
}
# PostgreSQL class 54, "program limit exceeded", which psycopg2 counts among the operational
# errors: a value too large for an index is the file's fault and will be so tomorrow.
_LIMIT_EXCEEDED = "54"
# What only an operator can mend: undefined table, column or function, no privilege, read only.
_READ_ONLY = "25006"
_NOT_THE_FILE = {"42P01", "42703", "42883", "42501", _READ_ONLY}
_DETAIL_LENGTH = 1000


def explain(exc: BaseException, content: ScrapedObject) -> PoisonMessage | RetryLater:
    """The reaction that an exception raised by an import calls for.

    RetryLater when an operational or interface error (a lost connection, a deadlock, a cancelled
    statement) is anywhere in its chain; core wraps those in DataImportError without `from`.
    Otherwise PoisonMessage with the field that core's schema or the column widths name.
    """
    chain = list(_chain(exc))
    for link in chain:
        if isinstance(link, PoisonMessage | RetryLater):
            return link
    interruption = interrupted(exc)
    if interruption:
        read_only = getattr(interruption.__cause__, "pgcode", None) == _READ_ONLY
        # No file of any jurisdiction can be imported into a standby.
        kind = Unavailable if read_only else RetryLater
        return kind(f"the import was interrupted: {_line(interruption)}")
    if any(isinstance(link, RecursionError) for link in chain):
        return PoisonMessage("bad-json", "the file is nested too deeply")
    field, problem = "", ""
    if any(isinstance(link, DataError) for link in chain):
        field, problem = _too_long(content)
    if not problem:
        field, problem = _against_schema(content)
    if not problem and isinstance(exc, KeyError):
        # Core's schemas take a field that is left out for an optional one; its importers do not.
        field = str(exc.args[0])
        problem = f"{field} is missing"
    reason = "too-long" if "characters" in problem else "invalid" if problem else _reason(chain)
    cause = next((link for link in chain if isinstance(link, DataError | IntegrityError)), exc)
    detail = problem or f"{type(cause).__name__}: {_line(cause)}"
    return PoisonMessage(reason, detail[:_DETAIL_LENGTH], field)


def interrupted(exc: BaseException) -> BaseException | None:
    """The link in the chain of `exc` that speaks of the surroundings and not of the file."""
    for link in _chain(exc):
        code = getattr(link.__cause__, "pgcode", None) or ""
        if code in _NOT_THE_FILE or isinstance(link, MemoryError):
            return link
        operational = isinstance(link, OperationalError | InterfaceError)
        if operational and not code.startswith(_LIMIT_EXCEEDED):
            return link
    return None


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [exc]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__context__, link.__cause__]


def _reason(chain: list[BaseException]) -> str:
    return (
        "rejected" if any(isinstance(e, DataError | IntegrityError) for e in chain) else "invalid"
    )


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:_DETAIL_LENGTH]


def _against_schema(content: ScrapedObject) -> tuple[str, str]:
    schema = _SCHEMAS.get(content.object_type)
    if schema is None:
        return "", ""
    # Core's schemas speak of the scraper's objects: in a file their times are text.
    checker = jsonschema.Draft3Validator.TYPE_CHECKER.redefine(
        "datetime", lambda _, value: isinstance(value, str | datetime.datetime)
    ).redefine("date", lambda _, value: isinstance(value, datetime.date))
    validator = jsonschema.validators.extend(jsonschema.Draft3Validator, type_checker=checker)
    errors = validator(schema).iter_errors(content.fresh())
    first = min(errors, key=lambda error: [str(part) for part in error.path], default=None)
    if first is None:
        return "", ""
    field = ".".join(str(part) for part in first.path)
    return field, f"{field or 'the file'}: {first.message[:300]}"


def _too_long(content: ScrapedObject) -> tuple[str, str]:
    importer = _IMPORTERS.get(content.object_type)
    if importer is None:
        return "", ""
    model = _MODELS[content.object_type]
    for path, width, length in _overlong(model, importer.related_models, content.fresh(), ""):
        return path, f"{path} has {length} characters, its column holds {width}"
    return "", ""


def _overlong(
    model: type[Model], related: Mapping[str, Any], data: Any, path: str
) -> Iterator[tuple[str, int, int]]:
    if not isinstance(data, Mapping):
        return
    widths = {f.name: f.max_length for f in model._meta.concrete_fields if f.max_length}
    for name, value in data.items():
        if isinstance(value, str) and name in widths and len(value) > widths[name]:
            yield f"{path}{name}", widths[name], len(value)
        if name in related and isinstance(value, list):
            submodel, _, subrelated = related[name]
            for index, item in enumerate(value):
                yield from _overlong(submodel, subrelated, item, f"{path}{name}.{index}.")
