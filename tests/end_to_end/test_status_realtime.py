"""`status_realtime` as a process: on a terminal, as a monitor, and when things are away."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

import psycopg2
import pytest

from realtime.devstack import DevStack
from tests.fault_proxy import AwsProxy, PostgresProxy, on, silence
from tests.support import ROOT, Aws, CompletedText

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
LEAVES_THE_SCREEN = b"\x1b[?1049l"
SHOWS_THE_CURSOR = b"\x1b[?25h"
Manage = Callable[..., CompletedText]


def insert(database_url: str, **fields: str) -> None:
    """A row of the ledger, of a file that failed just now unless `fields` say otherwise."""
    row = {
        "bucket": "'bucket'", "key": f"'wy/bill_{uuid.uuid4()}.json'", "version": "'1'",
        "jurisdiction_id": f"'{WYOMING}'", "object_type": "'bill'", "outcome": "'failed'",
        "reason": "'invalid'", "queued_at": "now()", "received_at": "now()",
        "imported_at": "now()", "size": "0", "order_ticks": "0", "order_stamp": "0",
        "file_archiving": "false",
        **dict.fromkeys(("etag", "version_id", "scrape_id", "session", "bill_scrape_id",
                         "bill_identifier", "bill_action", "bill_id", "row_id", "field", "detail",
                         "traceback", "settled_key", "message"), "''"),
        **fields,
    }  # fmt: skip
    with (
        closing(psycopg2.connect(database_url)) as connection,
        connection,
        connection.cursor() as c,
    ):
        c.execute(
            f"INSERT INTO realtime_file ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        )


def heed_interrupts() -> None:
    """For a process about to begin: it would go on ignoring what whoever runs the tests ignores."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A process on a terminal of 40 lines, and all that it has written there."""

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), *arguments],
            env={**environment, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=ROOT,
            preexec_fn=heed_interrupts,
        )
        os.close(theirs)
        self.written = b""

    def shows(self, text: str, seconds: float = 60) -> bool:
        """Whether it writes `text`, from here on, within so many seconds."""
        start, deadline = len(self.written), time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self._ours], [], [], 0.1)[0]:
                self.written += os.read(self._ours, 65536)
            plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", self.written[start:]).decode()
            if text in " ".join(plain.split()):
                return True
        return False

    def interrupt(self) -> int:
        """Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        # What it still writes must be read, or it would wait for that.
        deadline = time.monotonic() + 60
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it goes on"
            self._read()
        self._read()
        return self.process.returncode

    def _read(self) -> None:
        try:
            if select.select([self._ours], [], [], 0.2)[0]:
                self.written += os.read(self._ours, 65536)
        except OSError:
            pass

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)


@contextmanager
def terminal(environment: Mapping[str, str], *arguments: str) -> Iterator[Terminal]:
    opened = Terminal(environment, *arguments)
    try:
        yield opened
    finally:
        opened.close()


def test_watch__while_the_database_goes_away__goes_on_and_ends_cleanly(
    environment: dict[str, str],
) -> None:
    with PostgresProxy(environment["DATABASE_URL"]) as proxy:
        there = {**environment, "DATABASE_URL": proxy.url}
        with terminal(there, "status_realtime", "--watch", "1") as watching:
            assert watching.shows("0 failed")
            insert(environment["DATABASE_URL"])
            assert watching.shows("1 failed"), "it looks again by itself"
            proxy.refuse()
            assert watching.shows("the database cannot be reached")
            assert watching.shows("1 failed"), "the last figures stay"
            insert(environment["DATABASE_URL"])
            proxy.accept()
            assert watching.shows("2 failed")
            assert watching.interrupt() == 0
            assert LEAVES_THE_SCREEN in watching.written
            assert SHOWS_THE_CURSOR in watching.written
            assert b"Traceback" not in watching.written


def test_watch__json__prints_an_object_each_time(environment: dict[str, str]) -> None:
    watching = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "status_realtime", "--watch", "1", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )
    assert watching.stdout is not None
    lines = [json.loads(watching.stdout.readline()) for _ in range(2)]
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 0
    watching.stdout.close()
    assert lines[0]["at"] < lines[1]["at"]


def test_status__aws_silent__answers_all_the_same(
    stack: DevStack, environment: dict[str, str], run_manage: Manage
) -> None:
    insert(environment["DATABASE_URL"])
    with AwsProxy(stack.aws.endpoint) as proxy:
        proxy.rule = on("GetQueueAttributes", fault=silence)
        there = {**environment, "AWS_ENDPOINT_URL": proxy.endpoint}
        result = run_manage("status_realtime", "--json", env=there, timeout=60)
        figures = json.loads(result.stdout.splitlines()[-1])
        assert figures["queue"]["visible"] is None
        assert "SQS" in figures["queue"]["problem"]
        assert figures["failures"]["files"] == 1


def test_status__database_away__is_one_clear_line(
    environment: dict[str, str], run_manage: Manage
) -> None:
    with PostgresProxy(environment["DATABASE_URL"]) as proxy:
        proxy.refuse()
        there = {**environment, "DATABASE_URL": proxy.url}
        for more in ((), ("--json",), ("--max-age", "5")):
            result = run_manage("status_realtime", *more, env=there, check=False)
            assert result.returncode == 1
            assert result.stdout == ""
            (line,) = result.stderr.splitlines()
            assert "the database cannot be reached" in line


@pytest.mark.parametrize(("minutes", "status"), [("30", 1), ("60", 0)])
def test_max_age__message_that_has_waited_for_40_minutes__is_behind_or_not(
    environment: dict[str, str], run_manage: Manage, aws: Aws, minutes: str, status: int
) -> None:
    insert(environment["DATABASE_URL"], queued_at="now() - interval '40 minutes'")
    queue_url = environment["SQS_QUEUE_URL"]
    aws.sqs.send_message(QueueUrl=queue_url, MessageBody="{}")
    result = run_manage("status_realtime", "--max-age", minutes, env=environment, check=False)
    assert result.returncode == status
    assert ("messages have waited for 40 min" in result.stderr) == bool(status)


def test_container__its_health_check__is_a_command_that_works(
    environment: dict[str, str], run_manage: Manage
) -> None:
    text = (ROOT / "deploy/docker/Dockerfile.cron").read_text()
    command = json.loads(re.findall(r"HEALTHCHECK.*?CMD (\[.*?\])", text, re.DOTALL)[0])
    assert command[:2] == ["python", "manage.py"]
    result = run_manage(*command[2:], env=environment)
    assert json.loads(result.stdout.splitlines()[-1])["behind"] == []
