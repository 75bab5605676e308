"""Imports what is added to a source as it is added, until told to stop."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace

from realtime.consumer import from_source
from realtime.consumer.from_source import Failure, Watcher
from realtime.consumer.record import Record
from realtime.domain.config import BULK, Config
from realtime.domain.errors import RealtimeError
from realtime.models import Way
from realtime.monitoring.report import Report
from realtime.sources.source import Empty, Source, Volume

logger = logging.getLogger(__name__)

# Seconds between two looks at a source: at a disk, and where a look takes requests.
NEAR, FAR = 1.0, 20.0
# Seconds after which a volume is tried again that was released, or whose members name what has not
# come, and for how long it is.
AGAIN, PATIENCE = 120.0, 86_400.0
# Seconds to wait after an error, the first time and at most; and when all workers are busy.
RETRY, LONGEST_RETRY, BUSY = 1.0, 60.0, 5.0
# Seconds that one record of what was imported covers.
STRETCH = 900.0
_STEP = 0.1


def follow_source(
    config: Config,
    source: Source,
    must_stop: Callable[[], bool],
    watcher: Watcher,
    importer: str = BULK,
    after_run: Callable[[], None] = lambda: None,
) -> Report:
    """Import what is in `source` and what is added to it, until `must_stop` says so; returns the
    sum of the imports' reports.

    What is added is imported within about a second where the source is on a disk, else within
    twenty. The worker slot and the database connection are held during an import only. Nobody says
    when a scrape has ended, so nothing is deleted. A member that names what has not come is tried
    again for a day, at least every two minutes; it is told of once.

    A volume of which each member is in is not looked at again, not even by another call, as long
    as the ledger remembers it. The database and the source may go away and come back. Raises
    ConfigurationError, NoSource, Unavailable or RetryLater only while nothing has succeeded.
    `after_run` is called after each import, when its slot is free, and delays the next one.
    """
    return _Following(config, source, must_stop, watcher, importer, after_run).until_stopped()


class _Following:
    def __init__(
        self,
        config: Config,
        source: Source,
        must_stop: Callable[[], bool],
        watcher: Watcher,
        importer: str,
        after_run: Callable[[], None],
    ) -> None:
        self._config = config
        self._after_run = after_run
        self._source = source
        self._must_stop = must_stop
        self._watcher = replace(watcher, tell=self._tell)
        self._tell_once = watcher.tell
        self._importer = importer
        self._sum = Report()
        self._record = Record(config, Way.SOURCE, STRETCH)
        self._done: set[str] = set()
        # When those were first tried that are not done.
        self._tried: dict[str, float] = {}
        self._looked_at = 0.0
        self._told: set[tuple[str, str]] = set()

    def until_stopped(self) -> Report:
        succeeded, errors = False, 0
        while not self._must_stop():
            try:
                pause = self._look()
            except RealtimeError as exc:
                if not succeeded:
                    raise
                pause = min(RETRY * 2**errors, LONGEST_RETRY) * random.uniform(0.5, 1.0)
                errors += 1
                about = {"action": "follow-retry", "retry_seconds": round(pause, 1), "cause": exc}
                logger.warning("import failed, another follows", extra=about)
            else:
                succeeded, errors = True, 0
            self._pause(pause)
        return self._sum

    def _look(self) -> float:
        """Import what is new; returns after how many seconds to look again."""
        poll = FAR if self._source.is_far else NEAR
        try:
            volumes = list(self._source.volumes())
        except Empty:
            return poll
        # What is gone need not be remembered.
        there = {volume.fingerprint for volume in volumes}
        self._done &= there
        self._tried = {name: since for name, since in self._tried.items() if name in there}
        left = [volume for volume in volumes if volume.fingerprint not in self._done]
        is_new = any(volume.fingerprint not in self._tried for volume in left)
        if not is_new and (not left or time.monotonic() - self._looked_at < AGAIN):
            return poll
        self._looked_at = time.monotonic()
        report = from_source.run(
            self._config,
            self._source,
            self._must_stop,
            self._watcher,
            self._importer,
            volumes=left,
            done=self._is_done,
            skip_known=True,
            record=self._record,
        )
        self._sum.add(report)
        self._after_run()
        if report.note:
            return BUSY
        now = time.monotonic()
        for volume in left:
            since = self._tried.setdefault(volume.fingerprint, now)
            if now - since > PATIENCE:
                self._is_done(volume)
        return poll

    def _is_done(self, volume: Volume) -> None:
        self._done.add(volume.fingerprint)
        self._tried.pop(volume.fingerprint, None)

    def _tell(self, failure: Failure) -> None:
        about = (failure.name, failure.problem.reason)
        if about not in self._told:
            self._told.add(about)
            self._tell_once(failure)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._must_stop():
            time.sleep(min(_STEP, max(until - time.monotonic(), 0)))
