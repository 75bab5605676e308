"""From an importer's attempt at a file to the file's outcome."""

import traceback
from collections.abc import Mapping

from realtime.domain import errors
from realtime.domain.errors import PoisonMessage, RetryLater, Unresolved
from realtime.domain.results import (
    NO_LOOKUP,
    Change,
    Failed,
    FetchedFile,
    FileOutcome,
    Imported,
    LookupKeys,
    Superseded,
    Waiting,
)
from realtime.domain.text import shortened
from realtime.importers.attempts import Attempt

# Core's words for what it did.
_CHANGES: Mapping[str, Change] = {"insert": "inserted", "update": "updated", "noop": "unchanged"}


def outcome_of(attempt: Attempt) -> FileOutcome:
    """The outcome of an attempt. Raises RetryLater when the database interrupted it."""
    file, lookup = attempt.file, attempt.about
    match attempt.error:
        case None:
            change = _CHANGES[attempt.what]
            return Imported(
                attempt.core_id,
                change,
                attempt.bill_identifier,
                lookup,
                attempt.flags,
                attempt.difference,
            )
        case errors.Superseded():
            return Superseded(attempt.core_id, lookup, attempt.flags, attempt.difference)
        case Unresolved(waiting_for=waiting_for) if file.last_chance:
            problem = PoisonMessage("unresolved", f"never came: {waiting_for}")
            return Failed(problem, lookup=lookup)
        case Unresolved(waiting_for=waiting_for):
            return Waiting(waiting_for, lookup)
        case exc:
            return failure(file, exc, lookup)


def failure(file: FetchedFile, exc: Exception, lookup: LookupKeys = NO_LOOKUP) -> Failed:
    """Why a file cannot be imported. Raises RetryLater when nothing is wrong with it."""
    # A run without a bad file loads nothing of this.
    from realtime.importers.diagnosis.explain import explain

    problem = explain(exc, file.content)
    if isinstance(problem, RetryLater):
        raise problem from exc
    expected = exc is problem
    text = "" if expected else shortened("".join(traceback.format_exception(exc)))
    return Failed(problem, text, lookup)
