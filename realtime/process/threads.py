"""Threads that keep the log context of their caller."""

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class Threads(ThreadPoolExecutor):
    """A pool that runs each call with the context variables of the thread that submitted it, and
    so with its `logs.log_context`."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(copy_context().run, partial(fn, *args, **kwargs))


class Background:
    """One task at a time in a thread, while its owner goes on.

    Use as a context manager: on leaving, the last task is waited for and settled. After an error of
    its owner it is settled if `may_settle` says so, and what that raises is logged; else it is only
    waited for, as if the process had died before it was settled.
    """

    def __init__(self, name: str, may_settle: Callable[[], bool]) -> None:
        self._threads = Threads(1, name)
        self._may_settle = may_settle
        self._settle: Callable[[], None] = _nothing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._threads:
            if exc is None:
                self.settle()
            elif isinstance(exc, Exception) and self._may_settle():
                try:
                    self.settle()
                except Exception as failed:
                    # The owner ends with its own error.
                    about = {"action": "unsettled", "cause": failed}
                    said = "what was done meanwhile could not be recorded"
                    logger.warning(said, extra=about, exc_info=True)

    def begin(self, work: Callable[[], T], settle: Callable[[T], object]) -> None:
        """Start `work` in the thread. `settle` gets what it returns, in the owner's thread: when
        the owner settles, begins the next task, or leaves. Raises as `settle` of the task
        before."""
        self.settle()
        task = self._threads.submit(work)

        def ended() -> None:
            settle(task.result())

        self._settle = ended

    def settle(self) -> None:
        """Wait for the task that was begun, and settle it. Raises what either raises."""
        settle, self._settle = self._settle, _nothing
        settle()


def _nothing() -> None:
    """No task was begun."""
