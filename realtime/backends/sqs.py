"""The queue: Amazon SQS, or anything that speaks its protocol."""

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

# SQS: "maximum of 10 messages" for each batch call.
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
    """Messages of a queue: `visible` ones; those `in_flight`, which somebody works on, or has
    released to come again soon; and those sent with a delay (`delayed`)."""

    visible: int
    in_flight: int
    delayed: int


class SqsQueue:
    """One queue. Safe to use from several threads at once.

    `wait` is how many seconds a request for messages stays open when there are none; with 0, SQS
    asks only some of its servers and may miss a few. Until the queue has brought anything it is
    asked without waiting by eight requests at once: they miss next to nothing, that comes to the
    next run, and most runs find the queue empty.

    Every call raises Unavailable when SQS cannot be reached or refuses us after botocore's own
    retries, and ConfigurationError when the queue does not exist.
    """

    def __init__(self, url: str, client: Any = None, wait: int = 1) -> None:
        self.url = url
        self._wait = wait
        self._brought = False
        self._client: Any = client or clients.client("sqs", THREADS)

    def receive(self, limit: int, visibility_timeout: int) -> list[ReceivedMessage]:
        """Up to `limit` messages, hidden from others for `visibility_timeout` seconds.

        Asks with several requests at once until one of a round brings nothing. Messages that are
        delayed or hidden do not come. A request that fails is raised only when none has brought
        any.
        """
        received: list[ReceivedMessage] = []
        with Threads(THREADS, "sqs-receive") as threads:
            while len(received) < limit:
                wanted = limit - len(received)
                sizes = [min(BATCH, wanted - at) for at in range(0, wanted, BATCH)][:THREADS]
                wait = self._wait if self._brought or len(sizes) < THREADS else 0
                requests = [
                    threads.submit(self._receive, size, visibility_timeout, wait) for size in sizes
                ]
                received += [
                    message for one in requests if not one.exception() for message in one.result()
                ]
                failed = [error for one in requests if (error := one.exception())]
                if failed and not received:
                    raise failed[0]
                self._brought = self._brought or bool(received)
                waited = wait == self._wait or not received
                if failed or (waited and not all(one.result() for one in requests)):
                    break
        return received

    def delete(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        """Acknowledge `messages`; returns the ids of those that SQS confirmed as deleted.

        One that was not comes again after its visibility timeout.
        """
        return self._each_batch(
            messages,
            lambda entries: self._client.delete_message_batch(QueueUrl=self.url, Entries=entries),
            action="acknowledge",
        )

    def change_visibility(
        self, messages: Iterable[ReceivedMessage], seconds: Callable[[], int]
    ) -> set[str]:
        """Hide each message for `seconds()` from now on; returns the ids that SQS confirmed."""
        return self._each_batch(
            messages,
            lambda entries: self._client.change_message_visibility_batch(
                QueueUrl=self.url, Entries=entries
            ),
            action="change-visibility",
            extra=lambda: {"VisibilityTimeout": seconds()},
        )

    def depth(self) -> Depth:
        """How many messages there are, about: SQS counts within a minute or so."""
        response = self._call(
            lambda: self._client.get_queue_attributes(QueueUrl=self.url, AttributeNames=_DEPTH)
        )
        return Depth(*(int(response["Attributes"][name]) for name in _DEPTH))

    def send(self, bodies: Sequence[str]) -> list[int]:
        """Send at most ten message bodies in one call; returns the indexes that SQS refused."""
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
        def one(batch: list[ReceivedMessage]) -> set[str]:
            entries = [
                {"Id": str(index), "ReceiptHandle": message.receipt_handle, **extra()}
                for index, message in enumerate(batch)
            ]
            if silent.is_set():
                return set()
            try:
                response = self._call(lambda: call(entries))
            except RetryLater as exc:
                if isinstance(exc.__cause__, BotoCoreError):
                    silent.set()
                causes.add(str(exc))
                return set()
            if refused := response.get("Failed", []):
                causes.add(_causes(refused))
            return {batch[int(done["Id"])].message_id for done in response.get("Successful", [])}

        # A queue that does not answer at all is not asked for batch after batch.
        silent, causes = threading.Event(), set[str]()
        wanted = list(messages)
        with Threads(THREADS, "sqs-batch") as threads:
            done = set().union(*threads.map(one, _batches(wanted)))
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
                raise ConfigurationError(f"SQS_QUEUE_URL: there is no queue {self.url}") from exc
            raise Unavailable(f"SQS refused: {exc}") from exc
        except BotoCoreError as exc:
            raise Unavailable(f"SQS cannot be reached: {exc}") from exc


def sent_time(attributes: Mapping[str, str]) -> datetime:
    """The SentTimestamp of a message's attributes, now when it has none; aware UTC."""
    if "SentTimestamp" not in attributes:
        return datetime.now(UTC)
    return datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)


def _causes(failed: Iterable[Mapping[str, Any]]) -> str:
    return "; ".join(sorted({str(one.get("Message") or one.get("Code")) for one in failed}))


def _batches(messages: Iterable[ReceivedMessage]) -> Iterator[list[ReceivedMessage]]:
    iterator = iter(messages)
    while batch := list(islice(iterator, BATCH)):
        yield batch
