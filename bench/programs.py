"""Runs commands in processes of their own, as an operator would, and measures them."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bench import measured

ROOT = Path(__file__).resolve().parent.parent
MANAGE = (sys.executable, str(ROOT / "manage.py"))
# Prefixes of the developer's own settings, which the programs must not inherit.
_PRIVATE = ("AWS_", "BOTO_", "DATABASE_", "REALTIME_", "STATS_", "S3_", "SQS_", "SCRAPE_")


@dataclass(frozen=True)
class Finished:
    """The cost of a program, and the JSON object that it printed last, if any."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    report: dict[str, Any]


class Running:
    """A running program."""

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._result = Path(self._folder.name, "result")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", measured.__file__, str(self._result), *command],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def wait(self) -> Finished:
        """Wait for its end. Raises RuntimeError with its error output when it fails."""
        output, errors = self._process.communicate()
        with self._folder:
            if self._process.returncode:
                raise RuntimeError(f"{self._process.args!r} failed: {errors[-2000:]}")
            figures = json.loads(self._result.read_text())
        lines = output.splitlines()
        report = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        return Finished(**figures, report=report)


def run(command: tuple[str, ...], environment: Mapping[str, str]) -> Finished:
    return Running(command, environment).wait()


def text(command: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """The standard output of a program."""
    return subprocess.run(
        command, env=dict(environment), cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout


def environment(**more: str) -> dict[str, str]:
    """The environment of a program. Bytecode is kept, as in an installation, so the first run of a
    program must not be counted."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PRIVATE) and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {
        **inherited,
        "PYTHONPYCACHEPREFIX": _compiled().name,
        "REALTIME_LOG_LEVEL": "ERROR",
        **more,
    }


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    # Removed when this process ends.
    return tempfile.TemporaryDirectory()
