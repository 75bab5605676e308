"""`manage.py check --tag realtime`: what each lack of an installation is called."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest
from botocore.exceptions import ClientError
from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from pytest_django.fixtures import SettingsWrapper

from realtime.backends import clients
from realtime.backends.postgres import pooler_check
from realtime.backends.postgres.listening import Listener
from realtime.devstack.database import using_database
from realtime.domain.config import Config, load
from realtime.monitoring.checks import TAG, bucket, postgres, queue
from tests.contracts import backends
from tests.fault_proxy import AwsProxy, Fault, Response, refusal
from tests.support import Aws, CompletedText, not_installed, wait_until

# Debian's lies where only root looks.
PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    PGBOUNCER is None, reason=not_installed("PgBouncer", "apt-get install pgbouncer")
)


def ids(messages: list[CheckMessage]) -> list[str]:
    return [str(message.id).removeprefix("realtime.") for message in messages]


@pytest.fixture
def config(aws: Aws, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch) -> Config:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    settings.REALTIME = load(aws.environment)
    return load(aws.environment)


def announce(aws: Aws, prefix: str, *events: Any) -> None:
    arn = aws.sqs.get_queue_attributes(QueueUrl=aws.queue_url, AttributeNames=["QueueArn"])
    rule: Any = {"Name": "prefix", "Value": prefix}
    configuration: Any = {"QueueArn": arn["Attributes"]["QueueArn"], "Events": list(events)}
    # moto has no empty prefix.
    if prefix:
        configuration["Filter"] = {"Key": {"FilterRules": [rule]}}
    aws.s3.put_bucket_notification_configuration(
        Bucket=aws.bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )


def give_up_after(aws: Aws, receives: int) -> None:
    dead = aws.sqs.create_queue(QueueName=f"dead-{aws.bucket}")["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    policy = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": receives}
    aws.sqs.set_queue_attributes(
        QueueUrl=aws.queue_url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )


@pytest.mark.parametrize(
    ("how", "prefix", "events", "expected"),
    [
        ("later", "", ["s3:ObjectCreated:*"], ["W005"]),
        ("later", "arch", ["s3:ObjectCreated:Copy"], ["W005"]),
        ("later", "", ["s3:ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"], []),
        ("inline", "", ["s3:ObjectCreated:Put"], ["W005"]),
        ("inline", "wy/", ["s3:ObjectCreated:*"], []),
        ("later", "failed/wy/", ["s3:ObjectCreated:*"], ["W005"]),
    ],
)
def test_files__what_the_bucket_announces__is_judged_by_the_archive(
    aws: Aws,
    config: Config,
    settings: SettingsWrapper,
    how: str,
    prefix: str,
    events: list[str],
    expected: list[str],
) -> None:
    settings.REALTIME = replace(config, archive=how)
    announce(aws, prefix, *events)
    assert ids(bucket.check_bucket()) == expected


def test_files__copies_announced_to_a_function_or_a_topic__are_warned_of(config: Config) -> None:
    function = {"LambdaFunctionArn": "arn:function", "Events": ["s3:ObjectCreated:*"]}
    topic = {"TopicArn": "arn:topic", "Events": ["s3:ObjectCreated:Copy"]}
    found = {"LambdaFunctionConfigurations": [function], "TopicConfigurations": [topic]}
    messages = list(bucket._notified_copies(config, found))
    assert ids(messages) == ["W005", "W005"]
    assert "archived/ and failed/" in messages[0].msg
    rule = {"Name": "Prefix", "Value": f"{config.bucket.prefix}failed/"}
    wanted = {**topic, "Filter": {"Key": {"FilterRules": [rule]}}}
    assert list(bucket._notified_copies(config, {"TopicConfigurations": [wanted]})) == []


def test_files_and_queue__not_there__are_errors(aws: Aws, settings: SettingsWrapper) -> None:
    nowhere = {"S3_REALTIME_BASE": "s3://not-there", "SQS_QUEUE_URL": aws.queue_url + "x"}
    settings.REALTIME = load(nowhere)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in aws.environment.items():
            patch.setenv(name, value)
        assert ids(bucket.check_bucket()) == ["E002"]
        assert ids(queue.check_queue()) == ["E002"]
        settings.REALTIME = load({})
        assert ids([*bucket.check_bucket(), *queue.check_queue()]) == ["E001"]


def test_folder__that_can_be_used__has_no_finding(
    settings: SettingsWrapper, tmp_path: Path
) -> None:
    settings.REALTIME = load({"REALTIME_BASE": f"file://{tmp_path}"})
    (tmp_path / "wy").mkdir()
    assert bucket.check_bucket() == []


def test_folder__that_cannot_be_used__is_an_error(
    settings: SettingsWrapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REALTIME = load({"REALTIME_BASE": f"file://{tmp_path}/nowhere"})
    assert ids(bucket.check_bucket()) == ["E001"]
    settings.REALTIME = load({"REALTIME_BASE": f"file://{tmp_path}"})
    (tmp_path / "archived").mkdir()
    # Another disk is mounted there.
    mounted, stat = os.stat("/proc"), os.stat
    monkeypatch.setattr(
        os, "stat", lambda path, **how: mounted if path == "archived/" else stat(path, **how)
    )
    [message] = bucket.check_bucket()
    assert ids([message]) == ["E006"] and "archived/ is on another disk" in message.msg


def test_google__permissions__are_named_that_are_missing(
    settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def granted(*permissions: str) -> Fault:
        body = json.dumps({"permissions": permissions}).encode()
        return lambda request, forward: Response(200, {"Content-Type": "application/json"}, body)

    with backends.fake_google() as endpoint, AwsProxy(endpoint) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.endpoint)
        store = backends.google(endpoint).store(False)
        settings.REALTIME = load({"REALTIME_BASE": store.bucket})
        assert bucket.check_bucket() == [], "the emulator knows no permissions"
        needed = [f"storage.objects.{what}" for what in ("get", "create", "delete", "list")]
        proxy.rule = lambda request: granted(*needed)
        assert bucket.check_bucket() == []
        proxy.rule = lambda request: granted(*needed[:2])
        [message] = bucket.check_bucket()
        assert ids([message]) == ["E006"]
        assert "storage.objects.delete, storage.objects.list in gs://" in message.msg
        proxy.rule = lambda request: refusal(503, "backendError")
        assert ids(bucket.check_bucket()) == ["E004"]
        proxy.heal()
        settings.REALTIME = load({"REALTIME_BASE": "gs://there-is-none"})
        assert ids(bucket.check_bucket()) == ["E001"]


@pytest.mark.parametrize(("receives", "expected"), [(0, ["W011"]), (5, ["W012"]), (1000, [])])
def test_queue__what_it_gives_up__is_judged(
    aws: Aws, config: Config, receives: int, expected: list[str]
) -> None:
    if receives:
        give_up_after(aws, receives)
    assert ids(queue.check_queue()) == expected


@pytest.mark.parametrize(
    ("check", "code", "action"),
    [
        (bucket.check_bucket, "403", "s3:ListBucket"),
        (queue.check_queue, "AccessDenied", "sqs:GetQueueAttributes"),
    ],
)
def test_aws__not_allowed_to_ask__is_a_warning_that_names_the_permission(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[], list[CheckMessage]],
    code: str,
    action: str,
) -> None:
    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def refuse(**arguments: Any) -> None:
                raise ClientError({"Error": {"Code": code}}, name)

            return refuse

    monkeypatch.setattr(clients, "client", lambda *_, **__: Refusing())
    (message,) = check()
    assert ids([message]) == ["W003"]
    assert action in str(message.hint)


def test_database__as_it_should_be__has_no_findings(
    database: str, config: Config, settings: SettingsWrapper
) -> None:
    settings.REALTIME = load({"DATABASE_URL": database})
    assert postgres.check_database() == []


def test_database__a_user_without_rights_and_no_ledger__says_which(
    database: str, config: Config, settings: SettingsWrapper
) -> None:
    settings.REALTIME = load({"DATABASE_URL": database})
    owner = psycopg2.connect(database)
    owner.autocommit = True
    parts = urlsplit(database)
    with owner.cursor() as cursor:
        cursor.execute("DROP TABLE realtime_file CASCADE")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'realtime'")
        cursor.execute("DROP ROLE IF EXISTS reader")
        cursor.execute("CREATE ROLE reader LOGIN PASSWORD 'reads'")
        cursor.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    url = parts._replace(netloc=f"reader:reads@{parts.hostname}:{parts.port}").geturl()
    try:
        with using_database(url):
            messages = postgres.check_database()
    finally:
        with owner.cursor() as cursor:
            cursor.execute("DROP OWNED BY reader")
            cursor.execute("DROP ROLE reader")
        owner.close()
    assert ids(messages) == ["E025", "E027", "E027"]
    tables, sequences = messages[1:]
    assert "lacks INSERT, UPDATE, DELETE ON opencivicdata_bill, " in tables.msg
    assert "lacks USAGE ON SEQUENCE opencivicdata_searchablebill_id_seq, " in sequences.msg


def test_database__one_server_session_for_all_clients__is_a_pooler(
    database: str, config: Config, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.REALTIME = load({"DATABASE_URL": database})
    monkeypatch.setattr(pooler_check, "_backend", lambda of: 4711)
    assert ids(postgres.check_database()) == ["E023"]


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "expected"), [("transaction", ["E023"]), ("session", [])])
def test_database__behind_pgbouncer__only_sessions_will_do(
    database: str, config: Config, settings: SettingsWrapper, mode: str, expected: list[str]
) -> None:
    settings.REALTIME = load({"DATABASE_URL": database})
    with pgbouncer(database, mode) as url, using_database(url):
        assert ids(postgres.check_database()) == expected


@needs_pgbouncer
def test_import__behind_pgbouncer__only_with_sessions_of_its_own(
    database_url: str, environment: dict[str, str], run_manage: Callable[..., CompletedText]
) -> None:
    with pgbouncer(database_url, "session") as url:
        run_manage("import_realtime", env={**environment, "DATABASE_URL": url})
    with pgbouncer(database_url, "transaction") as url:
        refused = run_manage(
            "import_realtime", env={**environment, "DATABASE_URL": url}, check=False
        )
    assert refused.returncode == 1
    assert "goes through a transaction pooler" in refused.stderr


@contextmanager
def pgbouncer(database_url: str, mode: str) -> Iterator[str]:
    parts = urlsplit(database_url)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        Path(folder, "users").write_text(f'"{parts.username}" "{parts.password}"\n')
        Path(folder, "ini").write_text(
            f"""[databases]
