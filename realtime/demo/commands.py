"""Runs our management commands in a thread of this process."""

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

from django.core.management import call_command
from django.db import connections

T = TypeVar("T")


class Commands:
    """Runs commands one at a time, within the `with` block.

    They run outside the main thread, where `import_realtime` would handle Ctrl-C itself. Starting a
    process for each would take longer than the import.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "commands")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Wait for a running import, a second at most, before the stack is stopped.
        self._thread.submit(connections.close_all)
        self._thread.shutdown()

    def __call__(self, name: str, *arguments: str) -> dict[str, Any]:
        """Run a command with `--json` and return the object it prints. Raises CommandError."""

        def run() -> dict[str, Any]:
            output = io.StringIO()
            call_command(name, *arguments, "--json", stdout=output, stderr=io.StringIO())
            report: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
            return report

        return self.call(run)

    def call(self, function: Callable[[], T]) -> T:
        """Run `function`, which may use the database, in the thread; returns its result."""
        return self._thread.submit(function).result()
