"""S3 and SQS as a page asks them: whoever waits for it would rather hear that they are away."""

from django.conf import settings

from realtime import aws
from realtime.config import Config
from realtime.s3 import THREADS, S3Store
from realtime.sqs import SqsQueue


def config() -> Config:
    """The settings of the imports."""
    found: Config = settings.REALTIME
    return found


def store() -> S3Store:
    """The bucket. Raises ConfigurationError as `config().bucket` does."""
    name = config().bucket.name
    return S3Store(name, aws.client("s3", THREADS, attempts=2))


def queue() -> SqsQueue:
    """The queue. Raises ConfigurationError when none is named."""
    return SqsQueue(config().require_queue(), aws.client("sqs", 1, attempts=2))
