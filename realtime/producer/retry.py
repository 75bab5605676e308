"""How long, and how often, something that fails is tried again."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from realtime.domain.errors import RetryLater

logger = logging.getLogger(__name__)

# Seconds between two log lines about a service that goes on failing.
REPORT_EVERY = 30.0


@dataclass(frozen=True)
class Patience:
    """How failures are retried; all in seconds.

    Waits double from `first_wait` to `longest_wait`, with jitter. A file is given up when its own
    retries have taken `give_up_after`. Once a service has failed for that long without a single
    success, each further file gets one attempt only, so that an outage does not stop a scrape.
    """

    first_wait: float = 0.5
    longest_wait: float = 15.0
    give_up_after: float = 90.0


class Retrying:
    """Calls something that may fail with RetryLater until it works or patience is over.

    Shared by everything that uses the same service. Other errors pass at once, as does the last
    RetryLater; setting `hurry` ends all waiting.
    """

    def __init__(self, patience: Patience, hurry: threading.Event) -> None:
        self._patience = patience
        self._hurry = hurry
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self._reported = 0.0

    def __call__(self, what: str, attempt: Callable[[], None]) -> None:
        began = time.monotonic()
        wait = self._patience.first_wait
        while True:
            try:
                attempt()
            except RetryLater as exc:
                failing_since = self._fails(what, exc)
                pause = wait * random.uniform(0.5, 1.0)
                end = min(began, failing_since) + self._patience.give_up_after
                if time.monotonic() + pause > end or self._hurry.wait(pause):
                    raise
                wait = min(wait * 2, self._patience.longest_wait)
            else:
                self._works(what)
                return

    def _fails(self, what: str, exc: RetryLater) -> float:
        with self._lock:
            now = time.monotonic()
            if self._failing_since is None:
                self._failing_since = self._reported = now
                logger.warning("%s: failed, trying again: %s", what, exc, extra={"action": "retry"})
            elif now - self._reported > REPORT_EVERY:
                self._reported = now
                logger.warning("%s: still failing: %s", what, exc, extra={"action": "retry"})
            return self._failing_since

    def _works(self, what: str) -> None:
        with self._lock:
            if self._failing_since is not None:
                logger.info("%s: works again", what, extra={"action": "retried"})
            self._failing_since = None
