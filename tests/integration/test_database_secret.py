"""The database's URL from where AWS or Google keeps secrets; what is said when it does not come."""

import json
import logging
import os
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import connections
from pytest_django.fixtures import SettingsWrapper

from realtime.backends import clients, database_secret, google_secret
from realtime.backends.postgres.url import databases, settings_for
from realtime.devstack import DevStack
from realtime.domain.config import Secret, load
from realtime.domain.errors import ConfigurationError, Unavailable
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


class Google(ThreadingHTTPServer):
    """Google's tokens and secrets: `secrets` by their path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.secrets: dict[str, str] = {}
        self.status = 200
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    server: Google

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, {"access_token": "given", "expires_in": 3600, "token_type": "Bearer"})

    def do_GET(self) -> None:
        value = self.server.secrets.get(self.path)
        assert self.headers["Authorization"] == "Bearer given"
        if self.server.status != 200 or value is None:
            self._answer(self.server.status if value else 404, {})
        else:
            self._answer(200, {"payload": {"data": b64encode(value.encode()).decode()}})

    def _answer(self, status: int, body: Any) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


@pytest.fixture
def google(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    """This process has the credentials of a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with Google() as server:
        account = {
            "type": "service_account",
            "client_email": "import@example.iam.gserviceaccount.com",
            "token_uri": f"{server.url}/token",
            "private_key": pem,
        }
        (tmp_path / "key.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        monkeypatch.setattr(google_secret, "_ENDPOINT", server.url)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("version", ["", "/versions/2"])
def test_database_url__secret_of_google__is_read_once(google: Google, version: str) -> None:
    name = f"projects/openstates/secrets/database{version}"
    path = f"/v1/{name}{'' if version else '/versions/latest'}:access"
    google.secrets[path] = "postgresql://u:hunter2@db/os\n"
    config = load({"DATABASE_URL_SECRET": name})
    assert database_secret.database_url(config) == "postgres://u:hunter2@db/os"
    google.secrets[path] = "rotated"
    assert database_secret.database_url(config) == "postgres://u:hunter2@db/os"
    database_secret.forget()
    with pytest.raises(ConfigurationError, match="DATABASE_URL_SECRET holds no postgres:// URL"):
        database_secret.database_url(config)


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (403, ConfigurationError, "needs secretmanager.versions.access"),
        (404, ConfigurationError, "there is no projects/p/secrets/s"),
        (503, Unavailable, "Google answers 503"),
    ],
)
def test_database_url__secret_of_google_not_given__says_why(
    google: Google, status: int, error: type[Exception], says: str
) -> None:
    google.status = status
    google.secrets["/v1/projects/p/secrets/s/versions/latest:access"] = "hunter2"
    with pytest.raises(error, match=f"DATABASE_URL_SECRET: .*{says}"):
        database_secret.database_url(load({"DATABASE_URL_SECRET": "projects/p/secrets/s"}))


def test_database_url__google_cannot_be_reached__is_an_outage(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load({"DATABASE_URL_SECRET": "projects/p/secrets/s"})
    monkeypatch.setattr(google_secret, "_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="Google cannot be reached"):
        database_secret.database_url(config)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    with pytest.raises(ConfigurationError, match="no credentials for Google"):
        database_secret.database_url(config)


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
        ({"DATABASE_URL": "postgres://u:hunter2@127.0.0.1:1/x"}, "the database cannot be reached"),
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
