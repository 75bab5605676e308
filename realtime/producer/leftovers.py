"""What scrapes that were killed, or could not reach S3 or SQS, have left in the spool."""

import logging
import threading
from pathlib import Path

from realtime.domain.config import Bucket
from realtime.domain.interfaces import Sends, Uploads
from realtime.producer.backoff import RetryPolicy
from realtime.producer.producer import Jurisdiction
from realtime.producer.publish_files import Published, publish_spool

logger = logging.getLogger(__name__)

# The most problems that are logged one by one.
_MAX_LOGGED = 10


class Leftovers:
    """Publishes in the background what earlier scrapes of a jurisdiction left in `spool`.

    Scrapes that still run keep theirs. What cannot be sent either stays for the next scrape, and
    does not fail this one.
    """

    def __init__(
        self,
        store: Uploads,
        queue: Sends,
        base: Bucket,
        spool: Path,
        retry_policy: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._base = base
        self._spool = spool
        self._retry_policy = retry_policy
        self._threads: dict[str, threading.Thread] = {}

    def publish(self, jurisdiction: Jurisdiction) -> None:
        """Begin to publish those of `jurisdiction`; does nothing when called again for it."""
        if jurisdiction.id in self._threads:
            return
        # A daemon: files leave the spool only once sent, so it may be ended at any time.
        thread = threading.Thread(
            target=self._publish, args=(jurisdiction,), name="leftovers", daemon=True
        )
        self._threads[jurisdiction.id] = thread
        thread.start()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all is published or given up, or for `timeout` seconds."""
        for thread in self._threads.values():
            thread.join(timeout)

    def _publish(self, jurisdiction: Jurisdiction) -> None:
        report = Published()
        try:
            publish_spool(
                self._store,
                self._queue,
                self._base,
                self._spool,
                report,
                whose=jurisdiction,
                retry_policy=self._retry_policy,
            )
        except Exception:
            # The scrape goes on, and the files stay where they are.
            logger.exception("%s: not published", self._spool, extra={"action": "leftovers"})
        if count := sum(report.types.values()):
            logger.info(
                "published %d files that earlier scrapes had left in %s",
                count,
                self._spool,
                extra={"action": "leftovers", "objects": dict(report.types)},
            )
        for problem in report.problems[:_MAX_LOGGED]:
            logger.warning("left by an earlier scrape: %s", problem, extra={"action": "leftovers"})
        if more := report.problems[_MAX_LOGGED:]:
            logger.warning("… and %d more", len(more), extra={"action": "leftovers"})
