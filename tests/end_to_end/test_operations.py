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
from typing import Any

import boto3
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
    # The emulator knows no rule between two security groups.
    "sam": """
for given; do
    shift
    case $given in DatabaseSecurityGroupId=sg-*) ;; *) set -- "$@" "$given" ;; esac
done
exec {root}/.venv-check/bin/sam "$@\"""",
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


def client(service: Any, endpoint: str) -> Any:
    keys = {"aws_access_key_id": "operator", "aws_secret_access_key": "operator"}
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", **keys)  # type: ignore[call-overload]


def make_database(endpoint: str) -> None:
    """The database instance `openstates`, in a VPC that has more subnets than the page wants."""
    ec2, rds = client("ec2", endpoint), client("rds", endpoint)
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{number}.0/24", AvailabilityZone=zone)
        for number, zone in enumerate(["us-east-1a", "us-east-1a", "us-east-1b", "us-east-1c"])
    ]
    group = ec2.create_security_group(GroupName="database", Description="database", VpcId=vpc)
    rds.create_db_subnet_group(
        DBSubnetGroupName="private",
        DBSubnetGroupDescription="private",
        SubnetIds=[one["Subnet"]["SubnetId"] for one in subnets],
    )
    rds.create_db_instance(
        DBInstanceIdentifier="openstates",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        MasterUsername="openstates",
        MasterUserPassword="openstates",
        AllocatedStorage=20,
        DBSubnetGroupName="private",
        VpcSecurityGroupIds=[group["GroupId"]],
    )


@pytest.mark.deploy
@pytest.mark.skipif(
    not (CHECK_TOOLS.is_dir() and backends.MINISTACK.exists()),
    reason=not_installed("sam and ministack", "make tools"),
)
def test_commands__as_a_new_operator_runs_them__work(
    stack: DevStack, database_url: str, shell: Path, tmp_path: Path
) -> None:
    with backends.ministack() as (endpoint, _):
        make_database(endpoint)
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
        ec2 = client("ec2", endpoint)
        endpoints = ec2.describe_vpc_endpoints()["VpcEndpoints"]
        [interface] = [one for one in endpoints if one["ServiceName"].endswith(".sqs")]
        subnets = ec2.describe_subnets(SubnetIds=interface["SubnetIds"])["Subnets"]
    services = sorted(one["ServiceName"].rpartition(".")[2] for one in endpoints)
    assert services == ["s3", "sqs", "ssm"]
    # AWS refuses an endpoint with two subnets of one zone.
    assert sorted(one["AvailabilityZone"] for one in subnets) == ["us-east-1a", "us-east-1b"]
    said = result.stdout + result.stderr
    assert "System check identified no issues" in said
    assert "Successfully created/updated stack" in said


