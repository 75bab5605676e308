"""Keeps the messages of a run hidden from other runs while it works."""

import logging
import threading
from collections.abc import Iterable
from contextvars import copy_context
from types import TracebackType
from typing import Self

from realtime.domain.errors import RealtimeError
from realtime.domain.interfaces import Queue
from realtime.domain.messages import ReceivedMessage

logger = logging.getLogger(__name__)


class Lease:
    """Renews the visibility of the messages it holds, in a thread of its own, until closed.

    A renewal that fails is logged and tried again at the next turn, a third of the timeout later;
    the worst that follows is that another run receives the message too, which does no harm.
    """

    def __init__(self, queue: Queue, visibility_timeout: int) -> None:
        self._queue = queue
        self._timeout = visibility_timeout
        self._held: dict[str, ReceivedMessage] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        # Started here, not in __init__: the thread copies the log context of the run.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._renew,), name="lease", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        assert self._thread is not None
        self._thread.join()

    def hold(self, messages: Iterable[ReceivedMessage]) -> None:
        """Renew these from now on."""
        with self._lock:
            self._held.update((message.message_id, message) for message in messages)

    def drop(self, messages: Iterable[ReceivedMessage]) -> None:
        """Stop renewing these."""
        with self._lock:
            for message in messages:
                self._held.pop(message.message_id, None)

    def _renew(self) -> None:
        while not self._closed.wait(self._timeout / 3):
            with self._lock:
                held = list(self._held.values())
            try:
                self._queue.change_visibility(held, lambda: self._timeout)
            except RealtimeError as exc:
                logger.warning(
                    "messages could not be hidden for longer",
                    extra={"action": "renew", "messages": len(held), "cause": exc},
                )
