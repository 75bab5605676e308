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

from tests import scrapes
from tests.support import ROOT, Aws, CompletedText, wait_until

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
Manage = Callable[..., CompletedText]


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
    key = f"wy/{scrapes.type_of(file)}_{file['_id']}.json"
    aws.s3.put_object(Bucket=aws.bucket, Key=key, Body=json.dumps(file).encode())
    body = {"file_path": key, "bucket": aws.bucket, "jurisdiction_id": WYOMING}
    aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=json.dumps(body))
    return key


GATE = 7
# The sessions that stand before the gate.
STOPPED = (
    f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND objid = {GATE}"
    " AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@contextmanager
def gate(environment: dict[str, str], bills: str) -> Iterator[Callable[[], None]]:
    """Whoever adds a bill whose identifier is LIKE `bills` is kept waiting until the block ends,
    or calls what it is given."""
    with closing(psycopg2.connect(environment["DATABASE_URL"])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT pg_advisory_lock({GATE});"
                "CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$;"
                "CREATE TRIGGER gate BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
                f" WHEN (NEW.identifier LIKE '{bills}') EXECUTE FUNCTION pass_gate()"
            )
        yield connection.close


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


@pytest.mark.usefixtures("session")
def test_import__killed_in_a_transaction__next_run_imports_all_once(
    environment: dict[str, str],
    aws: Aws,
    rows: Callable[[str], list[tuple[Any, ...]]],
    run_manage: Manage,
) -> None:
    for number in range(1, 6):
        publish(aws, a_bill(number))
    environment = {**environment, "REALTIME_VISIBILITY_TIMEOUT": "3"}
    with gate(environment, "HB 3"), importing(environment) as process:
        assert wait_until(lambda: bool(rows(STOPPED)), 60)
        process.send_signal(signal.SIGKILL)
        process.wait()
        # As it is found by whoever looks before the server has noticed.
        assert rows("SELECT count(*) FROM opencivicdata_bill") == [(0,)]
        assert rows("SELECT count(*) FROM realtime_file") == [(0,)]
        rows(f"SELECT pg_terminate_backend(pid) FROM ({STOPPED}) AS stopped")

    def all_in() -> bool:
        run_manage("import_realtime", env=environment)
        return rows("SELECT count(*) FROM realtime_file") == [(5,)]

    # As soon as what the killed process had received can be seen again.
    assert wait_until(all_in, 60)
    assert rows("SELECT count(*), count(DISTINCT identifier) FROM opencivicdata_bill") == [(5, 5)]
    assert rows("SELECT outcome, count(*) FROM realtime_file GROUP BY 1") == [("inserted", 5)]


@pytest.mark.usefixtures("session")
def test_import__sigterm__commits_what_is_done_and_releases_the_rest(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    bills = [a_bill(number) for number in (1, 2, 3)]
    for file in (*bills, *map(scrapes.vote_event, bills)):
        publish(aws, file)
    with gate(environment, "HB 2") as open_gate, importing(environment) as process:
        assert wait_until(lambda: bool(rows(STOPPED)), 60)
        process.send_signal(signal.SIGTERM)
        open_gate()
        output, _ = process.communicate(timeout=60)
    report = json.loads(output.splitlines()[-1])
    assert process.returncode == 0
    # The bills were in the making, the vote events not begun.
    assert (report["received"], report["inserted"], report["released"]) == (6, 3, 3)
    assert rows("SELECT object_type, count(*) FROM realtime_file GROUP BY 1") == [("bill", 3)]
    assert rows("SELECT count(*) FROM opencivicdata_bill") == [(3,)]
    assert rows("SELECT count(*) FROM opencivicdata_voteevent") == [(0,)]


# The sessions whose statement hangs.
HANGING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
)


@pytest.fixture
def hang(rows: Callable[[str], list[tuple[Any, ...]]]) -> None:
    """Whoever adds the bill HB 2 runs a statement that takes very long."""
    rows(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;"
        "CREATE TRIGGER hang BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
        " WHEN (NEW.identifier = 'HB 2') EXECUTE FUNCTION hang()"
    )


@pytest.mark.usefixtures("session", "hang")
@pytest.mark.parametrize("by", ["time limit", "signal"])
def test_import__statement_hangs_when_the_run_must_stop__cancelled_and_released(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]], by: str
) -> None:
    publish(aws, a_bill(2))
    publish(aws, scrapes.event())
    options = ("--time-limit", "2") if by == "time limit" else ()
    with importing(environment, *options) as process:
        if by == "signal":
            assert wait_until(lambda: bool(rows(HANGING)), 60)
            process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    report = json.loads(output.splitlines()[-1])
    assert process.returncode == 0
    assert (report["received"], report["released"]) == (2, 2)
    assert rows(HANGING) == []


@pytest.mark.usefixtures("session")
def test_import__record_of_an_acknowledgement_hangs__run_ends_well_at_a_signal(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    rows(
        "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(600); RETURN NEW; END $$;"
        "CREATE TRIGGER hang BEFORE UPDATE ON realtime_file FOR EACH ROW"
        " EXECUTE FUNCTION hang()"
    )
    publish(aws, a_bill(1))
    with importing(environment) as process:
        assert wait_until(lambda: bool(rows(HANGING)), 60)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    report = json.loads(output.splitlines()[-1])
    assert (report["received"], report["inserted"]) == (1, 1)
    # Its message may still be there, for all that the ledger knows.
    assert rows("SELECT acknowledged_at FROM realtime_file") == [(None,)]


@pytest.mark.usefixtures("session", "hang")
def test_import__killed_while_its_statement_hangs__locks_free_at_once(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    publish(aws, a_bill(2))
    with importing(environment) as process:
        assert wait_until(lambda: bool(rows(HANGING)), 60)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2"
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Not after the timeout of a statement, which is a minute.
    assert wait_until(lambda: rows(held) == [(0,)], 20)


@pytest.mark.usefixtures("session")
def test_import__more_runs_than_workers__extra_runs_exit_and_nothing_is_doubled(
    environment: dict[str, str], aws: Aws, rows: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    for number in range(1, 5):
        publish(aws, a_bill(number))
    environment = {**environment, "REALTIME_MAX_WORKERS": "2"}
    one = ("--max-messages", "1")
    connected = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'openstates-realtime'"
        " AND datname = current_database()"
    )
    with (
        gate(environment, "HB %") as open_gate,
        importing(environment, *one) as first,
        importing(environment, *one) as second,
    ):
        assert wait_until(lambda: rows(connected) == [(2,)], 60)
        with importing(environment, *one) as third:
            output, said = third.communicate(timeout=60)
        open_gate()
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

    environment["REALTIME_ARCHIVE"] = "later"
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
