"""Store and queue for the page, with short timeouts: better to report an outage than to hang."""

import logging
import threading
from typing import cast

from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, InterfaceError, connection

from realtime.backends.queues import queue_of
from realtime.backends.stores import store_of
from realtime.domain.config import Config
from realtime.domain.interfaces import Sends, Store
from realtime.monitoring.status import queue_depth
from realtime.monitoring.status.unannounced import UNKNOWN, Unannounced, look, unannounced
from realtime.monitoring.verdict.facts import gather, without_database
from realtime.monitoring.verdict.finding import Verdict
from realtime.monitoring.verdict.judgement import Limits, judge

logger = logging.getLogger(__name__)

# Seconds: timeouts of each request; how long to wait for the queue, and to cache its answer.
_CONNECTING, _SILENCE = 2.0, 10.0
_WAIT, _SHOWN = 3.0, 5
# Between two looks at the root beside a queue, and how long what one has seen is believed.
_BETWEEN, _BELIEVED = 60, 900


def config() -> Config:
    """The settings that imports use."""
    found: Config = settings.REALTIME
    return found


def store() -> Store:
    """The store of S3_REALTIME_BASE. Raises ConfigurationError when that is missing or wrong."""
    return store_of(config().bucket, attempts=2, connect_timeout=_CONNECTING, read_timeout=_SILENCE)


def queue(files: Store) -> Sends:
    """The queue or, without one, what stands in for it in the store."""
    return queue_of(config(), files, attempts=2, connect_timeout=_CONNECTING, read_timeout=_SILENCE)


def queue_status() -> queue_depth.QueueStatus:
    """The state of the queue or, without one, of the store's root, at most 5 seconds old. Raises
    Django's database errors only."""
    answer = cache.get_or_set("realtime-queue", _ask, _SHOWN)
    return cast(queue_depth.QueueStatus, answer)


def root() -> Unannounced:
    """What waits in the store's root beside a queue, as the last look saw it; UNKNOWN before the
    first one has ended, and without a queue, where `queue_status` says it.

    Looks once a minute at most, in a thread, so that no page waits for the list.
    """
    if config().queue_url and cache.add("realtime-root-looked", True, _BETWEEN):
        threading.Thread(target=_look_at_root, name="page-root", daemon=True).start()
    return cast(Unannounced, cache.get("realtime-root", UNKNOWN))


def _look_at_root() -> None:
    try:
        found = unannounced(look(config(), store), config())
    except (DatabaseError, InterfaceError) as exc:
        logger.warning("root not looked at", extra={"action": "away", "cause": exc})
    else:
        cache.set("realtime-root", found, _BELIEVED)
    finally:
        # It is this thread's own.
        connection.close()


def limits() -> Limits:
    """From when on something is wrong, by the settings."""
    return Limits.of(config())


def verdict() -> Verdict:
    """The verdict on all imports, as of now. Never raises: without the database, that is it."""
    try:
        facts = gather(config(), queue_status(), root())
    except (DatabaseError, InterfaceError) as exc:
        # The error names hosts and roles: it goes to the log, not to the browser.
        logger.warning("verdict without a database", extra={"action": "away", "cause": exc})
        return database_away()
    return judge(facts, limits())


def database_away() -> Verdict:
    """The verdict when the database cannot be reached; nothing is asked."""
    return judge(without_database("the page's log says why"), limits())


def _ask() -> queue_depth.QueueStatus:
    settings = config()
    if settings.queue_url:
        return queue_depth.ask(settings.queue_url, _WAIT)
    return queue_depth.of_root(unannounced(look(settings, store, _WAIT), settings))