* = host={parts.hostname} port={parts.port} user={parts.username} password={parts.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = plain
auth_file = {folder}/users
pool_mode = {mode}
unix_socket_dir =
"""
        )
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen([str(PGBOUNCER), "-q", *user, f"{folder}/ini"])
        try:
            assert wait_until(lambda: not _refused(port))
            yield parts._replace(
                netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}"
            ).geturl()
        finally:
            process.terminate()
            process.wait(10)


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_check__with_its_tag_and_for_deployment__names_everything_and_fails(
    aws: Aws, environment: dict[str, str], run_manage: Callable[..., CompletedText]
) -> None:
    give_up_after(aws, 1000)
    well = run_manage("check", "--deploy", env=environment)
    assert "no issues" in well.stdout
    broken = {**environment, "DATABASE_URL": "postgres://u:hunter2@127.0.0.1:1/x"}
    broken["S3_REALTIME_BASE"] = "s3://not-there"
    ill = run_manage("check", "--tag", "realtime", env=broken, check=False)
    assert ill.returncode == 1
    assert "realtime.E002" in ill.stderr
    assert "realtime.E021" in ill.stderr
    assert "hunter2" not in ill.stderr


def test_checks__unless_asked_for__are_not_registered() -> None:
    assert not registry.tag_exists(TAG), "no other command may start later for them"


@needs_pgbouncer
def test_listener__behind_pgbouncer__says_that_it_hears_nothing(database: str) -> None:
    with pgbouncer(database, "transaction") as url, using_database(url):
        assert "transaction pooler" in Listener("realtime_changes").deaf
    with pgbouncer(database, "session") as url, using_database(url):
        assert not Listener("realtime_changes").deaf
