"""S3 and SQS as a page asks them: whoever waits for it would rather hear that they are away."""

from typing import cast

from django.conf import settings
from django.core.cache import cache

from realtime.backends import clients
from realtime.backends.s3 import THREADS, S3Store
from realtime.backends.sqs import SqsQueue
from realtime.domain.config import Config
from realtime.monitoring.status import queue_depth

# Seconds that a page waits for each request, and that an answer about the queue is shown.
_CONNECTING, _SILENCE = 2.0, 10.0
_WAIT, _SHOWN = 3.0, 5


def config() -> Config:
    """The settings of the imports."""
    found: Config = settings.REALTIME
    return found


def store() -> S3Store:
    """The bucket. Raises ConfigurationError as `config().bucket` does."""
    name = config().bucket.name
    client = clients.client("s3", THREADS, attempts=2, connecting=_CONNECTING, silence=_SILENCE)
    return S3Store(name, client)


def queue() -> SqsQueue:
    """The queue. Raises ConfigurationError when none is named."""
    client = clients.client("sqs", 1, attempts=2, connecting=_CONNECTING, silence=_SILENCE)
    return SqsQueue(config().require_queue(), client)


def waiting() -> queue_depth.Answer:
    """What waits in the queue, as of the last few seconds; never raises."""
    answer = cache.get_or_set(
        "realtime-queue", lambda: queue_depth.ask(config().queue_url, _WAIT), _SHOWN
    )
    return cast(queue_depth.Answer, answer)
