"""Metrics of real runs, and what a run makes of an endpoint that is away."""

import gzip
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg2
import pytest

from realtime.devstack.lambda_runtime import LambdaRuntime
from tests import scrapes
from tests.end_to_end.test_lambda_runtime import HANDLER, SCHEDULE
from tests.scrapes import Mail
from tests.support import ROOT, Aws, CompletedText

Manage = Callable[..., CompletedText]
TOKEN = "a-secret-token"


class Endpoint(ThreadingHTTPServer):
    """As much of InfluxDB as is written to; `before_answer` may look around, or never return."""

    daemon_threads = True

    def __init__(self, status: int = 204, before_answer: Callable[[], None] = lambda: None) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.status, self.before_answer = status, before_answer
        self.written: list[str] = []
        self.authorizations: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A run that does not wait for an answer closes no connection in order."""


class _Request(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        self.server.written += text.decode().splitlines()
        self.server.authorizations.append(self.headers.get("Authorization", ""))
        self.server.before_answer()
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are the run's business."""


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[Endpoint]:
    threading.Thread(target=endpoint.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield endpoint
    finally:
        endpoint.shutdown()
        endpoint.server_close()


@pytest.fixture
def mail(aws: Aws, database_url: str) -> Mail:
    mail = Mail(aws, database_url)
    mail.publish(scrapes.jurisdiction(), scrapes.bill(), scrapes.bill("HB 2", "Of roads"))
    mail.send("nonsense")
    return mail


def measuring(environment: dict[str, str], url: str) -> dict[str, str]:
    return {
        **environment,
        "STATS_ENABLED": "True",
        "STATS_ENDPOINT": url,
        "OPENSTATES_STATS_AUTH_TOKEN": TOKEN,
    }


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def assert_all_is_in(result: CompletedText, mail: Mail) -> None:
    report = json.loads(result.stdout.splitlines()[-1])
    assert (report["received"], report["inserted"], report["failed"]) == (4, 2, 1)
    assert mail.waiting() == 0
    assert TOKEN not in result.stdout + result.stderr


def test_import__metrics_enabled__the_names_that_dashboards_read(
    mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    settings = {**environment, "REALTIME_LOG_LEVEL": "DEBUG"}
    with serving(Endpoint()) as influx:
        result = run_manage("import_realtime", "--json", env=measuring(settings, influx.url))
        idle = run_manage("import_realtime", env=measuring(settings, influx.url))
    assert_all_is_in(result, mail)
    assert influx.authorizations == [f"Token {TOKEN}"], "and nothing of the run that found nothing"
    found = [line.rpartition(" ")[0] for line in influx.written]
    assert r"openstates_objects,jurisdiction=Wyoming realtime_import=3i" in found
    assert r"openstates_realtime_files,jurisdiction=Wyoming,object_type=bill inserted=2i" in found
    assert r"openstates_realtime_files,jurisdiction=unknown,object_type=unknown failed=1i" in found
    assert r"openstates_realtime_flags,kind=unmatched raised=1i" in found
    names = {re.match(r"\w+", line)[0] for line in found}  # type: ignore[index]
    assert names == {
        f"openstates_{name}"
        for name in (
            "objects",
            "realtime_files",
            "realtime_flags",
            "realtime_lag",
            "realtime_queue",
        )
    }
    for said in (*lines(result.stderr), *lines(idle.stderr)):
        assert said["logger"].startswith("realtime."), "core takes over the log of a process"


def test_import__metrics_endpoint_hangs__asked_after_acknowledging_and_run_ends(
    mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    seen: list[tuple[int, int]] = []
    over = threading.Event()

    def hang() -> None:
        working = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'openstates%'"
        connection = psycopg2.connect(environment["DATABASE_URL"])
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(f"{working} AND datname = current_database()")
            [(connections,)] = cursor.fetchall()
        seen.append((mail.waiting(), connections))
        over.wait(60)

    with serving(Endpoint(before_answer=hang)) as influx:
        result = run_manage("import_realtime", "--json", env=measuring(environment, influx.url))
        over.set()
    assert_all_is_in(result, mail)
    assert seen == [(0, 0)], "all is acknowledged, and no worker's connection is kept meanwhile"
    *_, last = lines(result.stderr)
    assert (last["message"], last["level"]) == ("metrics not sent in time", "WARNING")
    assert last["import_run_id"]


def refused() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    "url",
    [refused(), "", "no url", "http://nowhere.invalid"],
    ids=["refused", "empty", "no url", "no host"],
)
def test_import__endpoint_that_cannot_be_reached__a_warning_and_a_run_that_did_its_work(
    url: str, mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    result = run_manage("import_realtime", "--json", env=measuring(environment, url))
    assert_all_is_in(result, mail)
    *_, last = lines(result.stderr)
    assert last["level"] == "WARNING"


@pytest.mark.parametrize(
    ("name", "value"), [("STATS_BATCH_SIZE", "many"), ("PYTHONPATH", "tests/no_influx")]
)
def test_import__core_cannot_measure__a_warning_and_a_run_that_did_its_work(
    name: str, value: str, mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    with serving(Endpoint()) as influx:
        settings = {**measuring(environment, influx.url), name: value}
        result = run_manage("import_realtime", "--json", env=settings)
    assert_all_is_in(result, mail)
    *_, last = lines(result.stderr)
    assert (last["message"], last["level"]) == ("metrics not sent", "WARNING")
    assert last["traceback"]


def test_import__endpoint_that_refuses_the_token__core_says_why(
    mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    with serving(Endpoint(status=401)) as influx:
        result = run_manage("import_realtime", "--json", env=measuring(environment, influx.url))
    assert_all_is_in(result, mail)
    *_, last = lines(result.stderr)
    assert (last["logger"], last["level"]) == ("openstates.stats", "WARNING")
    assert "Unauthorized" in last["message"]


def test_import__boolean_that_core_cannot_read__one_clear_line_and_nothing_received(
    mail: Mail, environment: dict[str, str], run_manage: Manage
) -> None:
    settings = {**environment, "STATS_ENABLED": "true"}
    result = run_manage("import_realtime", env=settings, check=False)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "STATS_ENABLED is 'true': write True or False" in line
    assert mail.waiting() == 4


def test_function__each_run_that_imported__metrics_on_standard_output_for_cloudwatch(
    mail: Mail, environment: dict[str, str]
) -> None:
    settings = {**environment, "DJANGO_SETTINGS_MODULE": "settings"}
    with LambdaRuntime(HANDLER, settings, ROOT) as function:
        answers = [function.invoke(SCHEDULE) for _ in range(2)]
    assert [(answer.error, answer.response["received"]) for answer in answers] == [
        (None, 4),
        (None, 0),
    ]
    documents = [line for line in lines(function.log) if "_aws" in line]
    assert [one.get("jurisdiction") for one in documents] == [None, "unknown", "Wyoming"]
    whole, _, wyoming = documents
    assert (whole["inserted"], whole["failed"], wyoming["realtime_import"]) == (2, 1, 3)
    for document in documents:
        [directive] = document["_aws"]["CloudWatchMetrics"]
        assert all(metric["Name"] in document for metric in directive["Metrics"])
