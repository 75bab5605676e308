"""Numeric limits given as options, and when a command must stop."""

import os
import select
import signal
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from realtime.backends.postgres.statements import canceller
from realtime.domain.config import SHORTEST_STATEMENT_TIMEOUT

# The share of the time limit kept for acknowledging and releasing after the last file, and the part
# of it after which a statement that still runs is cancelled.
_WIND_DOWN, _CANCEL = 0.1, 0.05
# Seconds that a statement may go on after a signal, and between two attempts to cancel it: what
# runs may be another one each time.
_GRACE, _AGAIN = 3.0, 1.0
# Seconds to wait at the end for an attempt that has begun.
_PATIENCE = 5.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LEFT = b"\0"


def positive(text: str) -> int:
    """Parse a whole number of at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def deadline(limit: int | None, kept: float = _WIND_DOWN) -> Callable[[], bool]:
    """A function that is true once 90 % of `limit` seconds have passed since this call, or all but
    the share that is `kept`.

    None means no limit. The rest of the time is for finishing what has begun.
    """
    end = time.monotonic() + limit * (1 - kept) if limit else None
    return lambda: end is not None and time.monotonic() > end


def statement_seconds(timeout: int, limit: int | None) -> int:
    """The statement timeout of a run: at most half of its time limit, so that the run finds out
    that a statement hangs, and not only that its own time is up."""
    if limit is None:
        return timeout
    return max(min(timeout, limit // 2), SHORTEST_STATEMENT_TIMEOUT)


class MustStop:
    """Whether the work of a block must stop, as `stopping` says."""

    def __init__(self, limit: int | None, stop: threading.Event) -> None:
        self._out_of_time, self._late = deadline(limit), deadline(limit, _CANCEL)
        self._stop = stop

    def __call__(self) -> bool:
        return self._stop.is_set() or self._out_of_time()

    def afterwards(self) -> bool:
        """The same for what is done after the work: 95 % of the time have passed, or a signal has
        come."""
        return self._stop.is_set() or self._late()


@contextmanager
def stopping(limit: int | None, signals: bool = False) -> Iterator[MustStop]:
    """Yield a function that is true once the work of the block must stop: like `deadline`, and with
    `signals` also from SIGTERM or SIGINT on (where Python lets us handle them: in the main thread).

    A statement that still runs when 95 % of `limit` seconds have passed, or three seconds after the
    signal, is cancelled, and each second from then on.
    """
    stop = threading.Event()
    must_stop = MustStop(limit, stop)
    cancel_at = time.monotonic() + limit * (1 - _CANCEL) if limit else None
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    watch = threading.Thread(
        target=_watch, args=(reading, cancel_at, canceller(), stop), name="limits", daemon=True
    )
    watch.start()
    restore = _on_signals(stop, writing) if signals else lambda: None
    try:
        yield must_stop
    finally:
        restore()
        os.write(writing, _LEFT)
        watch.join(_PATIENCE)
        # It may still wait for a server that has vanished; then it needs them.
        if not watch.is_alive():
            os.close(reading)
            os.close(writing)


def _watch(
    reading: int, cancel_at: float | None, cancel: Callable[[], None], stop: threading.Event
) -> None:
    """Cancel what runs from `cancel_at` on; it may be earlier when a signal arrives.

    In a thread of its own: while the main thread waits for the database, Python calls no handler
    of a signal. The signal's number arrives through the pipe all the same.
    """
    while True:
        wait = None if cancel_at is None else max(cancel_at - time.monotonic(), 0)
        ready, _, _ = select.select([reading], [], [], wait)
        if not ready:
            cancel()
            cancel_at = time.monotonic() + _AGAIN
            continue
        arrived = os.read(reading, 64)
        if _LEFT in arrived:
            return
        if set(arrived) & set(_SIGNALS):
            stop.set()
            soon = time.monotonic() + _GRACE
            cancel_at = soon if cancel_at is None else min(cancel_at, soon)


def _on_signals(stop: threading.Event, writing: int) -> Callable[[], None]:
    """Set `stop` at a signal and write its number to `writing`; returns what undoes that."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    handlers: dict[int, Any] = {
        signum: signal.signal(signum, lambda *_: stop.set()) for signum in _SIGNALS
    }
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def restore() -> None:
        signal.set_wakeup_fd(wakeup)
        for signum, handler in handlers.items():
            signal.signal(signum, handler)

    return restore
