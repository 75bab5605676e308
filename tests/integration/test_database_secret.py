"""The database's URL from where AWS keeps secrets, and what is said when it does not come."""

import json
import logging
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.exceptions import ClientError
from django.db import connections
from pytest_django.fixtures import SettingsWrapper

from realtime.backends import clients, database_secret
from realtime.backends.postgres.url import databases, settings_for
from realtime.devstack import DevStack
from realtime.domain.config import Secret, load
from realtime.domain.errors import ConfigurationError
from tests.support import Aws, CompletedText, run_manage

PASSWORD = "p@ss/w:rd %#[?'\""


@pytest.fixture(autouse=True)
def fresh_process() -> Iterator[None]:
    database_secret.forget()
    yield
    database_secret.forget()


def put_parameter(stack: DevStack, value: str) -> str:
    stack.aws.client("ssm").put_parameter(
        Name="/realtime/database", Value=value, Type="SecureString", Overwrite=True
    )
    return "/realtime/database"


def put_secret(stack: DevStack, name: str, value: str) -> str:
    answer = stack.aws.client("secretsmanager").create_secret(Name=name, SecretString=value)
    return str(answer["ARN"])


def without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", "@")).geturl()


def run_import(aws: Aws, **variables: str) -> CompletedText:
    environment = {**os.environ, **aws.environment, **variables, "REALTIME_LOG_LEVEL": "DEBUG"}
    return run_manage("import_realtime", "--json", env=environment, check=False)


@pytest.mark.parametrize(
    ("url", "value", "host", "name", "password"),
    [
        ("", f"postgis://u:{quote(PASSWORD, safe='')}@db.example/os", "db.example", "os", PASSWORD),
        ("postgres://u@db.example:5433/os", PASSWORD, "db.example", "os", PASSWORD),
        ("postgres://u:old@db.example/os", "12345", "db.example", "os", "12345"),
        (
            "",
            json.dumps({"username": "u", "password": PASSWORD, "host": "rds", "dbname": "os"}),
            "rds",
            "os",
            PASSWORD,
        ),
        (
            "postgres://db.example/os",
            json.dumps({"username": "u", "password": PASSWORD}),
            "db.example",
            "os",
            PASSWORD,
        ),
    ],
)
def test_complete__what_secrets_hold__is_understood(
    url: str, value: str, host: str, name: str, password: str
) -> None:
    found = settings_for(database_secret.complete(url, Secret("S", "ssm", "n"), value))
    assert (found["HOST"], found["NAME"], found["PASSWORD"]) == (host, name, password)
    assert found["USER"] == "u"
    assert found["OPTIONS"]["sslmode"] == "require"


@pytest.mark.parametrize(
    ("url", "value"),
    [("", "just-a-password"), ("postgres://db/os", "hunter2"), ("postgres://u@db/os", '{"a": 1}')],
)
def test_complete__not_enough_for_a_url__is_named_without_the_value(url: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL_SECRET") as caught:
        database_secret.complete(url, Secret("DATABASE_URL_SECRET", "ssm", "n"), value)
    assert value not in str(caught.value)


def test_import__whole_url_in_a_parameter__runs_and_never_logs_the_url(
    stack: DevStack, aws: Aws, database_url: str
) -> None:
    name = put_parameter(stack, database_url)
    result = run_import(aws, DATABASE_URL_PARAMETER=name)
    assert result.returncode == 0, result.stderr
    password = urlsplit(database_url).password
    assert password and password not in result.stdout + result.stderr


def test_import__password_in_a_secret__completes_the_url(
    stack: DevStack, aws: Aws, database_url: str
) -> None:
    arn = put_secret(stack, aws.bucket, str(urlsplit(database_url).password))
    url = without_password(database_url)
    result = run_import(aws, DATABASE_URL_SECRET=arn, DATABASE_URL=url)
    assert result.returncode == 0, result.stderr


def test_import__no_such_parameter__says_so_in_one_line(aws: Aws) -> None:
    result = run_import(aws, DATABASE_URL_PARAMETER="nowhere")
    said = "CommandError: DATABASE_URL_PARAMETER: there is no nowhere"
    assert (result.returncode, result.stderr.splitlines()) == (1, [said])


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"DATABASE_URL_PARAMETER": "nowhere"}, "DATABASE_URL_PARAMETER: there is no nowhere"),
        (
            {"DATABASE_URL_SECRET": "it", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://127.0.0.1:1"},
            "DATABASE_URL_SECRET: AWS cannot be reached",
        ),
        ({"DATABASE_URL": "postgres://u:hunter2@127.0.0.1:1/x"}, "the database cannot be used"),
    ],
)
def test_migrate__no_way_to_the_database__says_so_in_one_line(
    aws: Aws, variables: dict[str, str], said: str
) -> None:
    environment = {**os.environ, **aws.environment, **variables}
    result = run_manage("migrate", "realtime", env=environment, check=False)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert said in line
    assert "hunter2" not in line


