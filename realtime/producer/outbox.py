"""Uploads files and then sends their messages, in background threads."""

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from realtime.domain.errors import RealtimeError, RetryLater
from realtime.domain.interfaces import Sends, Uploads
from realtime.producer.backoff import Retrying, RetryPolicy

logger = logging.getLogger(__name__)

# SQS's limits for one batch.
BATCH_MESSAGES = 10
BATCH_BYTES = 256 * 1024


@dataclass(frozen=True)
class Outgoing:
    """A file to store under `key` (full, prefix included), and the message to send afterwards.

    With `uploaded` the file is stored already, and only the message is sent.
    """

    key: str
    body: bytes
    metadata: Mapping[str, str]
    message: str
    uploaded: bool = False


class Outbox:
    """Uploads files in parallel and sends their messages in batches, without blocking the caller.

    A message is sent only after its file is stored. Each file ends in exactly one call, from any
    thread, of `sent` or of `unsent` (with the reason). With `capacity` files in memory `put` waits,
    so that a slow service slows the caller down instead of filling memory. A batch is sent when it
    is full or `batch_age` seconds old.
    """

    def __init__(
        self,
        store: Uploads,
        queue_: Sends,
        *,
        sent: Callable[[Outgoing], None],
        unsent: Callable[[Outgoing, Exception], None],
        retry_policy: RetryPolicy | None = None,
        capacity: int = 100,
        uploaders: int = 8,
        batch_age: float = 1.0,
    ) -> None:
        self._store = store
        self._queue = queue_
        self._sent = sent
        self._unsent = unsent
        self._batch_age = batch_age
        self._stop_waiting = threading.Event()
        self._storing = Retrying(retry_policy or RetryPolicy(), self._stop_waiting)
        self._sending = Retrying(retry_policy or RetryPolicy(), self._stop_waiting)
        self._room = threading.Semaphore(capacity)
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._in_flight: dict[int, Outgoing] = {}
        self._to_upload: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._to_send: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._started = False
        self._closed = False
        # Daemon threads: a hanging call must not keep the process alive once its files are spooled.
        self._uploading = uploaders
        self._uploaders = [
            threading.Thread(target=self._upload_all, name=f"upload-{n}", daemon=True)
            for n in range(uploaders)
        ]
        self._sender = threading.Thread(target=self._send_all, name="send", daemon=True)

    def put(self, outgoing: Outgoing) -> None:
        """Take `outgoing` for publishing; waits while the outbox is full.

        When the wait is interrupted, or the outbox is closed, the file goes to `unsent`.
        """
        self._start()
        try:
            self._room.acquire()
        except BaseException:
            self._unsent(outgoing, RetryLater("interrupted"))
            raise
        with self._lock:
            if not self._closed:
                number = next(self._numbers)
                self._in_flight[number] = outgoing
                (self._to_send if outgoing.uploaded else self._to_upload).put(number)
                return
        self._room.release()
        self._unsent(outgoing, RetryLater("already closed"))

    def close(self, timeout: float | None = None) -> None:
        """Publish everything taken, for at most `timeout` seconds; the rest goes to `unsent`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            if self._started:
                for _ in self._uploaders:
                    self._to_upload.put(None)
                self._sender.join(timeout)
        finally:
            self._stop_waiting.set()
            for number in list(self._in_flight):
                self._give_up(number, RetryLater("not published in time"))

    def _start(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
        for thread in (*self._uploaders, self._sender):
            thread.start()

    def _upload_all(self) -> None:
        while (number := self._to_upload.get()) is not None:
            outgoing = self._in_flight.get(number)
            if outgoing is not None and self._upload(number, outgoing):
                self._to_send.put(number)
        with self._lock:
            self._uploading -= 1
            if not self._uploading:
                self._to_send.put(None)

    def _upload(self, number: int, outgoing: Outgoing) -> bool:
        try:
            self._storing(
                outgoing.key,
                lambda: self._store.put(outgoing.key, outgoing.body, outgoing.metadata),
            )
        except RealtimeError as exc:
            self._give_up(number, exc)
            return False
        except Exception as exc:
            # An exception must not end the thread: files wait for it.
            logger.exception("%s: the upload failed", outgoing.key, extra={"action": "upload"})
            self._give_up(number, exc)
            return False
        with self._lock:
            if number in self._in_flight:
                self._in_flight[number] = replace(outgoing, uploaded=True)
        return True

    def _send_all(self) -> None:
        left_over: int | None = None
        while True:
            first = left_over if left_over is not None else self._to_send.get()
            if first is None:
                return
            batch, left_over, ended = self._collect(first)
            self._send(batch)
            if ended:
                return

    def _collect(self, first: int) -> tuple[list[int], int | None, bool]:
        """A batch that starts with `first`; the next file, if it does not fit; whether all is sent
        after this batch."""
        batch, size = [first], self._size(first)
        closes = time.monotonic() + self._batch_age
        while len(batch) < BATCH_MESSAGES:
            try:
                number = self._to_send.get(timeout=max(0.0, closes - time.monotonic()))
            except queue.Empty:
                break
            if number is None:
                return batch, None, True
            size += self._size(number)
            if size > BATCH_BYTES:
                return batch, number, False
            batch.append(number)
        return batch, None, False

    def _size(self, number: int) -> int:
        outgoing = self._in_flight.get(number)
        return len(outgoing.message.encode()) if outgoing else 0

    def _send(self, batch: list[int]) -> None:
        left = list(batch)

        def attempt() -> None:
            held = [(n, o) for n in left if (o := self._in_flight.get(n)) is not None]
            left[:] = [number for number, _ in held]
            if not held:
                return
            refused = set(self._queue.send([outgoing.message for _, outgoing in held]))
            left[:] = [number for index, (number, _) in enumerate(held) if index in refused]
            for index, (number, _) in enumerate(held):
                if index not in refused and (outgoing := self._take_out(number)):
                    self._report_sent(outgoing)
            if left:
                raise RetryLater(f"the queue refused {len(left)} of {len(held)} messages")

        try:
            self._sending("messages", attempt)
        except RealtimeError as exc:
            self._give_up_all(left, exc)
        except Exception as exc:
            logger.exception("messages could not be sent", extra={"action": "send"})
            self._give_up_all(left, exc)

    def _report_sent(self, outgoing: Outgoing) -> None:
        try:
            self._sent(outgoing)
        except OSError as exc:
            # The message is sent anyway; go on to report the others of its batch.
            logger.warning(
                "%s published, but not removed from the spool: %s",
                outgoing.key,
                exc,
                extra={"action": "sent"},
            )

    def _give_up_all(self, numbers: list[int], reason: Exception) -> None:
        for number in numbers:
            self._give_up(number, reason)

    def _give_up(self, number: int, reason: Exception) -> None:
        if outgoing := self._take_out(number):
            self._unsent(outgoing, reason)

    def _take_out(self, number: int) -> Outgoing | None:
        """Take a file off the list in flight; None when another thread has finished it."""
        with self._lock:
            outgoing = self._in_flight.pop(number, None)
        if outgoing is not None:
            self._room.release()
        return outgoing
