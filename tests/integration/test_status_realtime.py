"""`status_realtime` on PostgreSQL and SQS, in this process."""

import io
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings

from realtime.backends.postgres.locks import connect_as
from realtime.domain.config import load
from realtime.domain.errors import Unavailable
from realtime.domain.interfaces import Store
from realtime.ledger import pauses
from realtime.models import Outcome
from realtime.monitoring import prometheus
from realtime.monitoring.status import unannounced as status_root
from realtime.monitoring.status.queue_depth import ask
from tests import scrapes
from tests.ledger_rows import OHIO, before_now, file, run
from tests.scrapes import Mail
from tests.support import ROOT, Aws
from tests.swept import Root

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def mail(aws: Aws, database: str, monkeypatch: pytest.MonkeyPatch) -> Mail:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return Mail(aws, database, REALTIME_ARCHIVE="later")


def said(mail: Mail, *arguments: str, out: io.StringIO | None = None, **settings: Any) -> str:
    config = load({**mail.aws.environment, "DATABASE_URL": mail.config.database_url, **settings})
    out = out or io.StringIO()
    with override_settings(REALTIME=config):
        call_command("status_realtime", *arguments, stdout=out)
    return out.getvalue()


def figures(mail: Mail, *arguments: str, **settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        said(mail, "--json", *arguments, **settings).splitlines()[-1]
    )
    return found


def test_status__of_a_scrape_under_way__is_all_there(mail: Mail) -> None:
    run_id = scrapes.fresh_id()
    bill = scrapes.bill()
    mail.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill), run_id=run_id)
    mail.publish(scrapes.vote_event("HB 9"), run_id=run_id)
    mail.send(mail.message(mail.put(b"{", "wy/bill_00000000-0000-11f1-8a13-000000000002.json")))
    mail.run()
    mail.publish(scrapes.bill("HB 2"), run_id=run_id)
    found = figures(mail)
    assert found["queue"]["visible"] == 1
    assert found["queue"]["problem"] is None
    assert found["workers"] == {"slots": 10, "busy": 0, "list": []}
    (one,) = found["runs"]["list"]
    assert (found["runs"]["open"], one["run_id"], one["state"]) == (1, run_id, "open")
    assert one["came"] == {"bill": 1, "jurisdiction": 1, "vote_event": 2}
    (parked,) = found["parked"]["list"]
    assert (parked["files"], "HB 9" in parked["waiting_for"]) == (1, True)
    assert found["failures"]["list"][0]["reason"] == "bad-json"
    assert found["unarchived"]["files"] == 3
    assert found["lag"]["measured"] == 2
    assert 0 <= found["lag"]["total_seconds"]["p50"] < 600
    assert {one["type"] for one in found["lag"]["by_type"]} == {"bill", "vote_event"}
    assert found["sooner"]["by_type"] == []
    screen = said(mail)
    for text in ("1 visible", "open", "HB 9", "failed: bad-json", "3 not yet archived", "p95"):
        assert text in screen
    assert "\x1b" not in screen, "plain where there is no terminal"


def keys(found: Any) -> set[str]:
    """Every name in a JSON document but for those of object types."""
    if isinstance(found, list):
        return {name for one in found for name in keys(one)}
    if not isinstance(found, dict):
        return set()
    return {*found, *(name for one in found.values() for name in keys(one))}


def test_json__its_keys__are_in_the_readme(mail: Mail) -> None:
    ended = run(before_now(hours=3), before_now(hours=1), objects_sent={"bill": 2})
    file(before_now(hours=2), run_id=ended.run_id)
    file(before_now(hours=2), Outcome.DEFERRED)
    file(before_now(hours=2), Outcome.FAILED, reason="invalid")
    readme = (ROOT / "README.md").read_text()
    found = keys(figures(mail)) - {"bill"}
    assert len(found) > 60
    assert [name for name in sorted(found) if f"`{name}`" not in readme] == []


def test_status__of_one_jurisdiction__leaves_the_others_out(mail: Mail) -> None:
    run(before_now(hours=1), jurisdiction_id=OHIO)
    ago = before_now(hours=1)
    run(ago, ago, finalized_at=ago, jurisdiction_id=OHIO)
    file(before_now(hours=1), Outcome.FAILED, reason="invalid", jurisdiction_id=OHIO)
    file(before_now(hours=1), jurisdiction_id=OHIO)
    ours = file(before_now(hours=1))
    found = figures(mail, "--jurisdiction", "wy")
    assert found["jurisdiction_id"] == ours.jurisdiction_id
    assert found["runs"]["list"] == found["failures"]["list"] == []
    assert found["lag"]["measured"] == 1
    everywhere = figures(mail)
    assert (everywhere["lag"]["measured"], len(everywhere["runs"]["list"])) == (2, 2)
    with pytest.raises(CommandError, match="core knows"):
        figures(mail, "--jurisdiction", "nowhere")


