"""S3 and SQS for the page, with short timeouts: better to report an outage than to hang."""

from typing import cast

from django.conf import settings
from django.core.cache import cache

from realtime.backends import clients
from realtime.backends.s3 import THREADS, S3Store
from realtime.backends.sqs import SqsQueue
from realtime.domain.config import Config
from realtime.monitoring.status import queue_depth

# Seconds: timeouts of each request; how long to wait for the queue, and to cache its answer.
_CONNECTING, _SILENCE = 2.0, 10.0
_WAIT, _SHOWN = 3.0, 5


def config() -> Config:
    """The settings that imports use."""
    found: Config = settings.REALTIME
    return found


def store() -> S3Store:
    """The bucket of S3_REALTIME_BASE. Raises ConfigurationError when that is missing or wrong."""
    name = config().bucket.name
    client = clients.client(
        "s3", THREADS, attempts=2, connect_timeout=_CONNECTING, read_timeout=_SILENCE
    )
    return S3Store(name, client)


def queue() -> SqsQueue:
    """The queue. Raises ConfigurationError when SQS_QUEUE_URL is not set."""
    client = clients.client(
        "sqs", 1, attempts=2, connect_timeout=_CONNECTING, read_timeout=_SILENCE
    )
    return SqsQueue(config().require_queue(), client)


def queue_status() -> queue_depth.QueueStatus:
    """The state of the queue, at most 5 seconds old. Never raises."""
    answer = cache.get_or_set(
        "realtime-queue", lambda: queue_depth.ask(config().queue_url, _WAIT), _SHOWN
    )
    return cast(queue_depth.QueueStatus, answer)
