"""The depth of the queue and the age of its oldest message, from AWS; without a queue, what waits
in the store's root."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends import clients
from realtime.backends.sqs import Depth, SqsQueue
from realtime.domain.errors import RealtimeError
from realtime.monitoring.status.unannounced import Unannounced

# Seconds for all requests together. Requests have shorter timeouts, but name lookups have none.
LIMIT = 8.0
_CONNECTING, _SILENCE = 2.0, 4.0
# CloudWatch has one value a minute, some minutes late; older values are out of date.
_RECENT = timedelta(minutes=5)
# Where the age of the oldest message, or file, comes from.
CLOUDWATCH, STORE = "cloudwatch", "store"
_AWS = ("amazonaws.com", "amazonaws.com.cn")


@dataclass(frozen=True)
class QueueStatus:
    """The state of the queue. `depth` is None when it is unknown; `problem` then says why.

    `oldest_seconds` is the age of the oldest message; None when CloudWatch does not give it, or
    the queue has no message. `source` is CLOUDWATCH, or STORE without a queue.
    """

    depth: Depth | None = None
    oldest_seconds: float | None = None
    problem: str = ""
    source: str = CLOUDWATCH


def of_root(waiting: Unannounced) -> QueueStatus:
    """The files in the store's root as the queue that they are where there is none."""
    if waiting.files is None:
        return QueueStatus(problem=waiting.problem, source=STORE)
    return QueueStatus(Depth(waiting.files, 0, 0), waiting.oldest_seconds, source=STORE)


def ask(url: str, limit: float = LIMIT) -> QueueStatus:
    """The state of the queue at `url`, within `limit` seconds. Never raises."""
    answers = [QueueStatus(problem=f"SQS did not answer within {limit:g} seconds")]
    # A daemon thread: a hanging name lookup must not keep the process from exiting.
    asking = threading.Thread(
        target=lambda: answers.append(_ask(url)), name="status-queue", daemon=True
    )
    asking.start()
    asking.join(limit)
    return answers[-1]


def _ask(url: str) -> QueueStatus:
    try:
        client = _client("sqs")
        depth = SqsQueue(url, client).depth()
    except RealtimeError as exc:
        return QueueStatus(problem=" ".join(str(exc).split()))
    if not depth.visible and not depth.in_flight:
        return QueueStatus(depth)
    return QueueStatus(depth, _oldest(url, client.meta.endpoint_url))


def _oldest(url: str, endpoint: str) -> float | None:
    """The age of the oldest message in seconds: CloudWatch's newest value. SQS does not give it."""
    try:
        client = _client("cloudwatch")
        if not _same_service(client.meta.endpoint_url, endpoint):
            # Amazon's CloudWatch knows nothing of a queue of another service.
            return None
        now = datetime.now(UTC)
        found = client.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Dimensions=[{"Name": "QueueName", "Value": urlsplit(url).path.rpartition("/")[2]}],
            StartTime=now - _RECENT,
            EndTime=now + timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )
    except (RealtimeError, BotoCoreError, ClientError):
        # Not allowed or not available: Status falls back to the ledger and names the source.
        return None
    points = sorted(found["Datapoints"], key=lambda point: point["Timestamp"])
    return float(points[-1]["Maximum"]) if points else None


def _client(service: str) -> Any:
    return clients.client(
        service, threads=1, attempts=1, connect_timeout=_CONNECTING, read_timeout=_SILENCE
    )


def _same_service(one: str, other: str) -> bool:
    hosts = [urlsplit(url).hostname or "" for url in (one, other)]
    return hosts[0] == hosts[1] or all(host.endswith(_AWS) for host in hosts)
