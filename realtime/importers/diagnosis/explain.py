"""Says what is wrong with a file, or that nothing is, when its import raised."""

from collections.abc import Sequence

from django.db import DataError, IntegrityError
from openstates.exceptions import DataImportError

from realtime.backends.postgres.interruptions import (
    READ_ONLY,
    chain,
    error_code,
    interrupted,
)
from realtime.domain.errors import PoisonMessage, RetryLater, Unavailable
from realtime.domain.scraped_object import ScrapedObject
from realtime.importers.diagnosis import objects
from realtime.importers.diagnosis.paths import DETAIL_LENGTH, quoted, unstorable
from realtime.importers.diagnosis.shapes import references

_TOO_DEEP = PoisonMessage("bad-json", "the file is nested too deeply")


def problem_of(content: ScrapedObject) -> PoisonMessage | None:
    """What core's tables could never hold of a file, named by its field; None when they could.

    Asks no database. Whatever has a problem cannot be imported as a new row, by core either; what
    has none may still name things that do not exist. Costs about as much as reading the file.
    """
    return next(objects.misfits(content.object_type, content.fresh()), None)


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
    if interruption := interrupted(exc):
        return _interruption(interruption)
    try:
        if problem := problem_of(content):
            return problem
        if any(isinstance(link, RecursionError) for link in links):
            return _TOO_DEEP
        return _guess(links, content)
    except RecursionError:
        return _TOO_DEEP


def _located(problem: PoisonMessage, content: ScrapedObject) -> PoisonMessage:
    """What core could not find, with the place where the file names it."""
    if problem.field or problem.reason != "unresolved":
        return problem
    for path, _, value in references(content.object_type, content.data):
        if isinstance(value, str) and value and value in problem.detail:
            return PoisonMessage(problem.reason, problem.detail, path)
    return problem


def _interruption(exc: BaseException) -> RetryLater:
    # No file of any jurisdiction can be imported into a standby.
    kind = Unavailable if error_code(exc) == READ_ONLY else RetryLater
    return kind(f"the import was interrupted: {_line(exc)}")


def _guess(links: Sequence[BaseException], content: ScrapedObject) -> PoisonMessage:
    """The best that can be said of a file that the tables could hold."""
    cause = _cause(links)
    detail = f"{type(cause).__name__}: {_line(cause)}"
    if isinstance(cause, KeyError) and cause.args:
        # Core's schemas take a field that is left out for an optional one; its importers do not.
        field = str(cause.args[0])[:DETAIL_LENGTH]
        return PoisonMessage("invalid", f"{field} is missing", field)
    if isinstance(cause, ValueError):
        # What core asks the database for, and does not store, no column was asked about.
        field = quoted(_line(cause), content.data) or next(unstorable(content.data), "")
        if field:
            return _poison("invalid", f"{field}: {detail}", field)
    if isinstance(cause, DataError | IntegrityError):
        field = quoted(_line(cause), content.data)
        return _poison("rejected", detail, field)
    # A run without such a file need not load what scrapers use.
    from realtime.importers.diagnosis import schemas

    field, problem = schemas.objection(content.object_type, content.data)
    return _poison("invalid", problem or detail, field)


def _cause(links: Sequence[BaseException]) -> BaseException:
    database = (link for link in links if isinstance(link, DataError | IntegrityError))
    # Core's own error repeats the whole object; what it wraps says what was wrong.
    others = (link for link in links if type(link) is not DataImportError)
    return next(database, None) or next(others, links[0])


def _poison(reason: str, detail: str, field: str) -> PoisonMessage:
    return PoisonMessage(reason, detail[:DETAIL_LENGTH], field)


def _line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:DETAIL_LENGTH]
