"""What surrounds every import run: how it logs, and what it raises without a database."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import token_hex

from django.db import DatabaseError, InterfaceError, ProgrammingError, connection

from realtime.backends.postgres import rights
from realtime.backends.postgres.interruptions import (
    interrupted,
    lacks_privilege,
    was_cancelled,
)
from realtime.domain.errors import RetryLater, Unavailable
from realtime.domain.run_context import RunContext
from realtime.monitoring.report import Report
from realtime.process import logs

logger = logging.getLogger(__name__)


@contextmanager
def logged_as_run() -> Iterator[None]:
    """Every line logged in the block has this import run's `import_run_id`. (The `run_id` of a
    line is that of a scrape run.) Of the files that fail for one reason the first few have a
    line."""
    with logs.log_context(import_run_id=token_hex(6)), logs.only_first_few():
        yield


def log_summary(report: Report) -> None:
    """One line about a run that ended well; any other logs its error."""
    logger.info("import run ended", extra={"action": "ended", **report.as_fields()})


@contextmanager
def database_needed() -> Iterator[None]:
    """Raises Unavailable in place of what the database raises when it is gone, is not set up, or
    refuses its user."""
    try:
        yield
    except ProgrammingError as exc:
        if lacks_privilege(exc):
            raise Unavailable(f"{_line(exc)}: {_remedy()}") from exc
        raise Unavailable(
            f"the database is not set up, run `manage.py migrate realtime`: {_line(exc)}"
        ) from exc
    except (DatabaseError, InterfaceError) as exc:
        if not interrupted(exc):
            raise
        # What the server refuses has a code.
        reached = getattr(exc.__cause__, "pgcode", None)
        what = "used" if reached else "reached"
        raise Unavailable(f"the database cannot be {what}: {_line(exc)}") from exc


@contextmanager
def stopped_in_time(context: RunContext) -> Iterator[None]:
    """What raises in the block because its statement was cancelled, when the run must stop, is left
    to another run."""
    try:
        yield
    except (RetryLater, DatabaseError) as exc:
        if not (context.must_stop() and was_cancelled(exc)):
            raise
        logger.info("statement cancelled", extra={"action": "cancelled", "cause": _line(exc)})


@contextmanager
def survived(context: RunContext, note: Callable[[], None]) -> Iterator[None]:
    """Call `note` after the block, also after an error: the process has survived the attempt.

    After an error, on a new connection if the old one is lost; what cannot be written then is
    logged.
    """
    try:
        yield
    except Exception:
        try:
            if context.connection_lost():
                connection.close()
            note()
        except (DatabaseError, InterfaceError) as exc:
            about = {"action": "suspect", "cause": exc}
            logger.warning("an attempt that was survived could not be taken back", extra=about)
        raise
    note()


def _remedy() -> str:
    try:
        lacks = rights.lacking(connection, rights.of_imports())
    except (DatabaseError, InterfaceError):
        # It went away meanwhile; what it has refused is told all the same.
        lacks = []
    return rights.told(lacks) or "its owner has to grant it"


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
