"""Runs a command of ours as a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from realtime.devstack import launch

_MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
_STOP_SECONDS = 10.0


class Process:
    """A running `manage.py` with these arguments. It writes only below `folder`, its output to a
    log there.

    Create it in the main thread. On Linux it ends when this process ends, however that happens.
    """

    def __init__(
        self, folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log = folder / f"{arguments[0]}.log"
        command = [sys.executable, str(_MANAGE), *arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "-", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Core and the scraper's cache write to the working directory.
                cwd=folder,
                env={**os.environ, **(environment or {})},
                # Keep a terminal's Ctrl-C from it: `stop` ends it in order.
                start_new_session=True,
            )

    @property
    def status(self) -> int | None:
        """The exit status, None while it runs."""
        return self._process.poll()

    def tail(self, lines: int = 25) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it by this signal if it still runs. Repeatable."""
        if self.status is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
