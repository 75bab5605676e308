"""`manage.py demo_realtime` as someone runs it who has just cloned the project."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, processes_naming, wait_until

LIMIT_SECONDS = 120
EXPECTED = {"jurisdiction": 1, "person": 20, "bill": 40, "vote_event": 60, "event": 10}
# Someone's real settings, which the demo must not use.
FOREIGN = {
    "DATABASE_URL": "postgres://somebody@127.0.0.1:1/real",
    "S3_REALTIME_BASE": "s3://somebodys-real-bucket",
    "SQS_QUEUE_URL": "http://127.0.0.1:1/real",
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1",
    "AWS_PROFILE": "somebody",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "REALTIME_MAX_MESSAGES": "1",
}


@pytest.fixture
def temporary_folder() -> Iterator[Path]:
    """A temporary folder for the command's own use that any user can reach, unlike `tmp_path`."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def start(folder: Path, *options: str, **settings: str) -> "subprocess.Popen[str]":
    kept = {"PATH": os.defpath, "TMPDIR": str(folder), **settings}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "demo_realtime", *options],
        cwd=folder,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(output: str) -> dict[str, list[str]]:
    """The rows of the tables: their cells by their first one."""
    found = {}
    for line in output.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if line.startswith("  ") and len(cells) > 1:
            found[cells[0]] = cells[1:]
    return found


def first_bills(output: str) -> int:
    """How many bills could be seen when the first ones could, while the scrape went on."""
    before_its_end = output.partition("The scrape has ended well")[0]
    visible = [int(count) for count in re.findall(r"visible: (\d+) bills", before_its_end)]
    return min(filter(None, visible), default=0)


def nothing_left(folder: Path) -> bool:
    return not list(folder.iterdir()) and not processes_naming(str(folder))


@pytest.mark.parametrize("options", [(), ("--local",)], ids=["aws", "local"])
def test_demo__someones_own_settings__bills_appear_meanwhile_and_all_at_the_end(
    temporary_folder: Path, options: tuple[str, ...]
) -> None:
    process = start(temporary_folder, *options, **FOREIGN)
    try:
        output, errors = process.communicate(timeout=LIMIT_SECONDS)
    finally:
        process.kill()

    assert process.returncode == 0, output + errors
    assert errors == ""
    table = rows(output)
    assert {name: table[name][-2:] for name in EXPECTED} == {
        name: [str(count), str(count)] for name, count in EXPECTED.items()
    }
    assert 0 < first_bills(output) < EXPECTED["bill"]
    assert table["files in the store's root"] == ["0"]
    assert table["files in failed/"] == ["1"]
    assert table["messages or files left to import"] == ["0"]
    assert nothing_left(temporary_folder)


@pytest.mark.parametrize(
    "options, number",
    [((), signal.SIGINT), ((), signal.SIGTERM), (("--local",), signal.SIGINT)],
)
def test_demo__nothing_set_and_interrupted__says_so_and_leaves_nothing(
    temporary_folder: Path, options: tuple[str, ...], number: signal.Signals
) -> None:
    process = start(temporary_folder, *options)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "visible:" in line:
                break
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()

    assert process.returncode == 130
    assert errors == "CommandError: interrupted; everything is stopped\n"
    assert wait_until(lambda: nothing_left(temporary_folder))
