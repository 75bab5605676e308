"""The queue: Amazon SQS, or an endpoint that speaks its protocol."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends import clients
from realtime.domain.errors import ConfigurationError, RetryLater, Unavailable
from realtime.domain.messages import ReceivedMessage
from realtime.process.threads import Threads

logger = logging.getLogger(__name__)

# The most messages that SQS takes or returns in one request.
BATCH = 10
THREADS = 8
_DEPTH = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]
_MISSING_QUEUE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


@dataclass(frozen=True)
class Depth:
    """Messages in a queue, by state.

    `visible` can be received now. `in_flight` are hidden: a worker has them, or released them with
    a delay. `delayed` were sent with a delay that has not passed.
    """

    visible: int
    in_flight: int
    delayed: int


class SqsQueue:
    """One queue. Thread-safe.

    `wait` is the seconds that a receive request waits for messages. With 0, SQS samples only some
    of its servers and may miss messages. Most runs find the queue empty, so until the first message
    arrives eight requests at once ask without waiting. A message that all eight miss is left to the
    next run.

    Every call raises ConfigurationError when the queue does not exist. When SQS cannot be reached
    or refuses a request after botocore's retries, `delete` and `change_visibility` log a warning
    and return fewer ids; the other calls raise Unavailable.
    """

    def __init__(self, url: str, client: Any = None, wait: int = 1) -> None:
        self.url = url
        self._wait = wait
        self._has_received = False
        self._client: Any = client or clients.client("sqs", THREADS)

    def receive(self, limit: int, visibility_timeout: int) -> list[ReceivedMessage]:
        """Receive up to `limit` messages and hide them for `visibility_timeout` seconds.

        Sends rounds of parallel requests, until a request that waited returns nothing. An error is
        raised only when no message has been received.
        """
        received: list[ReceivedMessage] = []
        with Threads(THREADS, "sqs-receive") as threads:
            while len(received) < limit:
                wanted = limit - len(received)
                sizes = [min(BATCH, wanted - at) for at in range(0, wanted, BATCH)][:THREADS]
                wait = self._wait if self._has_received or len(sizes) < THREADS else 0
                requests = [
                    threads.submit(self._receive, size, visibility_timeout, wait) for size in sizes
                ]
                received += [
                    message
                    for request in requests
                    if not request.exception()
                    for message in request.result()
                ]
                errors = [error for request in requests if (error := request.exception())]
                if errors and not received:
                    raise errors[0]
                self._has_received = self._has_received or bool(received)
                waited = wait == self._wait or not received
                if errors or (waited and not all(request.result() for request in requests)):
                    break
        return received

    def wait(self, seconds: int, visibility_timeout: int) -> list[ReceivedMessage]:
        """Receive the first messages that come within `seconds` (at most 20), at most BATCH, and
        hide them for `visibility_timeout` seconds. One request; it asks all servers of SQS."""
        return self._receive(BATCH, visibility_timeout, seconds)

    def delete(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        """Acknowledge messages; returns the ids whose deletion SQS confirmed.

        The others become visible again after their visibility timeout.
        """
        return self._each_batch(
            messages,
            lambda entries: self._client.delete_message_batch(QueueUrl=self.url, Entries=entries),
            action="acknowledge",
        )

    def change_visibility(
        self, messages: Iterable[ReceivedMessage], seconds: Callable[[], int]
    ) -> set[str]:
        """Hide each message for `seconds()` from now (0: visible again at once); returns the ids
        that SQS confirmed."""
        return self._each_batch(
            messages,
            lambda entries: self._client.change_message_visibility_batch(
                QueueUrl=self.url, Entries=entries
            ),
            action="change-visibility",
            extra=lambda: {"VisibilityTimeout": seconds()},
        )

    def depth(self) -> Depth:
        """About how many messages there are; SQS updates its counts within about a minute."""
        response = self._call(
            lambda: self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=_DEPTH)
        )
        return Depth(*(int(response["Attributes"][name]) for name in _DEPTH))

    def send(self, bodies: Sequence[str]) -> list[int]:
        """Send at most ten messages in one call; returns the indexes of those refused."""
        response = self._call(
            lambda: self._client.send_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(index), "MessageBody": body} for index, body in enumerate(bodies)
                ],
            )
        )
        refused = response.get("Failed", [])
        if refused:
            logger.warning(
                "the queue refused %d of %d messages: %s",
                len(refused),
                len(bodies),
                _causes(refused),
                extra={"action": "send-refused", "messages": len(refused)},
            )
        return [int(failure["Id"]) for failure in refused]

    def _receive(self, limit: int, visibility_timeout: int, wait: int) -> list[ReceivedMessage]:
        response = self._call(
            lambda: self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=limit,
                VisibilityTimeout=visibility_timeout,
                WaitTimeSeconds=wait,
                AttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
        )
        return [
            ReceivedMessage(
                message_id=message["MessageId"],
                receipt_handle=message["ReceiptHandle"],
                body=message["Body"],
                sent_at=sent_time(message.get("Attributes", {})),
                receive_count=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
            )
            for message in response.get("Messages", [])
        ]

    def _each_batch(
        self,
        messages: Iterable[ReceivedMessage],
        call: Callable[[list[dict[str, Any]]], Mapping[str, Any]],
        action: str,
        extra: Callable[[], dict[str, Any]] = dict,
    ) -> set[str]:
        def change(batch: list[ReceivedMessage]) -> set[str]:
            entries = [
                {"Id": str(index), "ReceiptHandle": message.receipt_handle, **extra()}
                for index, message in enumerate(batch)
            ]
            if unreachable.is_set():
                return set()
            try:
                response = self._call(lambda: call(entries))
            except RetryLater as exc:
                if isinstance(exc.__cause__, BotoCoreError):
                    unreachable.set()
                causes.add(str(exc))
                return set()
            if refused := response.get("Failed", []):
                causes.add(_causes(refused))
            return {batch[int(done["Id"])].message_id for done in response.get("Successful", [])}

        # After one connection error the remaining batches are not tried.
        unreachable, causes = threading.Event(), set[str]()
        wanted = list(messages)
        with Threads(THREADS, "sqs-batch") as threads:
            done = set().union(*threads.map(change, _batches(wanted)))
        if causes:
            logger.warning(
                "messages not changed",
                extra={
                    "action": action,
                    "messages": len(wanted) - len(done),
                    "of": len(wanted),
                    "cause": "; ".join(sorted(causes)),
                },
            )
        return done

    def _call(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ClientError as exc:
            code = exc.response.get("Error", {}).get("Code", "")
            if code in _MISSING_QUEUE:
                raise ConfigurationError(
                    f"SQS_QUEUE_URL: there is no queue {self.url}: correct the URL or the region,"
                    " or deploy"
                ) from exc
            raise Unavailable(f"SQS refused: {' '.join(str(exc).split())}") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"SQS cannot be reached: {exc}") from exc


def sent_time(attributes: Mapping[str, str]) -> datetime:
    """The SentTimestamp in a message's attributes, aware UTC; the current time without one."""
    if "SentTimestamp" not in attributes:
        return datetime.now(UTC)
    return datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)


def _causes(failed: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(sorted({str(entry.get("Message") or entry.get("Code")) for entry in failed}))


def _batches(messages: Iterable[ReceivedMessage]) -> Iterator[list[ReceivedMessage]]:
    iterator = iter(messages)
    while batch := list(islice(iterator, BATCH)):
        yield batch
