"""Tells one receiver of changes, from where it is."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Protocol

from realtime.backends.postgres.locks import try_lock_receiver
from realtime.delivery.errors import Undeliverable
from realtime.domain.errors import RealtimeError
from realtime.domain.receivers import WEBHOOK, Receiver
from realtime.ledger import changes, receivers
from realtime.ledger.changes import Cursor, Logged
from realtime.models import ChangeReceiver
from realtime.monitoring.change_events import cloud_event

logger = logging.getLogger(__name__)


class Transport(Protocol):
    """Takes up to `most` events at once; `send` raises Undeliverable when it has not."""

    most: int

    def send(self, events: Sequence[dict[str, Any]]) -> None: ...


def transport_of(receiver: Receiver) -> Transport:
    """What carries events to a receiver."""
    # Each loads what it needs only where it is used.
    if receiver.kind == WEBHOOK:
        from realtime.delivery.webhook import Webhook

        return Webhook(receiver)
    from realtime.delivery.aws import TopicOrQueue

    return TopicOrQueue(receiver)


def send(receiver: Receiver, must_stop: Callable[[], bool]) -> int:
    """Tell a receiver, which must be known to the ledger, of what it wants and has not been told;
    returns the number of events that it took.

    At least once, and in the order of the log. One sender at a time: does nothing where another is
    at it, where the receiver is paused, and where its last failure is too young. The cursor moves
    after each call that was answered well; a call that was not is repeated later, with the same
    events. Raises Django's database errors, and ConfigurationError for a cursor of another
    database.
    """
    with try_lock_receiver(receiver.name) as ours:
        if not ours:
            return 0
        row = ChangeReceiver.objects.get(name=receiver.name)
        if not receivers.is_due(row):
            return 0
        return _Sending(receiver, row, must_stop).go_on()


class _Sending:
    def __init__(
        self, receiver: Receiver, row: ChangeReceiver, must_stop: Callable[[], bool]
    ) -> None:
        self._receiver = receiver
        self._row = row
        self._must_stop = must_stop
        self._transport = transport_of(receiver)
        self._told = 0

    def go_on(self) -> int:
        again = self._repeated
        if again is None or self._up_to(again):
            self._up_to(changes.end(self._place))
        return self._told

    @property
    def _repeated(self) -> Cursor | None:
        """Where the call ended that was not answered well; None without one."""
        if self._row.until_xid is None or self._row.until_id is None:
            return None
        return Cursor(self._row.until_xid, self._row.until_id)

    @property
    def _place(self) -> Cursor:
        return Cursor(self._row.xid, self._row.change_id)

    def _up_to(self, end: Cursor) -> bool:
        """Tell of all up to a place; False when no more is to be told now."""
        found = changes.read(self._place, self._receiver.wanted, end)
        for some in _in_portions(found, self._transport.most):
            if self._must_stop() or not self._tell(some):
                return False
        # What it does not want is behind it, too.
        return end <= self._place or receivers.delivered(self._row, end, 0)

    def _tell(self, some: Sequence[Logged]) -> bool:
        last = some[-1].cursor
        try:
            self._transport.send([cloud_event(change) for change in some])
        except Undeliverable as exc:
            self._note(exc, last)
            return False
        self._told += len(some)
        return receivers.delivered(self._row, last, len(some))

    def _note(self, exc: Undeliverable, last: Cursor) -> None:
        paused = receivers.failed(self._row, last, str(exc), exc.for_good, exc.wait)
        about = {"action": "undelivered", "receiver": self._receiver.name, "cause": exc}
        if paused:
            logger.error("receiver paused", extra=about)
        else:
            logger.warning("changes not delivered", extra=about)


def _in_portions(found: Iterable[Logged], most: int) -> Iterator[list[Logged]]:
    remaining = iter(found)
    while some := list(islice(remaining, most)):
        yield some


def could_not(receiver: Receiver, exc: RealtimeError) -> None:
    """Log and record that a receiver could not be told, whatever it would have answered."""
    receivers.could_not(receiver.name, str(exc))
    about = {"action": "undelivered", "receiver": receiver.name, "cause": exc}
    logger.error("changes not delivered", extra=about)
