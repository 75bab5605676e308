"""Keeps what import runs did, in the ledger (`ImportRun`)."""

import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, InterfaceError, ProgrammingError, connection

from realtime.backends.request_counts import counted_into
from realtime.domain.config import Config
from realtime.domain.errors import RealtimeError
from realtime.ledger import import_runs
from realtime.ledger.import_runs import Figures, Place
from realtime.monitoring.report import KEPT_LAGS, Report, percentile
from realtime.process import logs

logger = logging.getLogger(__name__)


class Record:
    """The record of one run or, with `stretch`, of the runs that begin within so many seconds.

    A run costs two statements, on the connection that it has anyway. The first is made when it
    begins, so that a run that is killed is seen as one that did not end. Runs with nothing to do,
    or with the same error, count in one row.

    A run that ends with an error is recorded with it, unless the error took the connection: then it
    is one that did not end. A run that cannot reach the database, or finds no free worker slot, is
    not recorded. What cannot be recorded otherwise (the table is missing or closed to us) is a
    warning in the log: the run does its work.
    """

    def __init__(self, config: Config, way: str, stretch: float = 0.0) -> None:
        host, request_id = config.function or socket.gethostname(), logs.context_field("request_id")
        self._place = Place(way, host, request_id, os.getpid())
        self._stretch = stretch
        self._forget()

    def _forget(self) -> None:
        """The next run begins a row of its own."""
        self._row: int | None = None
        self._began = time.monotonic()
        self._figures = Figures()
        self._lags: list[float] = []

    @contextmanager
    def of(
        self, report: Report, counts: Callable[[], Counter[str]] | None = None
    ) -> Iterator[None]:
        """Record the run that is the block, which fills in `report`, or `counts` instead of what it
        counts.

        Raises Django's database errors when it cannot begin, but never for the record alone.
        """
        self._begin()
        before, cpu = time.perf_counter(), time.process_time()
        requests: Counter[str] = Counter()
        error = ""
        try:
            with counted_into(requests):
                yield
        except BaseException as exc:
            error = _told(exc)
            raise
        finally:
            seconds = Counter(report.seconds) | Counter({"total": time.perf_counter() - before})
            self._lags = [*self._lags, *report.lags][-KEPT_LAGS:]
            done = Figures(
                counts() if counts else report.counts(),
                seconds,
                requests,
                report.statements,
                time.process_time() - cpu,
                error=error,
            )
            self._end(done)

    def _begin(self) -> None:
        if self._row is not None and time.monotonic() - self._began > self._stretch:
            self._forget()
        run_id = logs.context_field("import_run_id")
        try:
            if self._row is not None and import_runs.begin_again(self._row, run_id):
                return
            self._forget()
            self._row = import_runs.begin(self._place, run_id)
        except ProgrammingError as exc:
            self._row = None
            _warn(exc)

    def _end(self, done: Figures) -> None:
        # Not on another connection: this one may have had a worker slot.
        if self._row is None or connection.connection is None:
            return
        if done.error and not connection.is_usable():
            return
        alone = self._figures == Figures()
        self._figures = self._plus(done)
        try:
            if alone and done.is_idle:
                import_runs.end_idle(self._row, self._figures, self._place)
                self._forget()
            else:
                import_runs.end(self._row, self._figures)
        except (DatabaseError, InterfaceError) as exc:
            _warn(exc)

    def _plus(self, done: Figures) -> Figures:
        kept = self._figures
        return Figures(
            Counter(kept.counts) + Counter(done.counts),
            Counter(kept.seconds) + Counter(done.seconds),
            Counter(kept.requests) + Counter(done.requests),
            kept.statements + done.statements,
            kept.cpu_seconds + done.cpu_seconds,
            percentile(self._lags, 50),
            percentile(self._lags, 95),
            done.error,
        )


def _told(exc: BaseException) -> str:
    # What is unexpected may quote anything that was scraped.
    return str(exc) if isinstance(exc, RealtimeError) else type(exc).__name__


def _warn(exc: Exception) -> None:
    line = " ".join(str(exc).split())
    logger.warning("import run not recorded", extra={"action": "record", "cause": line})
