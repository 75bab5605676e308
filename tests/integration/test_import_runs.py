"""What is kept of import runs: one row each, at most two statements, and nothing of quiet ones."""

import logging
import os
import socket
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import psycopg2
import pytest
from django.db import connection

from realtime.backends.s3 import S3Store
from realtime.consumer import follow
from realtime.consumer.record import Record
from realtime.consumer.run import Limits
from realtime.domain.errors import Unavailable
from realtime.ledger import import_runs, retention
from realtime.ledger.import_runs import Figures
from realtime.models import ImportRun
from realtime.monitoring.report import Report
from realtime.monitoring.status.imports import kept
from realtime.process.logs import log_context
from tests import scrapes
from tests.fault_proxy import AwsProxy, on, refusal
from tests.ledger_rows import before_now
from tests.scrape_runs import command
from tests.scrapes import Mail
from tests.support import Aws, through, wait_until


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    return Mail(aws, database, REALTIME_ARCHIVE="later")


def the_run() -> ImportRun:
    return import_runs.newest().get()


def test_import_run__that_imports__kept_with_where_and_what(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction(), scrapes.bill())
    with log_context(request_id="request 7"):
        report = mail.run()
    found = the_run()
    assert (found.way, found.host, found.process_id) == ("queue", socket.gethostname(), os.getpid())
    assert (found.request_id, len(found.import_run_id)) == ("request 7", 12)
    assert found.counts == {"received": 2, "inserted": 1, "unchanged": 1, "flags": 1}
    assert found.statements == report.statements > 0
    assert set(found.seconds) >= {"total", "receive", "fetch"}
    assert found.lag_p50 is not None and found.cpu_seconds > 0
    assert found.began_at <= (found.ended_at or found.began_at)
    assert (found.runs, found.is_idle, found.error) == (1, False, "")


def test_import_run__in_lambda__names_the_function(mail: Mail) -> None:
    mail.config = replace(mail.config, function="imports")
    mail.run()
    assert the_run().host == "imports"


def test_import_runs__with_nothing_to_do__are_one_row_until_one_imports(mail: Mail) -> None:
    for _ in range(3):
        mail.run()
    idle = the_run()
    assert (idle.runs, idle.is_idle, idle.counts) == (3, True, {})
    assert idle.started_at < idle.began_at < (idle.ended_at or idle.began_at)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    mail.run()
    assert [(one.runs, one.is_idle) for one in import_runs.newest()] == [
        (1, True), (1, False), (3, True),
    ]  # fmt: skip


def test_import_runs__of_other_hosts_and_ways__have_rows_of_their_own(mail: Mail) -> None:
    mail.run()
    mail.config = replace(mail.config, function="imports")
    mail.run()
    command(mail, "archive_realtime")
    command(mail, "finalize_realtime")
    mail.run()
    found = {(one.way, one.host): one.runs for one in import_runs.newest()}
    here = socket.gethostname()
    assert found == {
        ("queue", here): 1, ("queue", "imports"): 2, ("archive", "imports"): 1,
        ("finalize", "imports"): 1,
    }  # fmt: skip