def test_status__of_fewer_hours__measures_only_those(mail: Mail) -> None:
    file(before_now(hours=3))
    file(before_now(minutes=30))
    assert figures(mail, "--hours", "1")["lag"]["measured"] == 1


def test_status__with_a_hostile_identifier__moves_no_cursor(mail: Mail) -> None:
    file(before_now(hours=1), Outcome.DEFERRED, detail="bill \x1b[2J\x1b[31m[bold]HB 1[/]")
    screen = said(mail)
    assert "\x1b" not in screen
    assert "[bold]HB 1[/]" in screen


def test_status__aws_unreachable__says_so_and_shows_the_database(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(before_now(hours=1))
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"):
        monkeypatch.setenv(name, NOBODY)
    found = figures(mail, SQS_QUEUE_URL=f"{NOBODY}/123456789012/queue")
    assert found["queue"]["visible"] is None
    assert "SQS cannot be reached" in found["queue"]["problem"]
    assert found["lag"]["measured"] == 1
    assert "unknown: SQS cannot be reached" in said(mail)
    with pytest.raises(
        CommandError, match="behind by more than 5 min: the state of the queue is unknown"
    ):
        said(mail, "--max-age", "5")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"SQS_QUEUE_URL": "https://nowhere.example/1/q"}, "there is no queue"),
        ({"SQS_QUEUE_URL": "", "S3_REALTIME_BASE": "s3://nowhere"}, "there is no bucket"),
    ],
)
def test_status__without_a_queue__says_so(
    mail: Mail, settings: dict[str, str], problem: str
) -> None:
    assert problem in figures(mail, **settings)["queue"]["problem"]


