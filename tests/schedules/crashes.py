"""Simulates a crash at any effect outside the process: a call of S3 or SQS, or a commit."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Killed(BaseException):
    """The simulated process has died; nothing that it does from now on has an effect."""


class Fuse:
    """Blows at the effect with the number `after`, counted from 0; never if that is None."""

    def __init__(self, after: int | None) -> None:
        self._left = after
        self._lock = threading.Lock()
        self.blown = False

    def burn(self) -> None:
        """Call before each effect. Raises Killed when the fuse blows or has blown."""
        with self._lock:
            if self._left is not None and not self.blown:
                self.blown = self._left == 0
                self._left -= 1
        self.check()

    def check(self) -> None:
        """Raises Killed when the fuse has blown."""
        if self.blown:
            raise Killed


class Fragile:
    """A boto3 client whose calls burn the fuse. Appends the receipt handles it receives to
    `handles`."""

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
            try:
                self._fuse.check()
            except Killed:
                # The connection of a process that died is closed; nobody else would close it.
                if "Body" in response:
                    response["Body"].close()
                raise
            return response

        return call


_fuses = threading.local()


@contextmanager
def burning(fuse: Fuse) -> Iterator[None]:
    """In the block, this thread's commits burn the fuse, and a blown fuse stops every statement.

    Commits need `guarded_commits` around the block. The connection of a process that died is
    closed at its end.
    """

    def execute(run: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        if connection.in_atomic_block:
            fuse.check()
        else:
            # In autocommit each statement is a commit.
            fuse.burn()
        return run(sql, *arguments)

    _fuses.fuse = fuse
    try:
        with connection.execute_wrapper(execute):
            yield
    finally:
        _fuses.fuse = None
        if fuse.blown:
            # The connection may be in any state, so drop it without Django's cleanup.
            raw = connection.connection
            del connections[DEFAULT_DB_ALIAS]
            if raw is not None:
                raw.close()


@contextmanager
def guarded_commits() -> Iterator[None]:
    """Make commits in the block burn the fuse that `burning` set in their thread."""
    commit = BaseDatabaseWrapper.commit

    def guarded(wrapper: BaseDatabaseWrapper) -> None:
        fuse = getattr(_fuses, "fuse", None)
        if fuse is not None:
            fuse.burn()
        commit(wrapper)

    with mock.patch.object(BaseDatabaseWrapper, "commit", guarded):
        yield
