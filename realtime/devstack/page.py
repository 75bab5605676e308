"""The operators' page on the embedded stack."""

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime.devstack.child import spawn
from realtime.devstack.errors import StackError

OPERATOR = "operator"
# Apps whose tables only the page needs.
_APPS = ("auth", "admin", "sessions")
_ROOT = Path(__file__).resolve().parents[2]


class LocalPage:
    """`manage.py runserver` on 127.0.0.1, with one operator and a random password.

    `environment` is the stack's; its database must be migrated. The site runs within the `with`
    block, and on Linux ends with this process, however that happens. Raises StackError when the
    packages of the `page` extra are missing, or Django cannot set it up.
    """

    def __init__(self, environment: Mapping[str, str], port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.password = secrets.token_urlsafe(9)
        self._port = port
        self._environment = {
            **os.environ,
            **environment,
            "SECRET_KEY": secrets.token_hex(32),
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "DJANGO_SUPERUSER_PASSWORD": self.password,
            "PYTHONPATH": str(_ROOT),
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="realtime-page-")

    def __enter__(self) -> Self:
        try:
            for app in _APPS:
                self._manage("migrate", app, "--verbosity", "0")
            self._manage(
                *("createsuperuser", "--noinput", "--verbosity", "0"),
                *("--username", OPERATOR, "--email", "operator@localhost"),
            )
            spawn(
                [*self._command("runserver", f"127.0.0.1:{self._port}"), "--noreload"],
                None,
                Path(self._folder.name) / "page.log",
                self._started,
                self._environment,
            )
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the site. Repeatable."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()
        self._folder.cleanup()

    def _started(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def _manage(self, *arguments: str) -> None:
        done = subprocess.run(
            self._command(*arguments),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            raise StackError(f"the page cannot be served: {done.stderr.strip()}")

    @staticmethod
    def _command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "django", *arguments]
