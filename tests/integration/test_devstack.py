"""The embedded stack, with real processes."""

import os
import pwd
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from django.db import connection

from realtime.devstack import EmbeddedPostgres, StackError, binaries, launch
from realtime.devstack.workspace import Workspace, server_account
from tests.support import ROOT, Aws, is_running, messages_in, wait_until

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's prctl and /proc")

KEEPS_A_SERVER = """
import signal
from realtime.devstack import EmbeddedPostgres
postgres = EmbeddedPostgres()
postgres.start()
print(postgres.pid, postgres.folder, flush=True)
signal.pause()
"""

# What is imported lazily is imported first: the interpreter's own files may be root's alone.
SERVES_AS_ANOTHER_USER = """
import os, sys
import psycopg2, encodings.idna
from realtime.devstack import EmbeddedPostgres, binaries
uid, gid, sys.executable = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.setgroups([]), os.setgid(gid), os.setuid(uid)
with EmbeddedPostgres() as postgres:
    connection = psycopg2.connect(postgres.url())
    cursor = connection.cursor()
    cursor.execute("SELECT 40 + 2")
    owner = os.stat(postgres.folder).st_uid
    print(cursor.fetchone()[0], owner, os.stat(f"/proc/{postgres.pid}").st_uid)
    connection.close()
"""


def query(url: str, statement: str) -> str:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return str(cursor.fetchone()[0]) if cursor.description else ""
    finally:
        connection.close()


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres() as server:
        yield server


def test_start__answers_in_utc_with_the_password_only(postgres: EmbeddedPostgres) -> None:
    assert query(postgres.url(), "SHOW timezone") == "UTC"
    assert query(postgres.url(), "SHOW server_encoding") == "UTF8"
    stranger = re.sub(r":\w+@", ":wrong@", postgres.url())
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(stranger)


def test_restart__keeps_port_and_data(postgres: EmbeddedPostgres) -> None:
    url = postgres.create_database("kept")
    query(url, "CREATE TABLE kept AS SELECT 7 AS number")

    postgres.stop()
    postgres.stop()
    assert postgres.pid is None
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)
    postgres.start()

    assert postgres.url("kept") == url
    assert query(url, "SELECT number FROM kept") == "7"


def test_start__after_a_crash__recovers(postgres: EmbeddedPostgres) -> None:
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)
    assert wait_until(lambda: postgres.pid is None)

    postgres.start()

    assert query(postgres.url(), "SELECT 1") == "1"


