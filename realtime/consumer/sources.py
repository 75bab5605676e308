"""Where a run takes its messages from, and how it gives them back."""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from realtime.backends.sqs import BATCH, sent_time
from realtime.consumer.visibility import Lease
from realtime.domain.errors import ConfigurationError
from realtime.domain.interfaces import Queue
from realtime.domain.messages import ReceivedMessage

# Released messages come back spread over this many seconds, so that runs do not meet again.
RELEASE_SECONDS = (5, 45)


class Inbox(Protocol):
    """Messages to work on. Use as a context manager around all of the work. `way` is a value of
    `models.Way`."""

    way: str

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def receive(self, limit: int) -> list[ReceivedMessage]:
        """Receive up to `limit` messages, hidden from other runs; empty when there are no more."""

    def acknowledge(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        """Acknowledge messages; returns the ids of those known to be deleted."""

    def release(self, messages: Iterable[ReceivedMessage]) -> None:
        """Give messages back: they are delivered again."""


class QueueInbox:
    """The queue; visibility is renewed for as long as a message is held.

    `waited` are messages that were received before, fewer than a request can return: they are all
    that there was. With as many as it can, there may be more.
    """

    way = "queue"

    def __init__(
        self, queue: Queue, visibility_timeout: int, waited: Sequence[ReceivedMessage] = ()
    ) -> None:
        self._queue = queue
        self._waited = list(waited)
        self._timeout = visibility_timeout
        self._lease = Lease(queue, visibility_timeout)

    def __enter__(self) -> Self:
        self._lease.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A run without a worker slot has not asked for them.
        self.release(self._waited)
        self._lease.__exit__(kind, exc, traceback)

    def receive(self, limit: int) -> list[ReceivedMessage]:
        waited, self._waited = self._waited[:limit], self._waited[limit:]
        self._lease.hold(waited)
        if waited and len(waited) < min(BATCH, limit):
            return waited
        messages = self._queue.receive(limit - len(waited), self._timeout)
        self._lease.hold(messages)
        return waited + messages

    def acknowledge(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        done = list(messages)
        self._lease.drop(done)
        return self._queue.delete(done) if done else set()

    def release(self, messages: Iterable[ReceivedMessage]) -> None:
        back = list(messages)
        self._lease.drop(back)
        if back:
            self._queue.change_visibility(back, lambda: random.randint(*RELEASE_SECONDS))


class GivenInbox:
    """Messages that the caller, Lambda for example, received and will delete.

    This process never learns whether they were deleted, so `acknowledge` returns no ids.
    `released` holds the ids of those that must be delivered again.
    """

    way = "messages"

    def __init__(self, messages: Sequence[ReceivedMessage]) -> None:
        self._messages = list(messages)
        self.released: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Messages that were never received must be delivered again too.
        self.release(self._messages)
        self._messages = []

    def receive(self, limit: int) -> list[ReceivedMessage]:
        taken, self._messages = self._messages[:limit], self._messages[limit:]
        return taken

    def acknowledge(self, messages: Iterable[ReceivedMessage]) -> set[str]:
        return set()

    def release(self, messages: Iterable[ReceivedMessage]) -> None:
        self.released += [message.message_id for message in messages]


def read_given(text: str) -> GivenInbox:
    """Messages from `text`: Lambda's SQS event, or one JSON object a line.

    A line is a record of such an event (`body`, and if known `messageId` and `attributes`) or the
    body of a message. Raises ConfigurationError when the text is neither.
    """
    try:
        event = json.loads(text)
        documents = [event] if isinstance(event, dict) else None
    except (ValueError, RecursionError):
        documents = None
    if documents is None:
        documents = [_parse_line(number, line) for number, line in enumerate(text.split("\n"), 1)]
    records: list[Mapping[str, Any]] = []
    for document in documents:
        entries = document.get("Records")
        if isinstance(entries, list) and entries and _is_sqs(entries[0]):
            records += entries
        elif document:
            records.append(document)
    try:
        return GivenInbox([_received(number, record) for number, record in enumerate(records, 1)])
    except (AttributeError, TypeError, ValueError, OverflowError) as exc:
        raise ConfigurationError(f"the messages are no records of SQS: {exc}") from exc


def _parse_line(number: int, line: str) -> dict[str, Any]:
    try:
        document = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError):
        # A broken message is an outcome of the run, as it would be from the queue.
        return {"body": line}
    if not isinstance(document, dict):
        raise ConfigurationError(f"line {number} of the messages is not a JSON object")
    return document


def _is_sqs(record: Any) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs"


def _received(number: int, record: Mapping[str, Any]) -> ReceivedMessage:
    body = record.get("body")
    attributes = record.get("attributes") or {}
    text = body if isinstance(body, str) else json.dumps(record)
    # Two calls may give the same line a different content.
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return ReceivedMessage(
        message_id=str(record.get("messageId") or f"line-{number}-{digest}"),
        receipt_handle="",
        body=text,
        sent_at=sent_time(attributes) if attributes else datetime.now(UTC),
        receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
    )
