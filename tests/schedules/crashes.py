"""Death at any effect on the outside: a call of S3 or SQS, or a commit."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Killed(BaseException):
    """The process is gone: what it does from now on has no effect."""


class Fuse:
    """Blows at the effect numbered `after`, counted from 0; never when that is None."""

    def __init__(self, after: int | None) -> None:
        self._left = after
        self._lock = threading.Lock()
        self.blown = False

    def burn(self) -> None:
        """An effect is about to take place. Raises Killed when it does not any more."""
        with self._lock:
            if self._left is not None and not self.blown:
                self.blown = self._left == 0
                self._left -= 1
        self.check()

    def check(self) -> None:
        """Raises Killed when the process is gone."""
        if self.blown:
            raise Killed


class Fragile:
    """A boto3 client whose calls burn the fuse; remembers what it received from a queue."""

    def __init__(self, client: Any, fuse: Fuse, handles: list[str]) -> None:
        self._client = client
        self._fuse = fuse
        self._handles = handles

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def call(**arguments: Any) -> Any:
            self._fuse.burn()
            response = method(**arguments)
            if name == "receive_message":
                self._handles += [m["ReceiptHandle"] for m in response.get("Messages", ())]
            self._fuse.check()
            return response

        return call


_fuses = threading.local()


@contextmanager
def burning(fuse: Fuse) -> Iterator[None]:
    """This thread's commits burn the fuse; when it has blown, no statement is executed."""

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if connection.in_atomic_block:
            fuse.check()
        else:
            # Each is its own transaction.
            fuse.burn()
        return run(sql, *arguments)

    _fuses.fuse = fuse
    try:
        with connection.execute_wrapper(execute):
            yield
    finally:
        _fuses.fuse = None
        # Whatever state it was left in.
        raw = connection.connection
        del connections[DEFAULT_DB_ALIAS]
        if raw is not None:
            raw.close()


@contextmanager
def guarded_commits() -> Iterator[None]:
    """Within it, `burning` has its effect on commits."""
    commit = BaseDatabaseWrapper.commit

    def guarded(wrapper: BaseDatabaseWrapper) -> None:
        fuse = getattr(_fuses, "fuse", None)
        if fuse is not None:
            fuse.burn()
        commit(wrapper)

    with mock.patch.object(BaseDatabaseWrapper, "commit", guarded):
        yield
