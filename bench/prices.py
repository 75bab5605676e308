"""What requests and seconds cost at AWS's list prices."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MILLION = 1_000_000
# AWS's own month.
MONTH_SECONDS = 730 * 3600
_PUT_CLASS = {"PutObject", "CopyObject", "ListObjectsV2"}
_FREE = {"DeleteObject", "DeleteObjects"}


@dataclass(frozen=True)
class Prices:
    """List prices of a region in US dollars, as they were when `looked_up`; without any free tier.

    Data transfer between S3, SQS, Lambda and hosts of the same region is free.
    """

    region: str = "us-east-1"
    looked_up: str = "2026-11"
    # For 1,000 requests. Those to delete are free.
    s3_put_copy_list: float = 0.005
    s3_get_and_others: float = 0.0004
    # For a GB, a month.
    s3_standard: float = 0.023
    # For a million requests of at most 64 KB, standard queue.
    sqs: float = 0.40
    # arm64.
    lambda_gb_second: float = 0.0000133334
    # For a million.
    lambda_requests: float = 0.20
    # An hour of a host with two cores and 4 GB, t4g.medium.
    host_hour: float = 0.0336

    def s3(self, requests: Mapping[str, float]) -> float:
        """Dollars of the requests to S3 among `requests`, which are counted by operation."""
        return sum(
            count / 1000 * (self.s3_put_copy_list if name in _PUT_CLASS else self.s3_get_and_others)
            for name, count in requests.items()
            if not _is_sqs(name) and name not in _FREE
        )

    def queue(self, requests: Mapping[str, float]) -> float:
        """Dollars of the requests to SQS among `requests`."""
        return sum(n for name, n in requests.items() if _is_sqs(name)) / MILLION * self.sqs

    def function(self, invocations: float, gb_seconds: float) -> float:
        """Dollars of Lambda."""
        return invocations / MILLION * self.lambda_requests + gb_seconds * self.lambda_gb_second


@dataclass(frozen=True)
class Deployment:
    """How imports are run: the defaults of deploy/aws/template.yaml and deploy/cron."""

    # Seconds between two starts, from cron or the schedule.
    every: float = 120.0
    # Memory of the function; 1,769 MB are one vCPU.
    gigabytes: float = 1769 / 1024
    # Messages in an invocation by the event source.
    batch: int = 300
    # The event source keeps at least five requests open, each for 20 seconds, and receives and
    # deletes at most ten messages in one.
    pollers: int = 5
    poll_seconds: float = 20.0
    polled: int = 10


@dataclass(frozen=True)
class Measured:
    """What was measured of some files: their bytes, the requests of publishing and those of
    importing and archiving by operation, and the seconds of the latter. `idle` are the requests and
    the seconds of a run that finds the queue empty."""

    files: int
    bytes: int
    published: Mapping[str, float]
    imported: Mapping[str, float]
    seconds: float
    idle: Mapping[str, float]
    idle_seconds: float


def a_million(
    measured: Measured, prices: Prices = Prices(), deployment: Deployment = Deployment()
) -> dict[str, Any]:
    """Dollars of a million such files, by the way in which imports are started, and of a month
    without files."""
    scale = MILLION / measured.files
    published = {name: n * scale for name, n in measured.published.items()}
    imported = {name: n * scale for name, n in measured.imported.items()}
    # Lambda receives and deletes in our place.
    batches = dict.fromkeys(("ReceiveMessage", "DeleteMessageBatch"), MILLION / deployment.polled)
    seconds = measured.seconds * scale
    gb_seconds = seconds * deployment.gigabytes
    starts = MONTH_SECONDS / deployment.every
    idle_queue = prices.queue(measured.idle) * starts
    idle_gb_seconds = measured.idle_seconds * starts * deployment.gigabytes
    polls = deployment.pollers * MONTH_SECONDS / deployment.poll_seconds
    s3 = prices.s3(published) + prices.s3(imported)
    queue = prices.queue(published) + prices.queue(imported)
    by_event = prices.queue(published) + prices.queue({**imported, **batches})
    ways = {
        "cron": (queue, 0.0, idle_queue),
        "schedule": (
            queue,
            prices.function(seconds / deployment.every, gb_seconds),
            idle_queue + prices.function(starts, idle_gb_seconds),
        ),
        "event source": (
            by_event,
            prices.function(MILLION / deployment.batch, gb_seconds),
            prices.queue({"ReceiveMessage": polls}),
        ),
    }
    return {
        "prices": asdict(prices),
        "deployment": asdict(deployment),
        "hours": seconds / 3600,
        "a month in S3": measured.bytes * scale / 1e9 * prices.s3_standard,
        "ways": {
            way: {"S3": s3, "SQS": sqs, "Lambda": function, "an idle month": idle}
            for way, (sqs, function, idle) in ways.items()
        },
    }


def _is_sqs(operation: str) -> bool:
    return "Message" in operation or "Queue" in operation
