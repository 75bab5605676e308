"""`import_realtime --follow`: a process that imports what comes, whatever goes away meanwhile."""

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import psycopg2
import pytest

from tests import scrapes
from tests.fault_proxy import AwsProxy, on, refusal
from tests.support import ROOT, Aws, CompletedText, messages_in, wait_until

if TYPE_CHECKING:
    from realtime.devstack import DevStack

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
Manage = Callable[..., CompletedText]
Query = Callable[[str], list[tuple[Any, ...]]]
WORKERS = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'openstates-realtime%'"


class Publisher:
    """Publishes bills, numbered from 1."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self.published = 0

    def publish(self, count: int = 1) -> None:
        for _ in range(count):
            self.published += 1
            bill = scrapes.bill(f"HB {self.published}")
            key = f"wy/bill_{bill['_id']}.json"
            self._aws.s3.put_object(
                Bucket=self._aws.bucket, Key=key, Body=json.dumps(bill).encode()
            )
            body = {"file_path": key, "bucket": self._aws.bucket, "jurisdiction_id": WYOMING}
            self._aws.sqs.send_message(QueueUrl=self._aws.queue_url, MessageBody=json.dumps(body))


class Following:
    """A process that follows the queue, and its log."""

    def __init__(self, environment: dict[str, str], options: tuple[str, ...], log: IO[str]) -> None:
        # A file: nobody reads a pipe while it works, and a full one would stop it.
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "import_realtime", "--follow", "--json", *options],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    @property
    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def ended(self) -> dict[str, Any]:
        """The report of the process, when it has ended by itself."""
        output, _ = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.log
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    def stopped(self) -> dict[str, Any]:
        """The report of the process, which is told to stop."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def following(environment: dict[str, str], *options: str) -> Iterator[Following]:
    with (
        tempfile.TemporaryFile("w+") as log,
        closing(Following(environment, options, log)) as process,
    ):
        yield process


def bills(rows: Query) -> int:
    [(count,)] = rows("SELECT count(DISTINCT identifier) FROM opencivicdata_bill")
    return int(count)


@pytest.mark.usefixtures("session")
def test_follow__files_come_while_it_runs__each_imported_without_another_start(
    environment: dict[str, str], aws: Aws, rows: Query
) -> None:
    scraper = Publisher(aws)
    with following(environment) as process:
        for expected in (1, 2, 14):
            scraper.publish(expected - scraper.published)
            assert wait_until(lambda: bills(rows) == scraper.published, 60)
        # Idle, it holds nothing.
        assert wait_until(lambda: rows(WORKERS) == [(0,)], 20)
        report = process.stopped()
    assert (report["received"], report["inserted"]) == (14, 14)


@pytest.mark.usefixtures("session")
def test_follow__sigterm_while_it_imports__what_is_done_stays_and_the_rest_comes_again(
    environment: dict[str, str], aws: Aws, rows: Query, run_manage: Manage
) -> None:
    scraper = Publisher(aws)
    rows(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;"
        "CREATE TRIGGER slow BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
        " WHEN (NEW.identifier = 'HB 2') EXECUTE FUNCTION slow()"
    )
    with following(environment) as process:
        scraper.publish()
        assert wait_until(lambda: bills(rows) == 1, 60)
        scraper.publish()
        sleeping = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        assert wait_until(lambda: bool(rows(sleeping)), 60)
        report = process.stopped()
    assert (report["inserted"], report["released"]) == (1, 1)
    rows("DROP FUNCTION slow CASCADE")
    aws.sqs.purge_queue(QueueUrl=aws.queue_url)
    assert bills(rows) == 1


def test_follow__time_limit__ends_by_itself(environment: dict[str, str], aws: Aws) -> None:
    with following(environment, "--time-limit", "4") as process:
        assert process.ended()["received"] == 0


def test_follow__nothing_there_from_the_start__one_clear_line(
    environment: dict[str, str], run_manage: Manage
) -> None:
    nowhere = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    result = run_manage("import_realtime", "--follow", env=nowhere, check=False)
    assert result.returncode == 1
    [line] = result.stderr.splitlines()
    assert "SQS cannot be reached" in line


class Watch:
    """Samples, until closed, the connections of a process and its memory."""

    def __init__(self, rows: Query, pid: int) -> None:
        self.connections, self.mib = 0, list[float]()
        self._last = [0, 0, 0]
        self._rows, self._status = rows, Path(f"/proc/{pid}/status")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.2):
            try:
                [(count,)] = self._rows(WORKERS)
            except psycopg2.OperationalError:
                continue
            # A connection that was closed is still listed for a moment.
            self._last = [*self._last[1:], count]
            self.connections = max(self.connections, min(self._last))
            # Linux only; elsewhere memory is not looked at.
            if self._status.exists():
                [line] = [ln for ln in self._status.read_text().splitlines() if "VmRSS" in ln]
                self.mib.append(int(line.split()[1]) / 1024)


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("outage", "between"), [(1.5, 0.5), pytest.param(60.0, 100.0, marks=pytest.mark.long)]
)
def test_follow__database_s3_and_queue_go_away_in_turn__nothing_lost_in_one_process(
    stack: "DevStack",
    environment: dict[str, str],
    aws: Aws,
    rows: Query,
    outage: float,
    between: float,
) -> None:
    scraper = Publisher(aws)

    def scrape(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            scraper.publish()
            time.sleep(0.4)

    def restart() -> None:
        stack.postgres.stop()
        scrape(outage / 10)
        stack.postgres.start()

    with AwsProxy(environment["AWS_ENDPOINT_URL"]) as proxy:
        faults = {
            "s3": on("GetObject", "PutObject", fault=refusal(503, "SlowDown")),
            "queue": on(
                "ReceiveMessage",
                "DeleteMessageBatch",
                "ChangeMessageVisibilityBatch",
                fault=refusal(400, "AWS.SimpleQueueService.NonExistentQueue"),
            ),
        }
        proxied = {
            **environment,
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "SQS_QUEUE_URL": environment["SQS_QUEUE_URL"].replace(
                environment["AWS_ENDPOINT_URL"], proxy.endpoint
            ),
            # What is received as the queue goes away comes again soon.
            "REALTIME_VISIBILITY_TIMEOUT": "10",
        }
        with following(proxied) as process:
            scraper.publish()
            assert wait_until(lambda: bills(rows) == 1, 60)
            watch = Watch(rows, process.process.pid)
            for fault in (None, "s3", "queue", None):
                scrape(between)
                if fault is None:
                    restart()
                    continue
                proxy.rule = faults[fault]
                scrape(outage)
                proxy.heal()
            assert wait_until(lambda: bills(rows) == scraper.published, 180), process.log[-3000:]
            # What could not be deleted while the queue was away comes once more. The ledger may not
            # say of each file that its message was deleted: PostgreSQL stopped in between.
            assert wait_until(lambda: messages_in(aws.sqs, aws.queue_url) == 0, 120)
            watch.close()
            process.stopped()
            assert "follow-retry" in process.log
    assert rows("SELECT count(*) FROM realtime_file") == [(scraper.published,)]
    assert watch.connections <= 1
    third = len(watch.mib) // 3
    if outage > 10 and third:
        first, last = max(watch.mib[:third]), max(watch.mib[-third:])
        assert last < first + 30, (first, last)
