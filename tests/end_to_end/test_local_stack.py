"""`manage.py local_stack` as a developer uses it: in a shell, until Ctrl-C."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from realtime.devstack import StackError
from realtime.devstack.page import LocalPage
from tests.support import ROOT, processes_naming, run_manage, wait_until

PERSON = """
id: ocd-person/11111111-2222-4333-8444-555555555555
name: Nellie Tayloe Ross
given_name: Nellie
family_name: Ross
party:
- name: Democratic
roles:
- start_date: 2023-01-02
  type: lower
  jurisdiction: ocd-jurisdiction/country:us/state:wy/government
  district: '3'
"""

EXPORTED = {
    "DATABASE_URL",
    "S3_REALTIME_BASE",
    "SQS_QUEUE_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_EC2_METADATA_DISABLED",
}


@pytest.fixture
def temporary_folder() -> Iterator[Path]:
    """A temporary folder for the command's own use that any user can reach, unlike `tmp_path`."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(temporary_folder: Path) -> Iterator["Start"]:
    starter = Start(temporary_folder)
    yield starter
    for process in starter.processes:
        process.kill()
        process.communicate()


class Start:
    """Starts the command, and answers whether it left anything behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "manage.py", "local_stack", *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        # A test that waits for a line must fail, not hang; nor fail because the machine is busy,
        # when the 10 seconds that this takes have been 90.
        timer = threading.Timer(300, process.kill)
        timer.daemon = True
        timer.start()
        return process

    def nothing_left(self) -> bool:
        return not list(self.folder.iterdir()) and not processes_naming(str(self.folder))


def read_exports(process: "subprocess.Popen[str]") -> dict[str, str]:
    """The variables that the command prints before `ready`."""
    assert process.stdout is not None
    exports: dict[str, str] = {}
    for line in process.stdout:
        if line == "ready\n":
            return exports
        export, _, assignment = line.rstrip("\n").partition(" ")
        assert export == "export"
        name, _, value = assignment.partition("=")
        exports[name] = value
    assert process.stderr is not None
    raise AssertionError(process.stderr.read())


def test_local_stack__until_interrupted__serves_a_loaded_database(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "legislature").mkdir()
    (tmp_path / "legislature" / "Nellie-Ross.yml").write_text(PERSON)
    (tmp_path / "municipalities.yml").write_text("- name: not a person\n")

    process = start("--jurisdiction", "wy", "--jurisdiction", "usa", "--people", str(tmp_path))
    exports = read_exports(process)
    assert exports.keys() == EXPORTED
    connection = psycopg2.connect(exports["DATABASE_URL"])
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM opencivicdata_jurisdiction ORDER BY name")
        jurisdictions = [name for (name,) in cursor.fetchall()]
        cursor.execute("SELECT name, primary_party FROM opencivicdata_person")
        people = cursor.fetchall()
    connection.close()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    assert jurisdictions == ["United States", "Wyoming"]
    assert people == [("Nellie Tayloe Ross", "Democratic")]
    assert (process.returncode, stdout) == (0, ""), stderr
    assert start.nothing_left()


def test_local_stack__its_first_lines_of_advice__work_as_printed(start: Start) -> None:
    process = start("--jurisdiction", "wy")
    environment = {"PATH": os.environ["PATH"], **read_exports(process)}
    assert process.stderr is not None
    advice = list(iter(process.stderr.readline, "running; press Ctrl-C to stop\n"))
    said = [
        subprocess.run(
            ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        for command in advice
        if command.startswith("  .venv/")
    ]
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)

    assert [one.returncode for one in said] == [0, 0, 0], said
    published, imported, status = (one.stdout for one in said)
    assert published.startswith("published 10 files as run "), published
    assert "inserted" in imported and "failed" not in imported, imported
    assert "final" in status, status


def test_local_stack__with_the_page__serves_it_until_interrupted(start: Start) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start("--page", str(port))
    read_exports(process)
    login = f"http://127.0.0.1:{port}/login/"
    assert answers(login)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 0, stderr
    assert f"http://127.0.0.1:{port}/ (log in as operator, " in stderr
    assert not answers(login)
    assert start.nothing_left()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_local_stack__terminated_while_starting__leaves_nothing(start: Start) -> None:
    process = start()
    assert wait_until(lambda: any(start.folder.iterdir()), seconds=60)

    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)

    assert (process.returncode, stdout) == (0, ""), stderr
    assert start.nothing_left()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--jurisdiction", "wy", "--jurisdiction", "atlantis"), "'atlantis'"),
        (("--people", "/no/such/folder"), "'/no/such/folder'"),
        (("--page", "65536"), "65536"),
    ],
)
def test_local_stack__wrong_argument__is_named_before_anything_starts(
    arguments: tuple[str, ...], named: str
) -> None:
    result = run_manage("local_stack", *arguments, check=False)

    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert named in result.stderr


def test_local_stack__page_s_port_is_taken__is_said_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        port = taker.getsockname()[1]
        result = run_manage("local_stack", "--page", str(port), check=False)

    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert f"port {port} cannot be used" in line and "Address already in use" in line


def test_page__port_is_taken_while_it_starts__ends_with_what_the_site_said(
    environment: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taker:
        page = LocalPage(environment, taker.getsockname()[1])
        with pytest.raises(StackError, match="cannot be served: Error: That port is already"), page:
            pass


def test_local_stack__person_of_an_unknown_jurisdiction__is_named(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "Nellie-Ross.yml"
    path.write_text(PERSON)

    process = start("--people", str(tmp_path))
    stdout, stderr = process.communicate(timeout=60)

    assert (process.returncode, stdout) == (1, "")
    assert str(path) in stderr.splitlines()[-1]
    assert start.nothing_left()
