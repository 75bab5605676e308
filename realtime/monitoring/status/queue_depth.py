"""What waits in the queue, asked of AWS for a few seconds at most."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends import clients
from realtime.backends.sqs import Depth, SqsQueue
from realtime.domain.errors import RealtimeError

# Seconds for all of it; each request gives up sooner, but a name server may not.
LIMIT = 8.0
_CONNECTING, _SILENCE = 2.0, 4.0
# CloudWatch has a figure a minute, some minutes late; what is older is no longer so.
_RECENT = timedelta(minutes=5)
_AWS = ("amazonaws.com", "amazonaws.com.cn")


@dataclass(frozen=True)
class Answer:
    """What AWS says. `problem` says in words why it says nothing (then `depth` is None);
    `oldest_seconds` is how long the oldest message has waited, None when CloudWatch does not tell.
    """

    depth: Depth | None = None
    oldest_seconds: float | None = None
    problem: str = ""


def ask(url: str, limit: float = LIMIT) -> Answer:
    """Ask about the queue at `url`. Never raises, and answers within `limit` seconds."""
    if not url:
        return Answer(problem="SQS_QUEUE_URL is not set")
    answers = [Answer(problem=f"SQS did not answer within {limit:g} seconds")]
    # A daemon, so that a lookup that hangs keeps no process from ending.
    asking = threading.Thread(
        target=lambda: answers.append(_ask(url)), name="status-queue", daemon=True
    )
    asking.start()
    asking.join(limit)
    return answers[-1]


def _ask(url: str) -> Answer:
    try:
        client = _client("sqs")
        depth = SqsQueue(url, client).depth()
    except RealtimeError as exc:
        return Answer(problem=" ".join(str(exc).split()))
    if not depth.visible and not depth.in_flight:
        return Answer(depth)
    return Answer(depth, _oldest(url, client.meta.endpoint_url))


def _oldest(url: str, endpoint: str) -> float | None:
    """Seconds, as CloudWatch's newest figure says; SQS itself does not tell."""
    try:
        client = _client("cloudwatch")
        if not _same(client.meta.endpoint_url, endpoint):
            # Another service's queue is nothing that Amazon's CloudWatch could know.
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
        # Not allowed, or not there: what the ledger says has to do, and its reader is told so.
        return None
    points = sorted(found["Datapoints"], key=lambda point: point["Timestamp"])
    return float(points[-1]["Maximum"]) if points else None


def _client(service: str) -> Any:
    return clients.client(service, threads=1, attempts=1, connecting=_CONNECTING, silence=_SILENCE)


def _same(one: str, other: str) -> bool:
    hosts = [urlsplit(url).hostname or "" for url in (one, other)]
    return hosts[0] == hosts[1] or all(host.endswith(_AWS) for host in hosts)
