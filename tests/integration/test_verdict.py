"""The facts of a verdict on a real ledger: each kind of trouble forced, and what it costs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from bench import ledger as many
from realtime.backends.postgres import locks
from realtime.backends.sqs import Depth
from realtime.consumer.record import Record
from realtime.domain.config import load
from realtime.ledger import failures as ledger_failures
from realtime.ledger import files as ledger_files
from realtime.ledger import import_runs, pauses, receivers
from realtime.models import ChangeReceiver, Closed, File, ImportRun, Outcome, RaisedFlag
from realtime.monitoring.report import Report
from realtime.monitoring.status.over_time import Window, over_time
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.monitoring.verdict.facts import gather
from realtime.monitoring.verdict.finding import Finding, Kind, Level, Verdict
from realtime.monitoring.verdict.judgement import Limits, judge
from tests.ledger_rows import OHIO, WYOMING, before_now, file, run
from tests.races import session

pytestmark = pytest.mark.usefixtures("database")

EMPTY, WAITING = QueueStatus(Depth(0, 0, 0)), QueueStatus(Depth(5, 0, 0))
CONFIG = load({"SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/queue"})


def verdict(queue: QueueStatus = EMPTY) -> Verdict:
    return judge(gather(CONFIG, queue), Limits.of(CONFIG))


def only() -> Finding:
    [one] = verdict().findings
    return one


@pytest.fixture
def imported(database: str) -> None:
    """An import run has ended just now, and has brought a file."""
    with Record(CONFIG, "queue").of(Report()):
        file(before_now(minutes=1))


@pytest.mark.usefixtures("imported")
def test_verdict__all_is_well__says_when_the_importer_ran() -> None:
    found = verdict()
    assert (found.sentence, found.findings) == ("Importing normally", [])
    assert found.last_run == ImportRun.objects.get().began_at


def test_verdict__messages_wait_and_no_run_has_begun_for_long__nobody_imports() -> None:
    assert [one.kind for one in verdict().findings] == [Kind.NOBODY]
    with Record(CONFIG, "queue").of(Report()):
        pass
    assert Kind.NOBODY not in {one.kind for one in verdict(WAITING).findings}
    began = before_now(minutes=16)
    ImportRun.objects.update(began_at=began)
    [nobody, _] = verdict(WAITING).findings
    assert (nobody.kind, nobody.since) == (Kind.NOBODY, began)


def test_verdict__run_under_way_for_long__imports_while_its_connection_is_there(
    database: str,
) -> None:
    file(before_now(minutes=1))
    with session(database) as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
        import_runs.begin(Record(CONFIG, "queue")._place, "x")
        # PostgreSQL knows when a connection was opened: none works for longer than that.
        ImportRun.objects.update(backend_pid=pid)
        assert verdict(WAITING).findings == []
    assert [one.kind for one in verdict().findings] == [Kind.KILLED]


@pytest.mark.usefixtures("imported")
def test_verdict__worker_that_holds_a_slot_and_asks_nothing__stuck(database: str) -> None:
    with session(database) as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 1)", [locks.SLOTS])
        facts = gather(CONFIG, EMPTY)
        [worker] = facts.workers
        assert worker.active_at is not None
        limits = Limits.of(CONFIG)
        assert judge(facts, limits).findings == []
        impatient = Limits(**{**vars(limits), "stuck": timedelta(0)})
        [stuck] = judge(facts, impatient).findings
    assert (stuck.kind, stuck.since) == (Kind.STUCK, worker.active_at)


@pytest.mark.usefixtures("imported")
def test_verdict__failures_lately_and_before__by_jurisdiction() -> None:
    for minutes in [30] * 11 + [90]:
        file(before_now(minutes=minutes), Outcome.FAILED, reason="invalid")
    file(before_now(minutes=9), Outcome.FAILED, discarded_at=before_now(minutes=1))
    first = file(before_now(days=3), Outcome.FAILED, jurisdiction_id=OHIO)
    failing, failed = verdict().findings
    assert failing.sentence == "Wyoming: 11 of 13 files failed in the last hour"
    assert (failing.kind, failing.page) == (Kind.FAILING, f"jurisdiction/{WYOMING}/#failures")
    assert (failed.kind, failed.since) == (Kind.FAILED, first.imported_at)
    assert failed.sentence == "Ohio: 1 failed file needs attention"


@pytest.mark.usefixtures("imported")
def test_verdict__files_failed_within_an_hour_long_ago__bad_until_somebody_acts() -> None:
    failed = [
        file(before_now(hours=9, minutes=3 * each), Outcome.FAILED, reason="invalid")
        for each in range(12)
    ]
    file(before_now(hours=30), Outcome.FAILED, reason="invalid")
    for minutes in (605, 590, 520, 505):
        file(before_now(minutes=minutes))
    bad = only()
    assert (bad.level, bad.since) == (Level.BAD, failed[-1].imported_at)
    # With those of less than an hour before or after, which speak for the scraper.
    assert bad.sentence == "Wyoming: 12 of 14 files failed within an hour, and wait for a retry"
    ledger_failures.discard([one.pk for one in failed[:3]], "ada", "")
    assert (only().kind, only().level) == (Kind.FAILED, Level.LOOK)


@pytest.mark.usefixtures("imported")
def test_verdict__few_of_many_failed__counts_no_further_than_it_must() -> None:
    for each in range(10):
        file(before_now(minutes=30, seconds=each), Outcome.FAILED, reason="invalid")
    for each in range(89):
        file(before_now(minutes=30, seconds=each))
    # With that of the fixture they are a tenth, and no more than that.
    assert only().sentence == "Wyoming: 10 of 100 files failed in the last hour"
    file(before_now(minutes=30))
    assert only().sentence == "Wyoming: 10 of more than 100 files failed in the last hour"
    assert only().level == Level.LOOK


@pytest.mark.usefixtures("imported")
def test_verdict__paused__by_a_person_or_the_breaker() -> None:
    pauses.pause(WYOMING, "ada", "rewritten")
    paused = only()
    assert (paused.kind, paused.sentence) == (Kind.PAUSED, "Wyoming is paused by ada: rewritten")
    assert paused.command == "python manage.py resume_realtime --jurisdiction wy"
    pauses.resume(WYOMING, "ada")
    assert verdict().findings == []
    pauses.pause(OHIO, pauses.BREAKER, "all failed")
    assert only().kind == Kind.BREAKER


@pytest.mark.usefixtures("imported")
def test_verdict__pause_of_hours_has_ended__what_it_parked_has_not_waited_in_the_queue() -> None:
    with Record(CONFIG, "queue").of(Report()):
        pauses.pause(WYOMING, "ada", "rewritten")
    parked = file(before_now(hours=5), Outcome.DEFERRED, paused_at=before_now(hours=5))
    pauses.resume(WYOMING, "ada")
    assert verdict(WAITING).findings == []
    File.objects.filter(pk=parked.pk).update(outcome=Outcome.INSERTED, paused_at=None)
    assert verdict(WAITING).late == []
    File.objects.filter(pk__lt=parked.pk).delete()
    hour = Window(timedelta(hours=1), 6)
    assert over_time(ledger_files.database_now(), hour, [WYOMING]).waiting == [0] * 6


@pytest.mark.usefixtures("imported")
def test_verdict__receiver_of_changes_paused_or_failing_for_long__to_be_looked_at() -> None:
    receivers.register({"crm": "https://example.org", "map": "https://example.net"})
    assert verdict().findings == []
    receivers.could_not("crm", "no route")
    assert verdict().findings == []
    ChangeReceiver.objects.filter(name="crm").update(failing_since=before_now(hours=1))
    assert only().sentence == "Receiver crm cannot be told of changes: no route"
    receivers.pause("map", "ada", "")
    assert [one.sentence for one in verdict().findings][1:] == ["Receiver map is paused by ada"]


@pytest.mark.usefixtures("imported")
def test_verdict__run_closed_as_broken__until_a_newer_one_is_final() -> None:
    over = {"finalized_at": before_now(hours=2), "closed_at": before_now(hours=2)}
    broken = run(before_now(hours=5), before_now(hours=3), closed=Closed.BROKEN, **over)
    run(before_now(hours=9), before_now(hours=8), finalized_at=before_now(hours=1))
    assert only().kind == Kind.BROKEN_RUN
    assert str(broken.run_id) in only().command
    run(before_now(hours=2), before_now(hours=1), finalized_at=before_now(minutes=9))
    assert verdict().findings == []


@pytest.mark.usefixtures("imported")
def test_verdict__lag_of_the_newest_hour_is_long__to_be_looked_at() -> None:
    now = ledger_files.database_now()
    for minutes in (300, 400):
        # Of long ago, and of another jurisdiction's newest hour.
        file(now - timedelta(minutes=minutes), to_receive=7200)
    file(now - timedelta(hours=2), to_receive=7190, jurisdiction_id=OHIO)
    file(now - timedelta(hours=6), to_receive=9000, jurisdiction_id=OHIO)
    lagging = only()
    assert (lagging.kind, lagging.jurisdiction_id) == (Kind.LAG, OHIO)
    assert lagging.sentence.startswith("Ohio: p95 lag 2.0 h from scraped to visible")


@pytest.mark.usefixtures("imported")
def test_verdict__newest_scrape_gives_nothing__stalled_until_something_comes() -> None:
    died, again = (run(before_now(hours=hours), jurisdiction_id=OHIO) for hours in (30, 4))
    file(before_now(hours=3), jurisdiction_id=OHIO, run_id=again.run_id)
    run(before_now(hours=9), jurisdiction_id=WYOMING)  # and the fixture has brought a file
    assert only().sentence == "Ohio: its scrape is open, and nothing imported for 3.0 h"
    assert only().page == f"run/{again.run_id}/" != f"run/{died.run_id}/"
    file(before_now(minutes=2), jurisdiction_id=OHIO, run_id=again.run_id)
    assert verdict().findings == []


@pytest.mark.usefixtures("imported")
def test_verdict__flags__new_ones_that_are_open() -> None:
    for kind, hours, resolved in (("shrunk", 1, None), ("shrunk", 30, None), ("x", 1, 1)):
        RaisedFlag.objects.create(
            jurisdiction_id=WYOMING,
            kind=kind,
            subject=f"{kind} {hours}",
            first_seen=before_now(hours=hours),
            last_seen=before_now(hours=0),
            resolved_at=before_now(hours=0) if resolved else None,
        )
    assert only().sentence == "Wyoming: flags were raised in the last 24 hours: 1 shrunk"


@pytest.mark.usefixtures("imported")
def test_verdict__migration_of_a_table_missing__says_which_and_that_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '0012_import_runs'")
        cursor.execute("DROP TABLE realtime_import_run")
    assert only().kind == Kind.MIGRATIONS
    assert "0012_import_runs" in only().sentence
    assert verdict().late, "a monitor is told"


@pytest.mark.usefixtures("imported")
def test_verdict__migration_of_an_index_missing__says_so_and_what_else_is_wrong() -> None:
    pauses.pause(WYOMING, "ada", "rewritten")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '0016_waiting'")
        cursor.execute("DROP INDEX realtime_file_waited")
    missing, paused = verdict().findings
    assert (missing.kind, paused.kind) == (Kind.MIGRATIONS, Kind.PAUSED)
    assert missing.sentence.endswith(": 0016_waiting is missing")
    assert missing.command == "python manage.py migrate realtime"
    assert verdict().last_run


@contextmanager
def explained(plans: list[str]) -> Iterator[None]:
    def explain(execute: Callable[..., Any], sql: str, params: Any, *rest: Any) -> Any:
        if "realtime_" in sql:
            with connection.connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, *rest)

    with connection.execute_wrapper(explain):
        yield


def test_verdict__of_a_large_ledger__few_statements_by_index() -> None:
    many.fill(100_000, ledger_files.database_now())
    plans: list[str] = []
    with explained(plans):
        found = gather(CONFIG, EMPTY)
    assert sum(one.files for one in found.failures) > 0
    assert len(plans) <= 11, "whatever the number of rows and jurisdictions"
    assert [plan for plan in plans if "Seq Scan on realtime_file" in plan] == []
