"""Retries with exponential backoff for S3 and SQS calls of the producer."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from realtime.domain.errors import RetryLater

logger = logging.getLogger(__name__)

# Seconds between log lines about a service that keeps failing.
REPORT_EVERY = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    """How failures are retried; all values in seconds.

    The wait doubles from `first_wait` up to `longest_wait`, with jitter. A call fails when its
    retries have taken `give_up_after`. Once a service has failed for that long without a success,
    each further call gets a single attempt, so that an outage does not stop a scrape.
    """

    first_wait: float = 0.5
    longest_wait: float = 15.0
    give_up_after: float = 90.0


class Retrying:
    """Repeats a call while it raises RetryLater, as a RetryPolicy says.

    Share one instance among all callers of the same service. The last RetryLater is raised, and
    any other error at once. Setting the event `stop_waiting` ends all waits.
    """

    def __init__(self, retry_policy: RetryPolicy, stop_waiting: threading.Event) -> None:
        self._retry_policy = retry_policy
        self._stop_waiting = stop_waiting
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self._reported = 0.0

    def __call__(self, what: str, attempt: Callable[[], object]) -> None:
        began = time.monotonic()
        wait = self._retry_policy.first_wait
        while True:
            try:
                attempt()
            except RetryLater as exc:
                failing_since = self._note_failure(what, exc)
                pause = wait * random.uniform(0.5, 1.0)
                end = min(began, failing_since) + self._retry_policy.give_up_after
                if time.monotonic() + pause > end or self._stop_waiting.wait(pause):
                    raise
                wait = min(wait * 2, self._retry_policy.longest_wait)
            else:
                self._note_success(what)
                return

    def _note_failure(self, what: str, exc: RetryLater) -> float:
        with self._lock:
            now = time.monotonic()
            if self._failing_since is None:
                self._failing_since = self._reported = now
                logger.warning("%s: failed, trying again: %s", what, exc, extra={"action": "retry"})
            elif now - self._reported > REPORT_EVERY:
                self._reported = now
                logger.warning("%s: still failing: %s", what, exc, extra={"action": "retry"})
            return self._failing_since

    def _note_success(self, what: str) -> None:
        with self._lock:
            if self._failing_since is not None:
                logger.info("%s: works again", what, extra={"action": "retried"})
            self._failing_since = None
