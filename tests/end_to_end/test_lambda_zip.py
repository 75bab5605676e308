"""What `make lambda` built, with its own packages and no others."""

import os
import platform
import uuid
from pathlib import Path
from typing import Any

import pytest

from deploy.aws import package
from realtime.devstack.lambda_runtime import LambdaRuntime
from tests import scrapes
from tests.integration.test_people import person, send
from tests.scrapes import Mail
from tests.support import ROOT, Aws, not_installed

ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
TREE = ROOT / "build" / "lambda" / ARCHITECTURE
CLIENT = ROOT / "build" / "lambda" / "client"
PYTHON = package.find_python()


@pytest.mark.deploy
@pytest.mark.skipif(not CLIENT.is_dir(), reason=not_installed("the zip", "make lambda"))
@pytest.mark.skipif(PYTHON is None, reason="no Python is found of Lambda's version")
def test_zip__every_type_of_file__imported_finalized_and_archived(
    aws: Aws, database_url: str
) -> None:
    mail = Mail(aws, database_url)
    bill = scrapes.bill()
    run_id = str(uuid.uuid4())
    files = [
        scrapes.jurisdiction(),
        bill,
        scrapes.vote_event(bill, action="reading 1"),
        scrapes.event(about="HB 1"),
    ]
    mail.publish(*files, run_id=run_id)
    send(mail, person(), "1")
    ended = {
        "started_at": "2031-01-01T00:00:00+00:00",
        "finished_at": "2031-01-02T00:00:00+00:00",
        "objects": {"jurisdiction": 1, "bill": 1, "vote_event": 1, "event": 1},
        "scrapers": {},
    }
    message: dict[str, Any] = {
        "run_id": run_id,
        "bucket": aws.bucket,
        "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
        "jurisdiction_name": "Wyoming",
        "run_finished": ended,
    }
    mail.send(message)
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        **aws.environment,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": str(CLIENT),
        "FILE_ARCHIVING_ENABLED": "true",
    }
    assert PYTHON is not None
    handler = "realtime.lambda_handler.handler"
    with LambdaRuntime(handler, environment, TREE, (PYTHON, "-s", "-B")) as function:
        answer = function.invoke({"source": "aws.events"})
    assert answer.error is None, answer.error
    assert answer.response["failed"] == 0, function.log
    assert answer.response["inserted"] + answer.response["updated"] >= 4
    assert answer.response["finalized"] == [run_id]
    assert mail.keys("wy/") == []


def test_lock__for_lambda__names_one_version_of_each_package_it_needs() -> None:
    for architecture in package.ARCHITECTURES:
        names = [name for name, _ in package.locked(architecture)]
        assert sorted(names) == sorted(set(names))
        assert set(names) >= package.PACKAGES


def test_zip__of_a_tree__is_the_same_bytes_whatever_the_clock_says(tmp_path: Path) -> None:
    written: list[bytes] = []
    for name in ("first", "second"):
        tree = tmp_path / name
        (tree / "realtime").mkdir(parents=True)
        (tree / "settings.py").write_text("A = 1\n")
        (tree / "realtime" / "lib.so").write_bytes(b"\x7fELF")
        os.utime(tree / "settings.py", (len(written), len(written)))
        package._zip(tree, tmp_path / f"{name}.zip")
        written.append((tmp_path / f"{name}.zip").read_bytes())
    assert written[0] == written[1]
