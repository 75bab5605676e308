"""Import runs tell receivers, whatever happens to the run; `receivers_realtime` shows and acts."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.end_to_end.test_follow_changes import publish
from tests.support import ROOT, Aws, CompletedText, wait_until
from tests.webhooks import SECRET, Receiver, receiving

Manage = Callable[..., CompletedText]
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def told(environment: dict[str, str], receiver: Receiver, session: None) -> dict[str, str]:
    """The environment of a process that tells the receiver."""
    return {
        **environment,
        "REALTIME_CHANGES_URL": receiver.url,
        "REALTIME_CHANGES_SECRET": SECRET,
        "REALTIME_CHANGES_ALLOW_PRIVATE": "true",
    }


def test_import__killed_while_it_delivers__the_next_one_goes_on(
    told: dict[str, str], receiver: Receiver, aws: Aws, run_manage: Manage
) -> None:
    publish(aws, *(f"HB {n}" for n in range(1, 151)))
    command = [sys.executable, "manage.py", "import_realtime"]
    process = subprocess.Popen(command, cwd=ROOT, env=told)

    def answer(number: int) -> int:
        if number == 1:
            # It was taken, and the sender never knows.
            os.kill(process.pid, signal.SIGKILL)
        return 200

    receiver.answer = answer
    assert process.wait(60) == -signal.SIGKILL
    run_manage("import_realtime", env=told)
    calls = [call.id for call in receiver.calls]
    assert calls == [calls[0], calls[1], calls[1]]
    assert receiver.names() == [f"HB {n}" for n in (*range(1, 151), *range(101, 151))]


def test_follow__slow_receiver__imports_go_on_meanwhile(
    told: dict[str, str], receiver: Receiver, aws: Aws, rows: Query
) -> None:
    def answer(number: int) -> int:
        # Not before the second import.
        return 200 if wait_until(lambda: len(bills()) > 1, 30) else 500

    def bills() -> list[tuple[Any, ...]]:
        return rows("SELECT identifier FROM opencivicdata_bill ORDER BY identifier")

    receiver.answer = answer
    command = [sys.executable, "manage.py", "import_realtime", "--follow"]
    with subprocess.Popen(command, cwd=ROOT, env=told) as process:
        try:
            publish(aws, "HB 1")
            assert wait_until(lambda: bills() == [("HB 1",)], 60)
            publish(aws, "HB 2")
            assert wait_until(lambda: len(bills()) > 1, 60)
            assert wait_until(lambda: receiver.names() == ["HB 1", "HB 2"], 60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_receivers_realtime__paused_resumed_and_replayed__says_and_does_so(
    told: dict[str, str], receiver: Receiver, aws: Aws, run_manage: Manage
) -> None:
    def listed() -> dict[str, Any]:
        output = run_manage("receivers_realtime", "--json", env=told).stdout
        [one] = json.loads(output)["list"]
        found: dict[str, Any] = one
        return found

    assert "no receivers" in run_manage("receivers_realtime", env=told).stdout
    run_manage("import_realtime", env=told)
    run_manage("receivers_realtime", "--pause", "default", "--reason", "moving", env=told)
    publish(aws, "HB 1")
    run_manage("import_realtime", env=told)
    assert receiver.calls == []
    one = listed()
    assert (one["behind"], one["pause_reason"], one["delivered"]) == (1, "moving", 0)
    assert one["address"] == receiver.url.partition("/hook")[0]
    assert "1 changes behind" in run_manage("receivers_realtime", env=told).stdout

    run_manage("receivers_realtime", "--resume", "default", env=told)
    run_manage("receivers_realtime", "--deliver", env=told)
    assert (listed()["behind"], receiver.names()) == (0, ["HB 1"])

    run_manage("receivers_realtime", "--replay", "default", "--since", "1h", env=told)
    run_manage("receivers_realtime", "--deliver", env=told)
    assert receiver.names() == ["HB 1", "HB 1"]

    wrong = run_manage("receivers_realtime", "--resume", "other", env=told, check=False)
    assert "no receiver is called 'other'; known are: default" in wrong.stderr
    wrong = run_manage("receivers_realtime", "--resume", "default", env=told, check=False)
    assert "default: it is neither paused nor failing" in wrong.stderr
    run_manage("receivers_realtime", "--forget", "default", env=told)
    assert "no receivers" in run_manage("receivers_realtime", env=told).stdout