def test_database_url__no_such_secret__is_named(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="DATABASE_URL_SECRET: there is no nowhere"):
        database_secret.database_url(load({"DATABASE_URL_SECRET": "nowhere"}))


@pytest.mark.parametrize(
    ("service", "operation"), [("ssm", "get_parameter"), ("secretsmanager", "get_secret_value")]
)
def test_database_url__not_allowed__names_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, service: str, operation: str
) -> None:
    class Refusing:
        def __getattr__(self, name: str) -> Any:
            def refuse(**arguments: str) -> None:
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, name)

            return refuse

    monkeypatch.setattr(clients, "client", lambda *_, **__: Refusing())
    variable = "DATABASE_URL_PARAMETER" if service == "ssm" else "DATABASE_URL_SECRET"
    action = "ssm:GetParameter" if service == "ssm" else "secretsmanager:GetSecretValue"
    with pytest.raises(ConfigurationError, match=f"{variable}: not allowed .* {action}"):
        database_secret.database_url(load({variable: "it"}))


def test_connection__secret_changed_meanwhile__is_read_again_after_the_refusal(
    stack: DevStack,
    aws: Aws,
    database: str,
    settings: SettingsWrapper,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    settings.REALTIME = load({"DATABASE_URL_PARAMETER": put_parameter(stack, database)})
    caplog.set_level(logging.DEBUG, "realtime")
    connection = connections["default"]
    connections.databases["secret"] = databases(settings.REALTIME)["default"]
    try:
        connection = connections["secret"]
        connection.ensure_connection()
        connection.close()
        put_parameter(stack, "postgres://postgres:wrong@127.0.0.1:1/nowhere")
        connection.ensure_connection()
        assert connection.settings_dict["PASSWORD"] == "", "no setting may hold the password"
        assert str(urlsplit(database).password) not in caplog.text
        database_secret.forget()
        connection.close()
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            connection.ensure_connection()
        put_parameter(stack, database)
        connection.ensure_connection()
    finally:
        connection.close()
        del connections["secret"], connections.databases["secret"]


@pytest.mark.parametrize(
    ("url", "sslmode"),
    [
        ("postgres://u:p@db.example/os", "require"),
        ("postgres://u:p@db.example/os?sslmode=verify-full", "verify-full"),
        ("postgres://u:p@10.0.0.1/os?sslmode=prefer", "prefer"),
        ("postgres://u:p@localhost/os", None),
        ("postgres://u:p@127.0.0.1:5433/os", None),
        ("postgres://u:p@[::1]/os", None),
        ("postgres:///os?host=/run/postgresql", None),
        ("postgres:///os?host=db.example", "require"),
        ("postgres://localhost/os?hostaddr=10.0.0.1", "require"),
    ],
)
def test_settings__outside_loopback__tls_required_unless_url_sets_sslmode(
    url: str, sslmode: str | None
) -> None:
    assert settings_for(url)["OPTIONS"].get("sslmode") == sslmode


def test_load__both_secrets__is_refused() -> None:
    with pytest.raises(ConfigurationError, match="both set"):
        load({"DATABASE_URL_PARAMETER": "a", "DATABASE_URL_SECRET": "b"})
