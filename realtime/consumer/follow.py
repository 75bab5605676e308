"""Imports what comes as it comes: import runs one after the other, until told to stop."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from realtime.consumer import run as import_run
from realtime.consumer.record import Record
from realtime.consumer.sources import Inbox, QueueInbox
from realtime.consumer.sweep import Sweep, SweepInbox
from realtime.domain.breaker import Breaker
from realtime.domain.config import BULK, Config
from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Store
from realtime.models import Way
from realtime.monitoring.report import Report

if TYPE_CHECKING:
    from realtime.backends.sqs import SqsQueue

logger = logging.getLogger(__name__)

# Seconds of one request that waits for messages. It ends no earlier when the process must stop.
POLL = 5
# Seconds from the start of a run to that of the next, at least: what comes meanwhile shares a run.
PACE = 1.0
# Seconds after which parked files and complete scrape runs are looked at, even if nothing came.
IDLE = 120.0
# Seconds to wait after an error, the first time and at most; and when all workers are busy.
RETRY, LONGEST_RETRY, BUSY = 1.0, 30.0, 5.0
# Seconds that one breaker counts and one record covers, about those of a run that a timer starts.
STRETCH = 900.0
_STEP = 0.1
# Seconds from one listing of the root to the next, at least: of a folder on disk, of a bucket,
# where each costs requests. A listing takes up at most this share of the time.
LISTED_EVERY, REQUESTED_EVERY = 0.5, 5.0
_SHARE = 0.2


class Arrivals(Protocol):
    """Where it is seen that something came."""

    def wait(self) -> Inbox | None:
        """Wait for what comes, for a few seconds at most; None when nothing has."""

    def inbox(self) -> Inbox:
        """For a run though nothing came."""


class QueueArrivals:
    """A queue tells."""

    def __init__(self, queue: "SqsQueue", visibility_timeout: int) -> None:
        self._queue = queue
        self._timeout = visibility_timeout

    def wait(self) -> Inbox | None:
        waited = self._queue.wait(POLL, self._timeout)
        return QueueInbox(self._queue, self._timeout, waited) if waited else None

    def inbox(self) -> Inbox:
        return QueueInbox(self._queue, self._timeout)


class RootArrivals:
    """Without a queue, the store's root is listed every `seconds`."""

    def __init__(self, sweep: Sweep, seconds: float) -> None:
        self._sweep = sweep
        self._seconds = seconds
        self._next = 0.0

    def wait(self) -> Inbox | None:
        began = time.monotonic()
        if began >= self._next:
            self._sweep.look()
            took = time.monotonic() - began
            self._next = began + max(self._seconds, took / _SHARE)
        if self._sweep.has_found:
            return self.inbox()
        time.sleep(min(_STEP, max(self._next - time.monotonic(), 0)))
        return None

    def inbox(self) -> Inbox:
        return SweepInbox(self._sweep)


def follow(
    config: Config,
    arrivals: Arrivals,
    store: Store,
    limits: import_run.Limits,
    importer: str = BULK,
    after_run: Callable[[], None] = lambda: None,
) -> Report:
    """Import messages as they come, in import runs of at most `limits.max_messages`, until
    `limits.must_stop` says so; returns the sum of their reports.

    A run begins within about a second of a message, or of the listing that shows a file. The worker
    slot and the database connection are held during a run only. The guarantees are those of a run:
    each message is acknowledged after its files are committed, and those received but not yet tried
    come again.

    The database, the store and the queue may go away and come back: a run that cannot reach them is
    tried again, after 1 to 30 seconds. Raises ConfigurationError, Unavailable or RetryLater only
    while no run has succeeded: then the settings are wrong, or nothing is there. `after_run` is
    called after each run, when its slot is free, and delays the next one.
    """
    return _Following(config, arrivals, store, limits, importer, after_run).until_stopped()


class _Following:
    def __init__(
        self,
        config: Config,
        arrivals: Arrivals,
        store: Store,
        limits: import_run.Limits,
        importer: str,
        after_run: Callable[[], None],
    ) -> None:
        self._config = config
        self._after_run = after_run
        self._arrivals = arrivals
        self._store = store
        self._limits = replace(limits, until_empty=False)
        self._importer = importer
        self._sum = Report()
        self._errors = 0

    def until_stopped(self) -> Report:
        looked_at, began, succeeded = -IDLE, -STRETCH, False
        breaker = Breaker(0, 0)
        record = Record(self._config, Way.FOLLOW, STRETCH)
        while not self._limits.must_stop():
            if time.monotonic() - began > STRETCH:
                began = time.monotonic()
                breaker = Breaker(self._config.breaker_failed, self._config.breaker_shrunk)
            try:
                inbox = self._arrivals.wait()
                if inbox is None and time.monotonic() - looked_at < IDLE:
                    continue
                looked_at = time.monotonic()
                took_part = self._run(inbox or self._arrivals.inbox(), breaker, record)
            except RealtimeError as exc:
                if not succeeded:
                    raise
                self._retry(exc)
                continue
            succeeded, self._errors = True, 0
            self._pause(PACE - (time.monotonic() - looked_at) if took_part else BUSY)
        return self._sum

    def _run(self, inbox: Inbox, breaker: Breaker, record: Record) -> bool:
        """One import run; False when all workers are busy."""
        report = import_run.run(
            self._config, inbox, self._store, self._limits, self._importer, breaker, record
        )
        self._sum.add(report)
        self._after_run()
        return not report.note

    def _retry(self, exc: RealtimeError) -> None:
        seconds = min(RETRY * 2**self._errors, LONGEST_RETRY) * random.uniform(0.5, 1.0)
        self._errors += 1
        about = {"action": "follow-retry", "retry_seconds": round(seconds, 1), "cause": exc}
        logger.warning("import run failed, another follows", extra=about)
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._limits.must_stop():
            time.sleep(min(_STEP, max(until - time.monotonic(), 0)))
