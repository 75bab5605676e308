"""docs/operations.md: each of its commands works, and each thing that can happen is in it.

The commands run as they stand, in one shell and in order, against an emulator of AWS that takes
the template itself. What only a host has (sudo, systemctl, accounts) and what takes minutes
(clone, make) is replaced by stand-ins that look whether it could work.
"""

import ast
import os
import re
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from realtime.devstack import DevStack, binaries
from realtime.models import Outcome
from tests import cloudformation
from tests.contracts import backends
from tests.support import ROOT, not_installed, run_manage

PAGE = ROOT / "docs" / "operations.md"
CHECK_TOOLS = ROOT / ".venv-check" / "bin"

# What a shell finds before the real thing.
STAND_INS = {
    "sudo": '[ "$1" != -u ] || shift 2; exec "$@"',
    "useradd": "true",
    "chgrp": "true",
    "logger": "cat",
    "git": """
if [ "$1" = -C ]; then cd "$2"; shift 2; fi
case $1 in
clone) mkdir -p "$3" && for entry in {root}/* {root}/.venv {root}/.venv-check; do
           case $entry in */build) ;; *) ln -s "$entry" "$3"/ ;; esac
       done ;;
pull) ;;
*) exit 1 ;;
esac""",
    "make": """
for target; do :; done
grep -q "^$target:" {root}/Makefile || exit 1
[ "$target" != lambda ] || cp -R {scratch}/build .""",
    "docker": """
while [ $# -gt 0 ]; do
    case $1 in --file|--env-file) [ -s "$2" ] || exit 1 ;; esac
    shift
done""",
    # This aws asks the real SQS whatever its environment says.
    "aws": 'exec {root}/.venv-check/bin/aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"',
    "systemctl": """
for unit; do
    case $unit in *.timer|*.service) [ -f {scratch}/etc/systemd/system/"$unit" ] || exit 1 ;; esac
done""",
}


