"""Says what is wrong with a file, or that nothing is, when its import raised."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from django.db import DataError, IntegrityError
from openstates.exceptions import DataImportError

from realtime.backends.postgres.interruptions import (
    READ_ONLY,
    UNDEFINED_FUNCTION,
    chain,
    error_code,
    interrupted,
)
from realtime.domain.errors import PoisonMessage, RetryLater, Unavailable
from realtime.domain.scraped_object import ScrapedObject
from realtime.importers import pseudo_ids
from realtime.importers.diagnosis import columns

_DETAIL_LENGTH = 1000
_TOO_DEEP = PoisonMessage("bad-json", "the file is nested too deeply")


def problem_of(content: ScrapedObject) -> PoisonMessage | None:
    """What core's tables could never hold of a file, named by its field; None when they could.

    Asks no database. Whatever has a problem cannot be imported as a new row, by core either; what
    has none may still name things that do not exist. Costs about as much as reading the file.
    """
    misfit = next(columns.misfits(content.object_type, content.fresh()), None)
    if misfit is None:
        return None
    return PoisonMessage(misfit.reason, misfit.problem[:_DETAIL_LENGTH], misfit.path)


def explain(exc: BaseException, content: ScrapedObject) -> PoisonMessage | RetryLater:
    """The reaction that an exception raised by an import calls for.

    RetryLater when an operational or interface error (a lost connection, a deadlock, a cancelled
    statement) is anywhere in its chain; core wraps those in DataImportError without `from`.
    Otherwise PoisonMessage with the field at fault: the one that core's tables could not hold,
    that names what is not there, that the error quotes, or else that core's schema objects to.
    """
    links = list(chain(exc))
    for link in links:
        if isinstance(link, RetryLater):
            return link
        if isinstance(link, PoisonMessage):
            return _located(link, content)
    interruption = interrupted(exc)
    if interruption:
        # No file of any jurisdiction can be imported into a standby.
        kind = Unavailable if error_code(interruption) == READ_ONLY else RetryLater
        return _own_fault(interruption, content) or kind(
            f"the import was interrupted: {_line(interruption)}"
        )
    try:
        problem = problem_of(content)
        if problem is None and not any(isinstance(link, RecursionError) for link in links):
            problem = _guess(links, content)
    except RecursionError:
        return _TOO_DEEP
    return problem or _TOO_DEEP


def _own_fault(interruption: BaseException, content: ScrapedObject) -> PoisonMessage | None:
    # A query of the file's own may ask for a function that no database has.
    return (
        _odd_query(interruption, content)
        if error_code(interruption) == UNDEFINED_FUNCTION
        else None
    )


def _guess(links: list[BaseException], content: ScrapedObject) -> PoisonMessage:
    """The best that can be said of a file that the tables could hold."""
    cause = _cause(links)
    detail = f"{type(cause).__name__}: {_line(cause)}"
    if isinstance(cause, KeyError) and cause.args:
        # Core's schemas take a field that is left out for an optional one; its importers do not.
        field = str(cause.args[0])[:_DETAIL_LENGTH]
        return PoisonMessage("invalid", f"{field} is missing", field)
    if isinstance(cause, ValueError):
        # What core asks the database for, and does not store, no column was asked about.
        field = _mentioned(_line(cause), content) or next(columns.unstorable(content.data), "")
        if field:
            return PoisonMessage("invalid", f"{field}: {detail}"[:_DETAIL_LENGTH], field)
    if isinstance(cause, DataError | IntegrityError):
        refused = PoisonMessage(
            "rejected", detail[:_DETAIL_LENGTH], _mentioned(_line(cause), content)
        )
        return _odd_query(cause, content) or refused
    field, problem = _against_schema(content)
    return PoisonMessage("invalid", (problem or detail)[:_DETAIL_LENGTH], field)


def _located(problem: PoisonMessage, content: ScrapedObject) -> PoisonMessage:
    """What core could not find, with the place where the file names it."""
    if problem.field or problem.reason != "unresolved":
        return problem
    for path, _, value in columns.references(content.object_type, content.data):
        if isinstance(value, str) and value and value in problem.detail:
            return PoisonMessage(problem.reason, problem.detail, path)
    return problem


def _odd_query(refused: BaseException, content: ScrapedObject) -> PoisonMessage | None:
    """The reference whose query the database refused, if one asks for what core's never do."""
    for path, kind, value in columns.references(content.object_type, content.data):
        if part := pseudo_ids.unusual_part(kind, value):
            said = f"{path} names no {kind} by {part[:100]}: {_line(refused)}"
            return PoisonMessage("invalid", said[:_DETAIL_LENGTH], path)
    return None


def _cause(links: list[BaseException]) -> BaseException:
    database = (link for link in links if isinstance(link, DataError | IntegrityError))
    # Core's own error repeats the whole object; what it wraps says what was wrong.
    others = (link for link in links if type(link) is not DataImportError)
    return next(database, None) or next(others, links[0])


def _mentioned(text: str, content: ScrapedObject) -> str:
    """The path of the first text of the file that an error quotes."""
    return next((path for path, value in _texts(content.data) if repr(value) in text), "")


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping | list):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, item in items:
            yield from _texts(item, f"{path}.{name}" if path else str(name))


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:_DETAIL_LENGTH]


def _against_schema(content: ScrapedObject) -> tuple[str, str]:
    # Loads all that scrapers use; a run without a bad file needs none of it.
    import jsonschema
    from openstates.scrape.schemas import bill, event, jurisdiction, vote_event

    schemas: dict[str, Mapping[str, Any]] = {
        "bill": bill.schema,
        "event": event.schema,
        "jurisdiction": jurisdiction.schema,
        "vote_event": vote_event.schema,
    }
    schema = schemas.get(content.object_type)
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
