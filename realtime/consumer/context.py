"""What the steps of one import run share."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Protocol

from django.db import DatabaseError, InterfaceError, ProgrammingError

from realtime.backends.postgres.interruptions import interrupted
from realtime.backends.postgres.locks import WorkerSlot
from realtime.domain.config import Config
from realtime.domain.errors import Unavailable
from realtime.domain.interfaces import Store
from realtime.monitoring.report import Report
from realtime.process import logs

logger = logging.getLogger(__name__)


class Importing(Protocol):
    """What importing a batch takes, wherever its files come from."""

    slot: WorkerSlot
    report: Report
    importer: str
    failed_ledger_ids: list[int]

    @property
    def must_stop(self) -> Callable[[], bool]: ...


@dataclass
class Work:
    """One run's means and its findings.

    `importer` names the importers that write the rows. `must_stop` is asked between files.
    `failed_ledger_ids` are the ledger's rows of files that failed; `unavailable` is what ends the
    run with an error once what can be done is done.
    """

    config: Config
    store: Store
    slot: WorkerSlot
    report: Report
    must_stop: Callable[[], bool]
    importer: str
    failed_ledger_ids: list[int] = field(default_factory=list)
    unavailable: Unavailable | None = None


@contextmanager
def said_of_run() -> Iterator[None]:
    """Every line that is logged in the block names this import run, by an `import_run_id` of its
    own: the `run_id` of a line is that of a scrape run."""
    with logs.log_context(import_run_id=token_hex(6)):
        yield


def log_summary(report: Report) -> None:
    """One line about a run that has ended in good order; an error says itself what it is."""
    logger.info("import run ended", extra={"action": "ended", **report.as_fields()})


@contextmanager
def database_needed() -> Iterator[None]:
    """Raises Unavailable in place of what the database raises when it is gone or not set up."""
    try:
        yield
    except ProgrammingError as exc:
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


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
