"""The operators' page on the embedded stack."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from realtime.devstack.child import spawn
from realtime.devstack.errors import StackError

OPERATOR = "operator"
# Apps whose tables only the page needs.
_APPS = ("auth", "admin", "sessions")
_ROOT = Path(__file__).resolve().parents[2]
_HOST = "127.0.0.1"
# How long the site may take to answer, on a machine that is busy.
_START_SECONDS = 120


def check_port(port: int) -> None:
    """Raises StackError when the page cannot listen on this port now."""
    with socket.socket() as probe:
        # As the site itself will: connections that have ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            raise StackError(
                f"--page: port {port} cannot be used, name another: {error}"
            ) from error


class LocalPage:
    """`manage.py runserver` on 127.0.0.1, with one operator and a random password.

    `environment` is the stack's; its database must be migrated. The site answers within the `with`
    block, and on Linux ends with this process, however that happens. Raises StackError when the
    packages of the `page` extra are missing, Django cannot set it up, or it ends before it answers
    (the port is taken, say).
    """

    def __init__(self, environment: Mapping[str, str], port: int) -> None:
        self.url = f"http://{_HOST}:{port}/"
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
            process = spawn(
                [*self._command("runserver", f"{_HOST}:{self._port}"), "--noreload"],
                None,
                self._log,
                self._started,
                self._environment,
            )
            self._wait_until_it_answers(process)
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

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "page.log"

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                # urllib would ask a proxy.
                with closing(HTTPConnection(_HOST, self._port, timeout=5)) as connection:
                    connection.request("GET", "/login/")
                    connection.getresponse()
                    return
            except (OSError, HTTPException):
                time.sleep(0.05)
        said = self._log.read_text(errors="replace").strip() or "it does not answer"
        raise StackError(f"the page cannot be served: {said.splitlines()[-1]}")

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