def test_start__in_a_thread_that_ends__keeps_running(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    thread = threading.Thread(target=postgres.start)
    thread.start()
    thread.join()

    assert not wait_until(lambda: postgres.pid is None, seconds=0.5)
    assert query(postgres.url(), "SELECT 1") == "1"


def test_start__port_taken_meanwhile__says_what_the_server_said() -> None:
    with EmbeddedPostgres() as first, EmbeddedPostgres() as second:
        second.stop()
        second._port = first._port
        with pytest.raises(StackError, match="could not bind"):
            second.start()


def test_create_database__from_template__is_a_copy_of_its_own(postgres: EmbeddedPostgres) -> None:
    original = postgres.create_database("original")
    query(original, "CREATE TABLE numbers AS SELECT 1 AS number")

    copy = postgres.create_database('a copy; with "odd" name', template="original")
    query(copy.replace(" ", "%20").replace('"', "%22"), "INSERT INTO numbers VALUES (2)")

    assert query(original, "SELECT count(*) FROM numbers") == "1"


def test_drop_database__in_use_or_absent__succeeds(postgres: EmbeddedPostgres) -> None:
    busy = psycopg2.connect(postgres.create_database("busy"))
    postgres.drop_database("busy")
    postgres.drop_database("busy")
    busy.close()

    assert query(postgres.url(), "SELECT count(*) FROM pg_database WHERE datname = 'busy'") == "0"


@linux_only
def test_close__leaves_nothing_running_or_on_disk() -> None:
    server = EmbeddedPostgres()
    server.start()
    pid, folder = server.pid, server.folder
    assert pid is not None and folder is not None

    server.close()
    server.close()

    assert not is_running(pid)
    assert not folder.exists()


@linux_only
def test_killed_parent__server_stops_and_its_folder_is_removed_later() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", KEEPS_A_SERVER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split(maxsplit=1)
        assert is_running(int(pid))
        parent.kill()

    assert wait_until(lambda: not is_running(int(pid)))
    Workspace(server_account()).remove()
    assert not Path(folder.strip()).exists()


@linux_only
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_start__as_an_ordinary_user__serves_as_that_user() -> None:
    nobody = pwd.getpwnam("nobody")
    interpreter = interpreter_for(nobody)
    if interpreter is None:
        pytest.skip("this checkout or its packages cannot be read by any other user")
    arguments = (str(nobody.pw_uid), str(nobody.pw_gid), interpreter)

    result = subprocess.run(
        [sys.executable, "-c", SERVES_AS_ANOTHER_USER, *arguments],
        env={"PATH": os.defpath, "HOME": "/tmp", "TMPDIR": "/tmp"},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )

    assert result.stdout.split() == ["42", str(nobody.pw_uid), str(nobody.pw_uid)], result.stderr


def interpreter_for(user: pwd.struct_passwd) -> str | None:
    """A Python that `user` can start our server with; ours may be in root's own folder."""
    postgres = binaries.installed() / "bin" / "postgres"
    for candidate in (sys.executable, "/usr/bin/python3"):
        command = [candidate, "-I", "-S", launch.__file__, str(os.getpid()), "-", str(postgres)]
        try:
            probe = subprocess.run(
                [*command, "--version"],
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if probe.returncode == 0:
            return candidate
    return None


def test_binaries__unreadable_or_on_another_file_system__are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError("another file system")

    monkeypatch.setattr(os, "link", refuse)

    program = binaries.place(tmp_path) / "bin" / "postgres"

    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("postgres (PostgreSQL)")
    assert program.stat().st_nlink == 1


def test_database_fixture__commit__visible_to_threads_and_other_processes(database: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE seen AS SELECT 1 AS number")
    answers: list[int] = []

    def look() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT number FROM seen")
            answers.append(cursor.fetchone()[0])
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert answers == [1]
    assert query(database, "SELECT number FROM seen") == "1"


def test_database_fixture__holds_core_reference_data(database_url: str) -> None:
    names = "SELECT string_agg(name, ', ' ORDER BY name) FROM opencivicdata_jurisdiction"
    assert query(database_url, names) == "District of Columbia, United States, Wyoming"
    parties = "SELECT count(*) FROM opencivicdata_organization WHERE classification = 'party'"
    assert int(query(database_url, parties)) > 10


def test_aws_fixture__bucket_and_queue_are_empty_and_work(aws: Aws) -> None:
    assert aws.s3.list_objects_v2(Bucket=aws.bucket)["KeyCount"] == 0
    aws.s3.put_object(Bucket=aws.bucket, Key="wy/bill_1.json", Body=b"{}")
    aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody="hello")

    received = aws.sqs.receive_message(QueueUrl=aws.queue_url)["Messages"]
    stored = aws.s3.get_object(Bucket=aws.bucket, Key="wy/bill_1.json")["Body"].read()

    assert [message["Body"] for message in received] == ["hello"]
    assert stored == b"{}"
    attributes = aws.sqs.get_queue_attributes(QueueUrl=aws.queue_url, AttributeNames=["All"])
    assert attributes["Attributes"]["VisibilityTimeout"] == "300"


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """The local AWS is threads of this process: here they take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("busy_threads")
def test_local_aws__many_requests_at_once__each_message_comes_once_and_none_stays(aws: Aws) -> None:
    names = [str(number) for number in range(400)]
    received: list[str] = []

    def send(some: list[str]) -> None:
        for name in some:
            aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=name)

    def empty() -> None:
        while len(received) < len(names):
            for message in aws.sqs.receive_message(
                QueueUrl=aws.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
            ).get("Messages", []):
                received.append(message["Body"])
                handle = message["ReceiptHandle"]
                aws.sqs.delete_message(QueueUrl=aws.queue_url, ReceiptHandle=handle)

    senders = [threading.Thread(target=send, args=(names[at::4],)) for at in range(4)]
    takers = [threading.Thread(target=empty, daemon=True) for _ in range(4)]
    for thread in senders + takers:
        thread.start()
    for thread in senders + takers:
        thread.join(60)
    assert sorted(received) == sorted(names)
    assert messages_in(aws.sqs, aws.queue_url) == 0
