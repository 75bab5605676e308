"""`manage.py import_realtime` and `archive_realtime` as processes that live and die."""

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from tests.support import ROOT, Aws, CompletedText, wait_until

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
Manage = Callable[..., CompletedText]


@pytest.fixture
def rows(environment: dict[str, str]) -> Callable[[str], list[tuple[Any, ...]]]:
    def query(sql: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(environment["DATABASE_URL"])) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    return query


def a_bill(number: int) -> dict[str, Any]:
    lists = ("actions", "other_identifiers", "other_titles", "documents", "related_bills",
             "sponsorships", "subject", "abstracts", "versions", "citations",
             "sources")  # fmt: skip
    return {
        "_id": str(uuid.uuid1()),
        "identifier": f"HB {number}",
        "legislative_session": "2031",
        "title": "Of bridges",
        "classification": ["bill"],
        "from_organization": '~{"classification": "lower"}',
        "extras": {},
        **{name: [] for name in lists},
    }


def publish(aws: Aws, file: dict[str, Any]) -> str:
    key = f"wy/bill_{file['_id']}.json"
    aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=json.dumps(file).encode())
    body = {"file_path": key, "bucket": aws.bucket, "jurisdiction_id": WYOMING}
    aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=json.dumps(body))
    return key


@pytest.fixture
def session(rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
    rows(
        "INSERT INTO opencivicdata_legislativesession"
        " (id, jurisdiction_id, identifier, name, classification, start_date, end_date, active)"
        f" VALUES ('{uuid.uuid4()}', '{WYOMING}', '2031', '2031', 'primary', '', '', true)"
    )


def slow_down(rows: Callable[[str], list[tuple[Any, ...]]], seconds: float, bill: str) -> None:
    rows(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NEW; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
        f" WHEN (NEW.identifier LIKE '{bill}') EXECUTE FUNCTION slow()"
    )


@contextmanager
def importing(environment: dict[str, str], *options: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "import_realtime", "--json", *options],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


SLEEPING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT%' AND wait_event = 'PgSleep'"


@pytest.mark.usefixtures("session")
def test_import__killed_in_the_middle_of_a_transaction__next_run_has_it_all_once(
    environment: dict[str, str],
    aws: Aws,
    rows: Callable[[str], list[tuple[Any, ...]]],
    run_manage: Manage,
) -> None:
    for number in range(1, 6):
        publish(aws, a_bill(number))
    slow_down(rows, 60, "HB 3")
    environment = {**environment, "REALTIME_VISIBILITY_TIMEOUT": "3"}
    with importing(environment) as process:
        assert wait_until(lambda: bool(rows(SLEEPING)), 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert rows("SELECT count(*) FROM opencivicdata_bill") == [(0,)]
    assert rows("SELECT count(*) FROM realtime_file") == [(0,)]
    rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
    rows("DROP FUNCTION slow CASCADE")

    received = 0
    for _ in range(6):
        printed = run_manage("import_realtime", "--json", env=environment).stdout
        received += json.loads(printed.splitlines()[-1])["inserted"]
        if received == 5:
            break
    assert rows("SELECT count(*), count(DISTINCT identifier) FROM opencivicdata_bill") == [(5, 5)]
    assert rows("SELECT outcome, count(*) FROM realtime_file GROUP BY 1") == [("inserted", 5)]


@pytest.mark.usefixtures("session")
def test_import__sigterm__commits_what_is_done_and_releases_the_rest(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    for number in range(1, 11):
        publish(aws, a_bill(number))
    slow_down(rows, 0.4, "HB %")
    with importing(environment) as process:
        assert wait_until(lambda: bool(rows(SLEEPING)), 30)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    report = json.loads(output.splitlines()[-1])
    assert process.returncode == 0
    assert 1 <= report["inserted"] < 10
    assert report["inserted"] + report["released"] == report["received"] == 10
    assert rows("SELECT count(*) FROM opencivicdata_bill") == [(report["inserted"],)]


@pytest.mark.usefixtures("session")
def test_import__more_at_once_than_workers__the_rest_say_so_and_nothing_is_doubled(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    for number in range(1, 5):
        publish(aws, a_bill(number))
    slow_down(rows, 3, "HB %")
    environment = {**environment, "REALTIME_MAX_WORKERS": "2"}
    one = ("--max-messages", "1")
    connected = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'openstates-realtime'"
    )
    with importing(environment, *one) as first, importing(environment, *one) as second:
        assert wait_until(lambda: rows(connected) == [(2,)], 30)
        with importing(environment, *one) as third:
            output, said = third.communicate(timeout=30)
        assert third.returncode == 0
        assert json.loads(output.splitlines()[-1])["received"] == 0
        assert "all 2 workers are busy" in said
        for process in (first, second):
            report = json.loads(process.communicate(timeout=60)[0].splitlines()[-1])
            assert report["inserted"] == 1
    assert rows("SELECT count(*), count(DISTINCT identifier) FROM opencivicdata_bill") == [(2, 2)]


@pytest.mark.usefixtures("session")
def test_commands__from_standard_input_to_the_archive__reports_are_the_last_line(
    environment: dict[str, str], aws: Aws, run_manage: Manage
) -> None:
    key = publish(aws, a_bill(1))
    body = json.dumps({"file_path": key, "bucket": aws.bucket, "jurisdiction_id": WYOMING})
    given = run_manage(
        "import_realtime", "--messages", "-", "--json", env=environment, input=f"{body}\nnonsense\n"
    )
    report = json.loads(given.stdout.splitlines()[-1])
    assert (report["inserted"], report["failed"]) == (1, 1)
    assert set(report) >= {
        "received", "inserted", "updated", "unchanged", "superseded", "ignored", "deferred",
        "failed", "released", "resumed", "types", "seconds", "lag_seconds", "statements",
    }  # fmt: skip
    assert "nonsense" not in given.stdout

    again = run_manage("import_realtime", env=environment)
    assert "1 received: 1 ignored" in again.stdout
    archived = run_manage("archive_realtime", "--json", env=environment)
    assert json.loads(archived.stdout.splitlines()[-1])["archived"] == 1


@pytest.mark.usefixtures("session")
def test_retry__failed_file_and_nonsense__counts_are_the_last_line_and_status_0(
    environment: dict[str, str], aws: Aws, run_manage: Manage
) -> None:
    key = publish(aws, {**a_bill(1), "actions": [{"classification": 7}]})
    aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody="nonsense")
    run_manage("import_realtime", env=environment)
    body = json.dumps(a_bill(1)).encode()
    aws.s3.put_object(Bucket=aws.bucket, Key=f"failed/{key}", Body=body)

    only = ("--jurisdiction", "wy", "--key", key.split("/")[1])
    retried = run_manage("retry_realtime", *only, "--json", env=environment)
    counts = {"retried": 1, "later": 0, "gone": 0, "refused": 0}
    assert json.loads(retried.stdout.splitlines()[-1]) == counts
    run_manage("import_realtime", env=environment)
    rest = run_manage("retry_realtime", env=environment)
    assert rest.stdout == "1 refused\n"
    assert "it named no file" in rest.stderr
    unknown = run_manage("retry_realtime", "--jurisdiction", "zz", env=environment, check=False)
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("command", ["import_realtime", "archive_realtime", "retry_realtime"])
def test_commands__database_that_cannot_be_reached__one_clear_line_and_status_1(
    command: str, aws: Aws, run_manage: Manage, environment: dict[str, str]
) -> None:
    url = "postgres://reader:a-secret@127.0.0.1:1/openstates"
    result = run_manage(command, env={**environment, "DATABASE_URL": url}, check=False)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert "cannot be reached" in result.stderr
    assert "a-secret" not in result.stderr


def test_import__nothing_set__names_the_variable_and_status_1(run_manage: Manage) -> None:
    result = run_manage("import_realtime", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "DATABASE_URL is not set" in result.stderr
