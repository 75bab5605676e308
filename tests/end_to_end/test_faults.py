"""Commands, as processes, whose database or AWS goes away under them, and whose clocks are off."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.fault_proxy import AwsProxy, PostgresProxy, on, refusal
from tests.support import ROOT, Aws, CompletedText, wait_until

if TYPE_CHECKING:
    from realtime.devstack import DevStack

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
DAY = 24 * 60 * 60
Manage = Callable[..., CompletedText]
Query = Callable[[str], list[tuple[Any, ...]]]


def a_bill(identifier: str) -> dict[str, Any]:
    lists = ("actions", "other_identifiers", "other_titles", "documents", "related_bills",
             "sponsorships", "subject", "abstracts", "versions", "citations",
             "sources")  # fmt: skip
    return {
        "_id": str(uuid.uuid1()),
        "identifier": identifier,
        "legislative_session": "2031",
        "title": "Of bridges",
        "classification": ["bill"],
        "from_organization": '~{"classification": "lower"}',
        "extras": {},
        **{name: [] for name in lists},
    }


def a_vote(bill: dict[str, Any]) -> dict[str, Any]:
    return {
        "_id": str(uuid.uuid1()),
        "identifier": "",
        "motion_text": "passage",
        "motion_classification": ["passage"],
        "start_date": "2031-01-11",
        "result": "pass",
        "organization": '~{"classification": "lower"}',
        "legislative_session": "2031",
        "bill": bill["_id"],
        "bill_identifier": bill["identifier"],
        "bill_action": None,
        "votes": [],
        "counts": [],
        "sources": [],
        "extras": {},
    }


def put(aws: Aws, *files: dict[str, Any]) -> list[str]:
    keys = []
    for file in files:
        kind = "vote_event" if "motion_text" in file else "bill"
        keys.append(f"wy/{kind}_{file['_id']}.json")
        aws.s3.put_object(Bucket=aws.bucket, Key=keys[-1], Body=json.dumps(file).encode())
    return keys


def send(aws: Aws, keys: list[str]) -> None:
    for key in keys:
        body = {"file_path": key, "bucket": aws.bucket, "jurisdiction_id": WYOMING}
        aws.sqs.send_message(QueueUrl=aws.queue_url, MessageBody=json.dumps(body))


def redeliver(aws: Aws, keys: list[str]) -> None:
    """Every message is still in the queue, and comes again now instead of in a while."""
    counts: Any = aws.sqs.get_queue_attributes(QueueUrl=aws.queue_url, AttributeNames=["All"])
    names = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    assert sum(int(counts["Attributes"][name]) for name in names) == len(keys)
    aws.sqs.purge_queue(QueueUrl=aws.queue_url)
    send(aws, keys)


def report_of(result: CompletedText) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report


def assert_one_clear_line(result: CompletedText, about: str, environment: dict[str, str]) -> None:
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    [line] = result.stderr.splitlines()
    assert about in line
    password = environment["DATABASE_URL"].split(":")[2].split("@")[0]
    assert not any(
        secret in result.stderr for secret in (password, environment["AWS_SECRET_ACCESS_KEY"])
    )


@contextmanager
def importing(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "import_realtime", "--json"],
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
def test_import__database_restarted__one_error_line_and_next_run_imports_all_once(
    stack: "DevStack", environment: dict[str, str], aws: Aws, rows: Query, run_manage: Manage
) -> None:
    keys = put(aws, *(a_bill(f"HB {number}") for number in range(1, 6)))
    send(aws, keys)
    rows(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
        " WHEN (NEW.identifier = 'HB 3') EXECUTE FUNCTION slow()"
    )
    sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    with importing(environment) as process:
        assert wait_until(lambda: bool(rows(sleeping)), 60)
        stack.postgres.stop()
        output, error = process.communicate(timeout=60)
        result = CompletedText(process.args, process.returncode, output, error)
    assert_one_clear_line(result, "the connection to the database was lost", environment)

    meanwhile = run_manage("import_realtime", env=environment, check=False)
    assert_one_clear_line(meanwhile, "the database cannot be reached", environment)
    stack.postgres.start()
    rows("DROP FUNCTION slow CASCADE")
    assert rows("SELECT count(*) FROM opencivicdata_bill") == [(0,)]
    redeliver(aws, keys)
    assert report_of(run_manage("import_realtime", "--json", env=environment))["inserted"] == 5
    assert rows("SELECT count(*), count(DISTINCT identifier) FROM opencivicdata_bill") == [(5, 5)]


@pytest.mark.usefixtures("session")
def test_import__answer_to_the_commit_lost__files_known_when_they_come_again(
    environment: dict[str, str], aws: Aws, rows: Query, run_manage: Manage
) -> None:
    keys = put(aws, *(a_bill(f"HB {number}") for number in range(1, 4)))
    send(aws, keys)
    with PostgresProxy(environment["DATABASE_URL"]) as proxy:
        proxy.cut_after = b"COMMIT"
        result = run_manage(
            "import_realtime", env={**environment, "DATABASE_URL": proxy.url}, check=False
        )
    assert_one_clear_line(result, "the connection to the database was lost", environment)
    assert rows("SELECT count(*) FROM opencivicdata_bill") == [(3,)]
    redeliver(aws, keys)
    assert report_of(run_manage("import_realtime", "--json", env=environment))["ignored"] == 3
    assert rows("SELECT count(*), count(acknowledged_at) FROM realtime_file") == [(3, 3)]


@pytest.mark.usefixtures("session")
def test_commands__s3_refuses__one_clear_line_and_nothing_is_lost(
    environment: dict[str, str], aws: Aws, rows: Query, run_manage: Manage
) -> None:
    keys = put(aws, *(a_bill(f"HB {number}") for number in range(1, 26)))
    send(aws, keys)
    environment["REALTIME_ARCHIVE"] = "later"
    with AwsProxy(environment["AWS_ENDPOINT_URL"]) as proxy:
        proxied = {**environment, "AWS_ENDPOINT_URL": proxy.endpoint}
        proxy.rule = on("GetObject", "CopyObject", fault=refusal(403, "AccessDenied"))
        result = run_manage("import_realtime", env=proxied, check=False)
        assert_one_clear_line(result, "AccessDenied", environment)
        redeliver(aws, keys)
        report = report_of(run_manage("import_realtime", "--json", env=environment))
        assert report["inserted"] == report["received"] == 25
        result = run_manage("archive_realtime", env=proxied, check=False)
        assert_one_clear_line(result, "AccessDenied", environment)
    assert rows("SELECT count(*) FROM realtime_file WHERE settled_at IS NULL") == [(25,)]


def test_import__aws_cannot_be_reached__one_clear_line(
    environment: dict[str, str], run_manage: Manage
) -> None:
    nowhere = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    result = run_manage("import_realtime", env=nowhere, check=False)
    assert_one_clear_line(result, "SQS cannot be reached", environment)


@pytest.mark.usefixtures("session")
def test_commands__host_clocks_days_off__parking_and_archiving_use_database_clock(
    environment: dict[str, str], aws: Aws, rows: Query, run_manage: Manage
) -> None:
    def host(days: float) -> dict[str, str]:
        path = str(ROOT / "tests" / "skewed_clock")
        skew = {"PYTHONPATH": path, "TEST_CLOCK_SKEW": str(days * DAY)}
        return {**environment, **skew, "REALTIME_ARCHIVE": "later"}

    bill = a_bill("HB 1")
    send(aws, put(aws, a_vote(bill)))
    late = report_of(run_manage("import_realtime", "--json", env=host(-3)))
    assert late["deferred"] == 1
    assert report_of(run_manage("import_realtime", "--json", env=host(3)))["received"] == 0
    send(aws, put(aws, bill))
    early = report_of(run_manage("import_realtime", "--json", env=host(3)))
    assert (early["inserted"], early["resumed"]) == (1, 1)
    before = datetime.now(UTC)
    archived = run_manage("archive_realtime", "--json", env=host(-3))
    assert report_of(archived)["archived"] == 2
    today = {f"{moment:%Y-%m-%d}" for moment in (before, datetime.now(UTC))}
    folders = rows("SELECT DISTINCT split_part(settled_key, '/', 2) FROM realtime_file")
    assert {folder for (folder,) in folders} <= today
    assert rows(
        "SELECT count(*) FROM realtime_file WHERE greatest(received_at, imported_at,"
        " acknowledged_at, settled_at) > now() + interval '1 hour' OR least(received_at,"
        " imported_at, acknowledged_at, settled_at) < now() - interval '1 hour'"
    ) == [(0,)]
