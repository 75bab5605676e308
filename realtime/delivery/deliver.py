"""Tells all receivers of changes, beside the imports that make them."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from threading import Event, Thread

from django.db import DatabaseError, InterfaceError, connection

from realtime.backends.postgres import pooler_check
from realtime.backends.postgres.locks import connect_as
from realtime.delivery.sender import could_not, send
from realtime.domain.config import READER_NAME, Config
from realtime.domain.errors import RealtimeError
from realtime.domain.receivers import Receiver
from realtime.ledger import receivers
from realtime.ledger.files import database_now
from realtime.monitoring.metrics.declared import Told
from realtime.monitoring.metrics.emitting import emit_receivers

logger = logging.getLogger(__name__)

# Seconds that all receivers together may take after an import run.
TIME = 30.0
# Seconds to wait at the end for a delivery that has begun: a call is given up before that.
_PATIENCE = 20.0


class Delivery:
    """Delivery of changes beside import runs, each on a connection of its own, called
    `openstates-realtime-changes`, and with no worker slot: no receiver can delay an import.

    What is not delivered, because of the receiver, the time or the database, is logged, and left to
    the next one. Where the settings name no receiver, all of this does nothing.
    """

    def __init__(self, config: Config, must_stop: Callable[[], bool]) -> None:
        self._config = config
        self._must_stop = must_stop
        self._thread: Thread | None = None
        self._wanted, self._over = Event(), False

    def register(self) -> None:
        """Make the receivers known to the ledger: a new one is told of what is committed from now
        on."""
        if self._config.receivers:
            self._connected(self._register)

    def now(self, seconds: float = TIME) -> None:
        """Deliver what is there, for about so many seconds at most."""
        if self._config.receivers:
            self._connected(lambda: self._all(time.monotonic() + seconds))

    def in_background(self) -> None:
        """Deliver what is there now, in a thread of its own: at once, or as soon as it has done
        what it is at."""
        if not self._config.receivers:
            return
        self._wanted.set()
        if not (self._thread and self._thread.is_alive()):
            self._thread = Thread(target=self._when_wanted, name="delivery", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Wait a while for what goes on in the background. What is cut off is delivered again."""
        if self._thread:
            self._over = True
            self._wanted.set()
            self._thread.join(_PATIENCE)

    def _when_wanted(self) -> None:
        while self._wanted.wait() and not self._over:
            self._wanted.clear()
            self.now()

    def _ends(self) -> bool:
        return self._over or self._must_stop()

    def _register(self) -> None:
        receivers.register({one.name: one.address for one in self._config.receivers})

    def _connected(self, work: Callable[[], None]) -> None:
        try:
            connect_as(READER_NAME)
            if pooler_check.is_pooled():
                about = {"action": "undelivered", "cause": "a transaction pooler keeps no locks"}
                logger.error("changes not delivered", extra=about)
                return
            with connection.cursor() as cursor:
                seconds = f"{self._config.statement_timeout}s"
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", [seconds])
            work()
        except (DatabaseError, InterfaceError, RealtimeError) as exc:
            about = {"action": "undelivered", "cause": " ".join(str(exc).split())}
            logger.warning("changes not delivered", extra=about)
        finally:
            connection.close()

    def _all(self, end: float) -> None:
        """Each receiver gets a share of the time that is left: a slow one leaves some to others."""
        self._register()
        waiting, told = list(self._config.receivers), Counter[str]()
        while waiting and not self._ends():
            share = (end - time.monotonic()) / len(waiting)
            receiver = waiting.pop(0)
            told[receiver.name] = self._one(receiver, time.monotonic() + share)
        emit_receivers(_figures(told), self._config)

    def _one(self, receiver: Receiver, end: float) -> int:
        try:
            told = send(receiver, lambda: self._ends() or time.monotonic() > end)
        except RealtimeError as exc:
            could_not(receiver, exc)
            return 0
        if told:
            about = {"action": "delivered", "receiver": receiver.name, "events": told}
            logger.info("changes delivered", extra=about)
        return told


def _figures(told: Mapping[str, int]) -> Iterator[Told]:
    """How the receivers are after they were told."""
    now = database_now()
    for one in receivers.progress():
        if (name := one.row.name) in told:
            waits = (now - one.oldest).total_seconds() if one.oldest else 0
            yield Told(name, told[name], one.behind, max(waits, 0))