def test_manage_sh__settings_of_the_page_beside_the_others__reads_both(
    environment: dict[str, str], tmp_path: Path
) -> None:
    def manage(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [ROOT / "deploy/manage.sh", *arguments],
            env={
                "PATH": os.environ["PATH"],
                "SETTINGS": f"{tmp_path}/realtime.env",
                "DJANGO_SUPERUSER_PASSWORD": "a long pass phrase",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    migrate = ("migrate", "auth", "--settings", "site_settings")
    missing = manage(*migrate)
    (tmp_path / "realtime.env").write_text(f"DATABASE_URL={environment['DATABASE_URL']}\n")
    imports_only = manage(*migrate)
    (tmp_path / "realtime-page.env").write_text("SECRET_KEY=of the page; $and no shell's")
    as_page = manage(*migrate)
    created = manage(
        "createsuperuser", "--noinput", "--username", "ada", "--email", "a@example.org"
    )

    assert "realtime.env is not there, or " in missing.stderr
    assert "SECRET_KEY is not set" in imports_only.stderr
    assert (as_page.returncode, created.returncode) == (0, 0), as_page.stderr + created.stderr
    assert "Superuser created" in created.stdout


def test_commands__that_no_test_runs__are_of_sections_named_at_the_top() -> None:
    page = PAGE.read_text()
    left_out, heading = set(), ""
    for line in page.splitlines():
        if line.startswith(("## ", "### ")):
            heading = line.lstrip("# ")
        elif line == "```shell":
            left_out.add(heading)
    [named] = re.findall(r"It leaves out .*?served\s.*?\. ", page.replace("\n", " "))
    assert left_out == set(re.findall(r"\[([^]]+)\]\(#", named))


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
    assert len(said) == 6
    assert "received" in said[0], said
    assert "nothing to move" in said[1]
    assert "received" in said[3]
    assert "nothing to delete" in said[4]
    assert '"verdict"' in said[5]


def test_units__their_commands__are_the_crontab_s() -> None:
    folder = ROOT / "deploy/systemd"
    # What is not a command of ours, or not needed everywhere.
    names = ("page", "failed@", "metrics")
    others = {folder / f"openstates-realtime-{name}.service" for name in names}
    units = sorted(set(folder.glob("*.service")) - others)
    started = {
        re.findall(r"^ExecStart=.*manage\.py (.*)$", unit.read_text(), re.M)[0] for unit in units
    }
    crontab = (ROOT / "deploy/cron/openstates-realtime").read_text()
    cron = set(re.findall(r"deploy/cron/run\.sh \w+ (.*)", crontab))
    # In place of a timer.
    assert started == cron | {"import_realtime --follow"}
    timers = [unit for unit in units if "follow" not in unit.name]
    assert all(unit.with_suffix(".timer").exists() for unit in timers)
    tell = "OnFailure=openstates-realtime-failed@%n.service"
    assert others <= set(folder.iterdir())
    # Prometheus tells of figures that are bad, or are not written.
    silent = {folder / f"openstates-realtime-{name}.service" for name in ("failed@", "metrics")}
    for unit in {*units, *others} - silent:
        text = unit.read_text()
        assert tell in text.splitlines()
        if unit.name == "openstates-realtime-follow.service":
            # It must not stay down after an outage; the monitor tells when nobody imports.
            assert "StartLimitIntervalSec=0" in text.splitlines()
        elif "Restart=always" in text:
            # It ends as failed only when it has been started so often in that time, and each start
            # may take systemd's default of 90 seconds.
            interval, starts, pause = (
                int(re.findall(rf"^{name}=(\d+)$", text, re.MULTILINE)[0])
                for name in ("StartLimitIntervalSec", "StartLimitBurst", "RestartSec")
            )
            assert starts * (pause + 90) < interval


def test_metrics_unit__its_file__is_in_the_one_folder_that_it_may_write() -> None:
    text = (ROOT / "deploy/systemd/openstates-realtime-metrics.service").read_text()
    [output] = re.findall(r"^ExecStart=.*--prometheus --output (\S+)$", text, re.M)
    [folder] = re.findall(r"^StateDirectory=(.*)$", text, re.M)
    assert Path(output).parent == Path("/var/lib") / folder
    # The exporter is another user, who comes into the folder.
    assert {"ProtectSystem=strict", "StateDirectoryMode=0755"} <= set(text.splitlines())
    page = (ROOT / "docs/operations.md").read_text()
    assert output in page and "openstates-realtime-metrics.timer" in page


def test_failed_unit__command_that_tells__gets_the_unit_and_the_end_of_its_log(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journalctl"
    journal.write_text("#!/bin/sh\necho the last line of $2\n")
    journal.chmod(0o755)
    told = tmp_path / "told"
    subprocess.run(
        [ROOT / "deploy/systemd/tell-failed.sh", "openstates-realtime-import.service"],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "ALARM_COMMAND": f"cat > {told}"},
        check=True,
    )
    first, last = told.read_text().splitlines()
    assert first.startswith("openstates-realtime-import.service failed on ")
    assert last == "the last line of openstates-realtime-import.service"


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
    started = [clock.stdout.readline().strip() for _ in range(5)]
    clock.terminate()
    assert clock.wait(10) == 0
    clock.stdout.close()
    assert started == [
        "import_realtime",
        "archive_realtime",
        "finalize_realtime",
        "import_realtime",
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
    assert len(alarms) == 8 and len(reasons) > 12 and len(findings) > 10
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