@pytest.mark.parametrize("place", ["s3", "file"])
def test_status__no_queue__root_counted_without_what_has_an_outcome(
    mail: Mail, tmp_path: Path, place: str
) -> None:
    base = f"s3://{mail.aws.bucket}" if place == "s3" else f"file://{tmp_path}"
    root = Root(base, mail.aws.environment, mail.config.database_url, REALTIME_ARCHIVE="later")
    root.put(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    root.run()
    root.put(scrapes.bill("HB 2"), scrapes.bill("HB 3"))
    settings: dict[str, Any] = {"S3_REALTIME_BASE": base, "SQS_QUEUE_URL": ""}
    found = figures(mail, **settings)
    queue, waiting = found["queue"], found["unannounced"]
    assert (queue["visible"], queue["oldest_source"], queue["problem"]) == (2, "store", None)
    assert (waiting["files"], waiting["complete"]) == (2, True)
    assert 0 <= queue["oldest_seconds"] == waiting["oldest_seconds"] < 600
    assert "none: 2 files wait in the store's root" in said(mail, **settings)


def test_status__beside_a_queue__only_files_late_enough_to_be_lost_counted(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    assert figures(mail)["unannounced"]["files"] == 0
    monkeypatch.setattr(status_root, "LATE", timedelta(minutes=-1))
    assert figures(mail)["unannounced"]["files"] == 2
    assert "2 files without an outcome" in said(mail)
    mail.run()
    assert figures(mail)["unannounced"]["files"] == 0


def test_root__that_never_answers__is_given_up(mail: Mail) -> None:
    over = threading.Event()

    def never() -> Store:
        # Stands for a name server that says nothing.
        over.wait()
        raise Unavailable("too late")

    root = status_root.look(mail.config, never, limit=0.05)
    over.set()
    assert "did not answer" in root.problem


def test_queue__that_never_answers__is_given_up(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    # Longer than any patience: stands for a name server that says nothing.
    monkeypatch.setattr("realtime.monitoring.status.queue_depth._ask", lambda url: time.sleep(60))
    answer = ask(aws.queue_url, limit=0.05)
    assert answer.depth is None
    assert "did not answer" in answer.problem


def test_oldest_message__as_cloudwatch_says(mail: Mail, stack: Any) -> None:
    mail.publish(scrapes.bill())
    name = mail.aws.queue_url.rpartition("/")[2]
    assert figures(mail)["queue"]["oldest_source"] is None
    stack.aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/SQS",
        MetricData=[
            {
                "MetricName": "ApproximateAgeOfOldestMessage",
                "Dimensions": [{"Name": "QueueName", "Value": name}],
                "Timestamp": datetime.now(UTC) - timedelta(minutes=minutes),
                "Value": seconds,
                "Unit": "Seconds",
            }
            # The newest is neither the first, nor the last, nor the greatest.
            for minutes, seconds in ((4, 60.0), (0, 1234.0), (2, 2000.0))
        ],
    )
    queue = figures(mail)["queue"]
    assert (queue["oldest_seconds"], queue["oldest_source"]) == (1234, "cloudwatch")
    assert "the oldest has waited for 21 min" in said(mail)
    with pytest.raises(CommandError, match="the oldest message has waited for 21 min"):
        said(mail, "--max-age", "20")
    assert figures(mail, "--max-age", "21")["behind"] == []


def test_oldest_message__of_a_queue_that_is_not_amazons__is_not_asked_of_amazon(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.publish(scrapes.bill())
    file(before_now(minutes=9), to_receive=120)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", mail.aws.environment["AWS_ENDPOINT_URL"])
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setattr("realtime.monitoring.status.queue_depth.LIMIT", 1)
    queue = figures(mail)["queue"]
    assert (queue["visible"], queue["oldest_seconds"]) == (1, 120)
    assert queue["oldest_source"] == "ledger"


def test_max_age__behind__prints_the_status_and_exits_with_one(mail: Mail) -> None:
    ended = run(before_now(hours=2), before_now(hours=1), objects_sent={"bill": 1})
    out = io.StringIO()
    with pytest.raises(CommandError, match=f"run {ended.run_id}") as error:
        said(mail, "--max-age", "30", "--json", out=out)
    assert error.value.returncode == 1
    (line,) = json.loads(out.getvalue())["behind"]
    assert "1 of its 1 files are missing" in line
    assert figures(mail, "--max-age", "90")["behind"] == []
    assert figures(mail)["behind"] is None
    with pytest.raises(CommandError, match="cannot be combined with --watch"):
        said(mail, "--max-age", "90", "--watch")


def test_status__needs_no_worker_and_writes_nothing(mail: Mail) -> None:
    with psycopg2.connect(mail.config.database_url) as other, other.cursor() as cursor:
        # As if a migration under way would let nobody write.
        cursor.execute("LOCK TABLE realtime_file, realtime_run IN SHARE MODE")
        for slot in range(mail.config.max_workers):
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [0x6F737274, slot])
        found = figures(mail)
    other.close()
    assert found["workers"]["busy"] == 10


def test_status__while_it_looks__goes_by_a_name_of_its_own(mail: Mail) -> None:
    connect_as("openstates-realtime-status")
    with connection.cursor() as cursor:
        cursor.execute("SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        assert cursor.fetchone() == ("openstates-realtime-status",)
    assert connection.settings_dict["OPTIONS"]["application_name"] == "openstates-realtime"


def test_status__tables_missing__says_what_to_run(mail: Mail) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE realtime_file")
    with pytest.raises(CommandError, match="migrate realtime"):
        said(mail)


@pytest.mark.parametrize("last", ["0014", "zero"])
def test_status__migration_missing__every_form_judges_and_exits_with_one(
    mail: Mail, tmp_path: Path, last: str
) -> None:
    call_command("migrate", "realtime", last, verbosity=0)
    missing = "0015_receivers" if last == "0014" else "0001_initial"
    sentence = f"The ledger's tables are older than this release: {missing} is missing"

    def judged(*arguments: str) -> str:
        out = io.StringIO()
        with pytest.raises(CommandError, match="run `python manage") as error:
            said(mail, *arguments, out=out)
        assert error.value.returncode == 1 and sentence in str(error.value)
        return out.getvalue()

    assert judged().startswith(sentence)
    found = json.loads(judged("--json", "--max-age", "30"))
    [finding] = found["verdict"]["findings"]
    assert (finding["kind"], len(found["behind"])) == ("migrations-missing", 1)
    output = tmp_path / "openstates.prom"
    judged("--prometheus", "--output", str(output))
    assert 'openstates_realtime_verdict{kind="migrations-missing"} 2\n' in output.read_text()
    assert 'openstates_realtime_verdict{kind="database-away"} 0\n' in output.read_text()


def test_status__nothing_was_ever_migrated__first_migration_is_missing(mail: Mail) -> None:
    call_command("migrate", "realtime", "zero", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE django_migrations")
    with pytest.raises(CommandError, match="0001_initial is missing"):
        said(mail)


def test_status__verdict_first__on_screen_and_as_json(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    found = figures(mail)["verdict"]
    assert (found["level"], found["findings"][0]["kind"]) == ("bad", "nobody-imports")
    screen = said(mail).splitlines()
    assert screen[1].startswith("Nobody imports: 1 message waits, and no import run has ever begun")
    assert screen[2].strip() == "python manage.py import_realtime --until-empty"
    mail.run()
    assert figures(mail)["verdict"]["sentence"] == "Importing normally"
    assert "Importing normally. The last import run began" in said(mail)
    file(before_now(minutes=9), Outcome.FAILED, reason="invalid")
    elsewhere = figures(mail, "--jurisdiction", "oh")["verdict"]
    assert (elsewhere["level"], elsewhere["findings"]) == ("ok", [])


def test_runs__of_the_importer__as_a_table_and_as_json(mail: Mail) -> None:
    assert "No import run has begun yet" in said(mail, "--runs")
    mail.publish(scrapes.jurisdiction())
    for _ in range(3):
        mail.run()
    idle, imported = json.loads(said(mail, "--runs", "--json"))["import_runs"]
    assert (idle["result"], idle["runs"], idle["counts"]) == ("idle", 2, {})
    assert (imported["result"], imported["counts"]["received"]) == ("done", 1)
    assert "1 received: 1 unchanged" in said(mail, "--runs")
    assert len(json.loads(said(mail, "--runs", "1", "--json"))["import_runs"]) == 1
    readme = (ROOT / "README.md").read_text()
    assert [name for name in idle if f"`{name}`" not in readme] == []


def test_prometheus__of_the_state__has_every_series_and_replaces_a_file(
    mail: Mail, tmp_path: Path
) -> None:
    mail.publish(scrapes.jurisdiction(), scrapes.bill())
    mail.run()
    bad = 'a "b"'
    file(before_now(minutes=9), Outcome.FAILED, reason=bad, jurisdiction_id="made-up")
    file(before_now(minutes=9), Outcome.DEFERRED)
    pauses.pause(OHIO, "ada", "")
    text = said(mail, "--prometheus")
    prefix = "openstates_realtime_"
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert types == [one.full_name for one in prometheus.SERIES]
    for line in (
        'verdict{kind="paused"} 1',
        'verdict{kind="behind"} 0',
        'failed_files{jurisdiction="unknown",reason="a \\"b\\""} 1',
        'paused{jurisdiction="oh"} 1',
        'parked_files{jurisdiction="wy"} 1',
        'visible_files{jurisdiction="wy"} 1',
        'queue_messages{state="visible"} 0',
        "workers_slots 10",
    ):
        assert f"{prefix}{line}\n" in text
    output = tmp_path / "openstates.prom"
    output.write_text("old")
    said(mail, "--prometheus", "--output", str(output))
    assert f"{prefix}workers_slots 10" in output.read_text()
    assert (output.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (0o644, [output])
    with pytest.raises(CommandError, match="--output /no/such/file: No such file"):
        said(mail, "--prometheus", "--output", "/no/such/file")


def test_prometheus__messages_of_unknown_age__no_age_rather_than_zero(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    text = said(mail, "--prometheus")
    assert 'openstates_realtime_queue_messages{state="visible"} 1\n' in text
    assert "oldest_message_seconds" not in text
    mail.run()
    assert "openstates_realtime_oldest_message_seconds 0\n" in said(mail, "--prometheus")


def test_prometheus__database_away__is_told_and_exits_with_one(mail: Mail, tmp_path: Path) -> None:
    output, url = tmp_path / "openstates.prom", "postgres://nobody@127.0.0.1:9/none"
    before = connection.settings_dict.copy()
    connection.settings_dict.update(HOST="127.0.0.1", PORT="9")
    try:
        with pytest.raises(CommandError, match="the database cannot be reached"):
            said(mail, "--prometheus", "--output", str(output), DATABASE_URL=url)
    finally:
        connection.settings_dict.update(before)
    assert 'openstates_realtime_verdict{kind="database-away"} 2\n' in output.read_text()
    assert "openstates_realtime_status_timestamp_seconds " in output.read_text()


@pytest.mark.parametrize(
    "options", [("--runs", "--watch"), ("--prometheus", "--max-age", "9"), ("--output", "x")]
)
def test_status__options_that_do_not_go_together__are_refused(
    mail: Mail, options: tuple[str, ...]
) -> None:
    with pytest.raises(CommandError, match=r"--runs and --prometheus go alone|--output goes with"):
        said(mail, *options)