def test_archive_realtime__files_moved__kept_as_its_counts(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    command(mail, "archive_realtime")
    found = import_runs.newest().get(way="archive")
    assert found.counts == {"archived": 1}
    assert found.requests


def test_import_runs__store_away__kept_with_the_error_and_since_when(
    mail: Mail, aws: Aws, proxy: AwsProxy
) -> None:
    mail.publish(scrapes.jurisdiction())
    proxy.rule = on("ReceiveMessage", fault=refusal(403, "AccessDenied"))
    mail.queue = type(mail.queue)(aws.queue_url, through(proxy.endpoint, aws).sqs, wait=0)
    for _ in range(2):
        with pytest.raises(Unavailable):
            mail.run()
    found = the_run()
    assert "AccessDenied" in found.error
    assert (found.runs, found.ended_at is not None) == (2, True)
    assert found.started_at < found.began_at


def test_error_of_a_run__kept__is_one_line_without_credentials() -> None:
    told = import_runs.told("no answer of\n postgres://ada:secret/word@host/x \0" + "x" * 999)
    assert told.startswith("no answer of postgres://…@host/x")
    assert len(told) == 500 and "\0" not in told


def test_import_run__unexpected_error__only_its_kind_is_kept(mail: Mail) -> None:
    record = Record(mail.config, "queue")
    with pytest.raises(ValueError), record.of(Report()):
        raise ValueError("a bill's title")
    assert the_run().error == "ValueError"


def test_import_run__killed__did_not_end_and_its_connection_is_gone(mail: Mail) -> None:
    place = Record(mail.config, "queue")._place
    with closing(psycopg2.connect(mail.config.database_url)) as other:
        other.autocommit = True
        row = import_runs.begin(place, "abc")
        with other.cursor() as cursor:
            cursor.execute(
                "UPDATE realtime_import_run SET backend_pid = pg_backend_pid(),"
                " began_at = clock_timestamp()"
            )
        working = import_runs.newest().get(pk=row)
        assert kept(working).result == "working"

    def did_not_end() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
        return kept(the_run()).result == "did not end"

    assert wait_until(did_not_end), "PostgreSQL ends a backend after its client has gone"
    Mail(mail.aws, mail.config.database_url).run()
    assert import_runs.newest().count() == 2, "no quiet run counts as the one that did not end"


def test_import_run__its_record__costs_two_statements(mail: Mail) -> None:
    seen: list[str] = []

    def watch(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if "realtime_import_run" in sql:
            seen.append(sql)
        return execute(sql, *rest)

    record = Record(mail.config, "follow", stretch=900)
    with connection.execute_wrapper(watch):
        for number in range(3):
            report = Report()
            with record.of(report):
                report.count("bill", "inserted" if number else "failed")
    assert len(seen) == 6
    assert (the_run().runs, the_run().counts) == (3, {"received": 3, "inserted": 2, "failed": 1})


def test_follow__runs_of_a_quarter_of_an_hour__are_one_row(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PACE", 0)
    monkeypatch.setattr(follow, "IDLE", 0)
    publishing = iter([[scrapes.jurisdiction()], [], [scrapes.bill()]])
    store = S3Store(mail.aws.bucket, mail.aws.s3)

    class Arrivals(follow.QueueArrivals):
        def wait(self) -> None:
            mail.publish(*next(publishing))

    limits = Limits(300, False, lambda: False)
    with pytest.raises(StopIteration):
        follow.follow(mail.config, Arrivals(mail.queue, 30), store, limits)
    found = the_run()
    assert (found.way, found.runs, found.counts["received"]) == ("follow", 3, 2)


def test_import_run__table_closed_to_us__imports_and_warns(
    mail: Mail, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE realtime_import_run RENAME TO elsewhere")
    monkeypatch.setattr(logging.getLogger("realtime"), "propagate", True)
    mail.publish(scrapes.jurisdiction())
    assert mail.run().received == 1
    assert "import run not recorded" in caplog.text


def test_prune__import_runs__old_ones_and_all_but_the_newest(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Record(mail.config, "queue")._place
    rows = [import_runs.begin(place, "x") for _ in range(6)]
    for row in rows:
        import_runs.end(row, Figures({"received": 1}))
    ImportRun.objects.filter(id=rows[4]).update(began_at=before_now(days=31))
    monkeypatch.setattr(retention, "IMPORT_RUNS", 4)
    assert retention.prune_import_runs(before_now(days=30)) == 3
    assert set(ImportRun.objects.values_list("id", flat=True)) == {rows[2], rows[3], rows[5]}
    assert command(mail, "prune_realtime")["import_runs"] == 0
    ImportRun.objects.update(began_at=before_now(days=30) - timedelta(minutes=1))
    assert command(mail, "prune_realtime")["import_runs"] == 3