def blocks() -> Iterator[str]:
    """The shell commands of the page, a fenced block each."""
    yield from re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(tmp_path: Path) -> Path:
    """A folder of stand-ins, and below it what the commands expect of a host."""
    scratch = tmp_path / "host"
    stand_ins = scratch / "bin"
    stand_ins.mkdir(parents=True)
    for name, script in STAND_INS.items():
        path = stand_ins / name
        path.write_text("#!/bin/sh\n" + script.format(root=ROOT, scratch=scratch) + "\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    for folder in ("etc/systemd/system", "etc/cron.d", "srv", "build"):
        (scratch / folder).mkdir(parents=True)
    with zipfile.ZipFile(scratch / "build" / "lambda-arm64.zip", "w") as archive:
        archive.writestr("settings.py", "")
    return scratch


@pytest.mark.deploy
@pytest.mark.skipif(
    not (CHECK_TOOLS.is_dir() and backends.MINISTACK.exists()),
    reason=not_installed("sam and ministack", "make tools"),
)
def test_commands__as_a_new_operator_runs_them__work(
    stack: DevStack, database_url: str, shell: Path, tmp_path: Path
) -> None:
    with backends.ministack() as endpoint:
        environment = {
            "PATH": f"{shell / 'bin'}:{binaries.installed() / 'bin'}:{os.environ['PATH']}",
            "HOME": str(shell),
            "REPOSITORY": str(ROOT),
            "DATABASE_URL": database_url,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "operator",
            "AWS_SECRET_ACCESS_KEY": "operator",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "SETTINGS": f"{shell}/etc/openstates-realtime.env",
        }
        filled_in = shell / "filled-in.env"
        script = ["set -euo pipefail", f"cd {tmp_path}"]
        for number, block in enumerate(blocks()):
            script.append(f"echo '--- block {number}' >&2")
            script.append(re.sub(r"(?<![\w.])/(etc|srv)/", rf"{shell}/\1/", block))
            if "realtime.env.example" in block:
                script.append(f"env | grep -E '^(DATABASE|AWS|S3|SQS)_' > {filled_in}")
                script.append(f"cp {filled_in} {shell}/etc/openstates-realtime.env")
        result = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert result.returncode == 0, result.stderr[-3000:]
    said = result.stdout + result.stderr
    assert "System check identified no issues" in said
    assert "Successfully created/updated stack" in said


def test_crontab__its_commands__run_with_the_settings_of_the_file(
    environment: dict[str, str], shell: Path
) -> None:
    settings = {**environment, "REALTIME_LOG_LEVEL": "WARNING"}
    names = re.compile("(DATABASE|AWS|S3|SQS|REALTIME)_")
    # As in the page's own example; a shell would take it for two commands.
    settings["DATABASE_URL"] += "?connect_timeout=7&sslmode=disable"
    kept = [f"{name}={value}" for name, value in settings.items() if names.match(name)]
    file = shell / "etc/openstates-realtime.env"
    file.write_text("# $(false) 'settings'\n\n" + "\n".join(kept))
    text = (ROOT / "deploy/cron/openstates-realtime").read_text()
    text = text.replace("/srv/openstates-realtime", str(ROOT))
    [interpreter] = re.findall(r"^SHELL=(.*)$", text, re.MULTILINE)
    commands = re.findall(r"^[*0-9].*? openstates (.*)$", text, re.MULTILINE)
    path = f"{shell / 'bin'}:/usr/bin:/bin"
    running = [
        subprocess.Popen(
            [interpreter, "-c", command],
            env={"PATH": path, "SETTINGS": str(file)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert len(said) == 4
    assert "received" in said[0], said
    assert "nothing to move" in said[1]
    assert "nothing to delete" in said[3]


def test_units__their_commands__are_the_crontab_s() -> None:
    units = sorted((ROOT / "deploy/systemd").glob("*.service"))
    started = {
        re.findall(r"^ExecStart=.*manage\.py (.*)$", unit.read_text(), re.M)[0] for unit in units
    }
    crontab = (ROOT / "deploy/cron/openstates-realtime").read_text()
    cron = set(re.findall(r"deploy/manage\.sh (.*?) 2>&1", crontab))
    # In place of a timer.
    assert started == cron | {"import_realtime --follow"}
    timers = [unit for unit in units if "follow" not in unit.name]
    assert all(unit.with_suffix(".timer").exists() for unit in timers)


def test_dockerfiles__their_bases__are_pinned_by_digest_and_their_user_is_not_root() -> None:
    found = sorted((ROOT / "deploy/docker").glob("Dockerfile.*"))
    assert len(found) == 2
    for path in found:
        text = path.read_text()
        bases = re.findall(r"^FROM (.*)$", text, re.MULTILINE)
        assert bases and all(re.search(r":\S+@sha256:[0-9a-f]{64}$", base) for base in bases)
        assert re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)[-1] != "0"


def test_container_s_clock__sigterm__ends_cleanly(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$2"\n')
    python.chmod(0o755)
    clock = subprocess.Popen(
        [str(ROOT / "deploy/docker/loop.sh")],
        env={"PATH": os.environ["PATH"], "PYTHON": str(python), "PAUSE": "60"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert clock.stdout is not None
    started = [clock.stdout.readline().strip() for _ in range(4)]
    clock.terminate()
    assert clock.wait(10) == 0
    clock.stdout.close()
    assert started == [
        "import_realtime",
        "archive_realtime",
        "finalize_realtime",
        "prune_realtime",
    ]


def test_migrations__while_every_table_of_core_is_locked__finish(
    stack: DevStack, database_url: str, environment: dict[str, str]
) -> None:
    run_manage("migrate", "realtime", "zero", env=environment)
    other = psycopg2.connect(database_url)
    with other, other.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'opencivicdata%'")
        tables = [f'"{name}"' for (name,) in cursor.fetchall()]
        assert len(tables) > 30
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
        limited = {**environment, "DATABASE_URL": f"{database_url}?options=-c%20lock_timeout%3D1s"}
        run_manage("migrate", "realtime", env=limited)
    other.close()


def test_migrations__of_this_release__accept_writes_of_the_previous_release(
    database_url: str, environment: dict[str, str]
) -> None:
    # A column that must be given, and that they know nothing of, would fail each of their imports.
    demanded = """
        SELECT table_name || '.' || column_name FROM information_schema.columns
        WHERE table_name IN ('realtime_file', 'realtime_run') AND is_nullable = 'NO'
          AND column_default IS NULL
    """
    run_manage("migrate", "realtime", "0002", env=environment)
    before = column_of(database_url, demanded)
    run_manage("migrate", "realtime", env=environment)
    assert column_of(database_url, demanded) <= before


def column_of(database_url: str, query: str) -> set[str]:
    with closing(psycopg2.connect(database_url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return {value for (value,) in cursor.fetchall()}


def raised(*errors: str) -> Iterator[str]:
    """The first arguments of these errors where the project raises them, with gaps as …"""
    for path in sorted((ROOT / "realtime").rglob("*.py")):
        if {"devstack", "demo"} & set(path.parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if name in errors and node.args:
                    yield _text(node.args[0])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(value.value) if isinstance(value, ast.Constant) else "…" for value in node.values
        )
    return ""


def test_runbook__each_alarm_outcome_reason_and_finding__is_in_it() -> None:
    page = PAGE.read_text()
    resources = cloudformation.load()["Resources"]
    alarms = [name for name, r in resources.items() if r["Type"] == "AWS::CloudWatch::Alarm"]
    reasons = {text for text in raised("PoisonMessage") if text and " " not in text}
    findings = set(
        re.findall(
            r'"(realtime\.[EW]\d+)"',
            "".join(p.read_text() for p in (ROOT / "realtime/monitoring/checks").glob("*.py")),
        )
    )
    names = [*alarms, *Outcome.values, *reasons, *findings]
    assert len(alarms) == 3 and len(reasons) > 12 and len(findings) > 10
    assert [name for name in names if f"`{name}`" not in page] == []


def test_runbook__each_error_message__is_in_it() -> None:
    """By some phrase of the page that the message has."""
    phrases = re.findall(r"`([^`\n]{8,})`", PAGE.read_text())
    messages = [text for text in raised("ConfigurationError", "Unavailable") if len(text) > 6]
    assert len(messages) > 25

    def names(text: str, other: str) -> bool:
        return all(part.strip() in other for part in text.split("…") if part.strip(" :"))

    def is_in(message: str) -> bool:
        return any(names(phrase, message) or names(message, phrase) for phrase in phrases)

    assert [message for message in messages if not is_in(message)] == []


def test_template__each_parameter__is_described_and_each_output_used() -> None:
    template = cloudformation.load()
    assert all(p.get("Description") for p in template["Parameters"].values())
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])
