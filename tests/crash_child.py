"""Runs `manage.py`, recording its effects, and kills the process at a chosen one.

Run as a script, with the arguments of manage.py. An effect is a call of a public method of S3Store
or SqsQueue (`s3.copy`, `sqs.delete`), a `commit`, or a `write` outside any transaction. A
`statement` that writes in a transaction and a `savepoint` are recorded too; they have no effect
until the commit. An effect is named together with the function of ours that caused it. Environment:

- `CRASH_TRACE`: append each effect to this file, as one JSON array a line
- `CRASH_AT`: `{effect} in {caller}` at which to die by SIGKILL, `CRASH_WHEN` (before or after) it
  happens for the `CRASH_NUMBER`th time (from 1)
- `CRASH_STOP`: send itself SIGTERM as soon as messages have been received
- `CRASH_LINGER`: wait so many seconds before the first commit, like a slow import
"""

import functools
import inspect
import json
import os
import re
import runpy
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from django.db import connection, transaction  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402
from django.db.backends.utils import CursorWrapper  # noqa: E402

from realtime.backends.s3 import S3Store  # noqa: E402
from realtime.backends.sqs import SqsQueue  # noqa: E402

ADAPTERS = {"s3": S3Store, "sqs": SqsQueue}
_PACKAGE = f"{ROOT / 'realtime'}{os.sep}"
_WRITES = re.compile(
    r"\s*(SET CONSTRAINTS ALL IMMEDIATE;\s*)?(INSERT|UPDATE|DELETE|COPY)\b", re.IGNORECASE
)
# Python counts lambdas and comprehensions as functions; their effects belong to the enclosing one.
_PARTS = re.compile(r"\.<locals>\.<\w+>")


class Watch:
    """Counts the effects of this process, and kills it at the chosen one."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._trace = environ.pop("CRASH_TRACE", "")
        self._at = environ.pop("CRASH_AT", "")
        self._when = environ.pop("CRASH_WHEN", "before")
        self._number = int(environ.pop("CRASH_NUMBER", "1"))
        self._stops = bool(environ.pop("CRASH_STOP", ""))
        self._linger = float(environ.pop("CRASH_LINGER", "0"))
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def around(self, effect: str, call: Callable[[], Any]) -> Any:
        """Run `call`, which has the effect `effect`, and return its result."""
        caller, line = _caller()
        point = f"{effect} in {caller}"
        with self._lock:
            self._counts[point] += 1
            is_chosen = point == self._at and self._counts[point] == self._number
            if self._trace:
                with open(self._trace, "a") as trace:
                    trace.write(json.dumps([effect, caller, line]) + "\n")
        if effect == "commit" and self._linger:
            time.sleep(self._linger)
            self._linger = 0
        if is_chosen and self._when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call()
        finally:
            if is_chosen:
                os.kill(os.getpid(), signal.SIGKILL)
            if effect == "sqs.receive" and self._stops:
                os.kill(os.getpid(), signal.SIGTERM)


def _caller() -> tuple[str, int]:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_PACKAGE):
            module = name.removeprefix(_PACKAGE).removesuffix(".py").replace(os.sep, ".")
            return f"{module}.{_PARTS.sub('', frame.f_code.co_qualname)}", frame.f_lineno
        frame = frame.f_back
    return "", 0


def watch_everything(watch: Watch) -> None:
    """Route every effect of this process through `watch`."""
    for name, adapter in ADAPTERS.items():
        for method, function in inspect.getmembers(adapter, inspect.isfunction):
            if not method.startswith("_"):
                setattr(adapter, method, _watched(watch, f"{name}.{method}", function))
    setattr(BaseDatabaseWrapper, "commit", _watched(watch, "commit", BaseDatabaseWrapper.commit))  # noqa: B010
    setattr(transaction.Atomic, "__enter__", _savepoint(watch, transaction.Atomic.__enter__))  # noqa: B010
    # Every statement goes through this method, COPY included.
    name = "_execute_with_wrappers"
    setattr(CursorWrapper, name, _statement(watch, getattr(CursorWrapper, name)))


def _watched(watch: Watch, effect: str, function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        return watch.around(effect, lambda: function(*arguments, **named))

    return watched


def _savepoint(watch: Watch, function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def watched(atomic: Any) -> Any:
        if connection.in_atomic_block and atomic.savepoint:
            return watch.around("savepoint", lambda: function(atomic))
        return function(atomic)

    return watched


def _statement(watch: Watch, function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def watched(cursor: Any, sql: Any, *arguments: Any, **named: Any) -> Any:
        if not isinstance(sql, str) or not _WRITES.match(sql):
            return function(cursor, sql, *arguments, **named)
        effect = "statement" if cursor.db.in_atomic_block else "write"
        return watch.around(effect, lambda: function(cursor, sql, *arguments, **named))

    return watched


if __name__ == "__main__":
    watch_everything(Watch(os.environ))  # type: ignore[arg-type]
    from realtime.consumer import sources

    # Released messages are visible again at once.
    sources.RELEASE_SECONDS = (0, 0)
    runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")
