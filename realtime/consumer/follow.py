"""Imports what comes as it comes: import runs one after the other, until told to stop."""

import logging
import random
import time
from dataclasses import replace

from realtime.backends.sqs import SqsQueue
from realtime.consumer import run as import_run
from realtime.consumer.sources import QueueInbox
from realtime.domain.breaker import Breaker
from realtime.domain.config import BULK, Config
from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Store
from realtime.domain.messages import ReceivedMessage
from realtime.monitoring.report import Report

logger = logging.getLogger(__name__)

# Seconds of one request that waits for messages. It ends no earlier when the process must stop.
POLL = 5
# Seconds from the start of a run to that of the next, at least: what comes meanwhile shares a run.
PACE = 1.0
# Seconds after which parked files and complete scrape runs are looked at, even if nothing came.
IDLE = 120.0
# Seconds to wait after an error, the first time and at most; and when all workers are busy.
RETRY, LONGEST_RETRY, BUSY = 1.0, 30.0, 5.0
# Seconds that one breaker counts, about those of a run that a timer starts.
STRETCH = 900.0
_STEP = 0.1


def follow(
    config: Config,
    queue: SqsQueue,
    store: Store,
    limits: import_run.Limits,
    importer: str = BULK,
) -> Report:
    """Import messages as they come, in import runs of at most `limits.max_messages`, until
    `limits.must_stop` says so; returns the sum of their reports.

    A run begins within about a second of a message. The worker slot and the database connection
    are held during a run only. The guarantees are those of a run: each message is acknowledged
    after its files are committed, and those received but not yet tried come again.

    The database, S3 and SQS may go away and come back: a run that cannot reach them is tried again,
    after 1 to 30 seconds. Raises ConfigurationError, Unavailable or RetryLater only while no run
    has succeeded: then the settings are wrong, or nothing is there.
    """
    return _Following(config, queue, store, limits, importer).until_stopped()


class _Following:
    def __init__(
        self,
        config: Config,
        queue: SqsQueue,
        store: Store,
        limits: import_run.Limits,
        importer: str,
    ) -> None:
        self._config = config
        self._queue = queue
        self._store = store
        self._limits = replace(limits, until_empty=False)
        self._importer = importer
        self._sum = Report()
        self._errors = 0

    def until_stopped(self) -> Report:
        looked_at, began, succeeded = -IDLE, -STRETCH, False
        breaker = Breaker(0, 0)
        while not self._limits.must_stop():
            if time.monotonic() - began > STRETCH:
                began = time.monotonic()
                breaker = Breaker(self._config.breaker_failed, self._config.breaker_shrunk)
            try:
                waited = self._queue.wait(POLL, self._config.visibility_timeout)
                if not waited and time.monotonic() - looked_at < IDLE:
                    continue
                looked_at = time.monotonic()
                took_part = self._run(waited, breaker)
            except RealtimeError as exc:
                if not succeeded:
                    raise
                self._retry(exc)
                continue
            succeeded, self._errors = True, 0
            self._pause(PACE - (time.monotonic() - looked_at) if took_part else BUSY)
        return self._sum

    def _run(self, waited: list[ReceivedMessage], breaker: Breaker) -> bool:
        """One import run; False when all workers are busy."""
        inbox = QueueInbox(self._queue, self._config.visibility_timeout, waited)
        report = import_run.run(
            self._config, inbox, self._store, self._limits, self._importer, breaker
        )
        self._sum.add(report)
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
