"""What the commands and the function write to their log, a line at a time."""

import json
import os
import pty
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.devstack.lambda_runtime import LambdaRuntime
from tests import scrapes
from tests.end_to_end.test_lambda_runtime import HANDLER, SCHEDULE
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.support import ROOT, Aws, CompletedText

Manage = Callable[..., CompletedText]
Line = dict[str, Any]


@pytest.fixture
def mail(aws: Aws, database_url: str) -> Mail:
    """A session, a bill, a vote event that waits for another bill, an archived key and nonsense."""
    mail = Mail(aws, database_url)
    mail.publish(scrapes.jurisdiction(), scrapes.bill())
    mail.publish(scrapes.vote_event(scrapes.bill("HB 2")), run_id=scrapes.fresh_id())
    mail.send(mail.message("archived/2031-01-01/wy/bill_1.json"))
    mail.send("nonsense")
    return mail


def lines(text: str) -> list[Line]:
    """Every line, which must each be a JSON object."""
    return [json.loads(line) for line in text.splitlines()]


def test_import__debug__one_line_an_outcome_and_one_a_run_and_none_of_aws(
    mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    settings = {**environment, "REALTIME_LOG_LEVEL": "DEBUG"}
    result = run_manage("import_realtime", "--json", env=settings)
    said = lines(result.stderr)
    report = json.loads(result.stdout.splitlines()[-1])
    outcomes = Counter(line["outcome"] for line in said if "outcome" in line)
    assert outcomes == {name: report[name] for name in scrapes.OUTCOMES if report[name]}
    assert report["received"] == 5
    levels = {line["outcome"]: line["level"] for line in said if "outcome" in line}
    assert levels.pop("failed") == "WARNING"
    assert set(levels.values()) == {"DEBUG"}
    [summary] = [line for line in said if line["level"] == "INFO"]
    assert summary["message"] == "import run ended"
    assert summary["received"] == 5
    assert {line["logger"].split(".")[0] for line in said} == {"realtime"}
    [run] = {line["import_run_id"] for line in said}
    assert run and all(line.get("run_id") != run for line in said)
    deferred = next(line for line in said if line.get("outcome") == "deferred")
    assert deferred["run_id"] and deferred["waiting_for"]
    assert environment["AWS_SECRET_ACCESS_KEY"] not in result.stderr
    assert environment["DATABASE_URL"] not in result.stderr


def test_import__level_of_a_service__failures_and_one_summary(
    mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    failed, summary = lines(run_manage("import_realtime", env=environment).stderr)
    assert (failed["message"], failed["reason"]) == ("file failed", "bad-message")
    assert (summary["message"], summary["failed"]) == ("import run ended", 1)
    again = run_manage("import_realtime", env=environment)
    [idle] = lines(again.stderr)
    assert (idle["received"], "failed" in idle) == (0, False)
    assert idle["import_run_id"] != summary["import_run_id"]


@pytest.mark.parametrize(
    ("form", "on_terminal", "expected"),
    [("", True, "text"), ("", False, "json"), ("json", True, "json"), ("text", False, "text")],
)
def test_log_format__terminal_or_not__as_asked_or_as_suits_the_reader(
    form: str, on_terminal: bool, expected: str, environment: dict[str, str]
) -> None:
    settings = {**environment, **({"REALTIME_LOG_FORMAT": form} if form else {})}
    main, terminal = pty.openpty()
    result = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "import_realtime"],
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal if on_terminal else subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    os.close(terminal)
    [line] = (os.read(main, 10_000).decode() if on_terminal else result.stderr).splitlines()
    os.close(main)
    if expected == "json":
        assert json.loads(line)["message"] == "import run ended"
    else:
        assert " INFO realtime.consumer.context: import run ended " in line


def test_commands__long_run__standard_error_is_json_with_signs_of_progress(
    mail: Mail, environment: dict[str, str], run_manage: Manage, tmp_path: Path
) -> None:
    # Each step takes so long that it has a line.
    program = (
        "import sys, django; django.setup()\n"
        "from django.core.management import call_command\n"
        "from realtime.management import progress_line\n"
        "progress_line._NOW_AND_THEN = 0.0\n"
        "call_command(*sys.argv[1:])\n"
    )

    def said_by(*command: str) -> list[Line]:
        result = subprocess.run(
            [sys.executable, "-c", program, *command],
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return [line for line in lines(result.stderr) if line["message"] == "in progress"]

    (tmp_path / "bill_1.json").write_text(json.dumps(scrapes.bill("HB 4")))
    assert said_by("publish_realtime", str(tmp_path), "--jurisdiction", "wy")
    run = Run(mail)
    run.publish(scrapes.bill("HB 3"), {**scrapes.bill("HB 5"), "title": None})
    run.end()
    run_manage("import_realtime", env={**environment, "REALTIME_ARCHIVE": "later"})
    assert said_by("archive_realtime")
    assert said_by("finalize_realtime", "--run", run.id, "--force", "--full")
    assert said_by("retry_realtime", "--jurisdiction", "wy")


def test_commands__wrong_log_format__one_clear_line_and_status_1(
    environment: dict[str, str], run_manage: Manage
) -> None:
    settings = {**environment, "REALTIME_LOG_FORMAT": "xml"}
    result = run_manage("import_realtime", env=settings, check=False)
    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.endswith("REALTIME_LOG_FORMAT is 'xml': write json or text")


def test_function__each_invocation__lines_once_as_json_with_its_request_id(
    mail: Mail, environment: dict[str, str]
) -> None:
    settings = {**environment, "DJANGO_SETTINGS_MODULE": "settings", "REALTIME_LOG_LEVEL": "DEBUG"}
    with LambdaRuntime(HANDLER, settings, ROOT) as function:
        answers = [function.invoke(SCHEDULE) for _ in range(2)]
    assert [answer.error for answer in answers] == [None, None]
    said = [line for line in lines(function.log) if "logger" in line]
    received = sum(answer.response["received"] for answer in answers)
    assert received == 5
    assert len([line for line in said if "outcome" in line]) == received
    requests = [line["request_id"] for line in said if line["message"] == "import run ended"]
    assert len(set(requests)) == len(requests) == 2
    assert all(line["request_id"] in requests for line in said)
