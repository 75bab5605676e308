"""What a verdict says of given facts: each kind, how bad it is, and which comes first."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from realtime.backends.sqs import Depth
from realtime.domain.config import load
from realtime.models import ChangeReceiver, ImportRun, Pause
from realtime.monitoring.status.lag import Lag, Spread
from realtime.monitoring.status.queue_depth import QueueStatus, of_root
from realtime.monitoring.status.received import Received
from realtime.monitoring.status.unannounced import Unannounced
from realtime.monitoring.status.workers import Worker
from realtime.monitoring.verdict.facts import (
    BrokenRun,
    Burst,
    EndedRun,
    Facts,
    Failures,
    NewFlags,
    OpenRun,
    without_database,
)
from realtime.monitoring.verdict.finding import Finding, Kind, Level, Verdict
from realtime.monitoring.verdict.judgement import Limits, judge

NOW = datetime(2031, 1, 10, 12, tzinfo=UTC)
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
OHIO = "ocd-jurisdiction/country:us/state:oh/government"
LIMITS = Limits.of(load({}))
EMPTY, WAITING = QueueStatus(Depth(0, 0, 0)), QueueStatus(Depth(5, 0, 0))


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def run(
    began: float, ended: float | None = None, connected: bool = False, **more: Any
) -> ImportRun:
    """An import run that began, and ended, so many minutes ago."""
    fields = {"way": "queue", "host": "bastion", "process_id": 77, "backend_pid": 9, **more}
    ended_at = None if ended is None else ago(ended)
    one = ImportRun(pk=3, started_at=ago(began), began_at=ago(began), ended_at=ended_at, **fields)
    # As `import_runs.newest` annotates it.
    vars(one)["is_connected"] = connected
    return one


def lag(p95: float | None) -> Lag:
    """That of Wyoming's newest hour, in seconds."""
    return Lag(WYOMING, "", NOW, 9, 0, 0, 0, 0 if p95 is None else 9, Spread(1, p95, p95))


WELL = Facts(NOW, queue=EMPTY, received=Received(ago(5), 20.0), import_runs=[run(2, 1)])


def judged(**more: Any) -> Verdict:
    return judge(replace(WELL, **more), LIMITS)


def only(**more: Any) -> Finding:
    [one] = judged(**more).findings
    return one


def test_verdict__all_is_well__says_so_and_when_the_importer_ran() -> None:
    found = judged()
    assert (found.level, found.sentence, found.last_run) == (Level.OK, "Importing normally", ago(2))
    quiet = judged(received=Received(ago(90), None))
    assert quiet.sentence == "Nothing to import since 2031-01-10 10:30 UTC"
    assert judged(received=Received(None, None)).sentence == "Nothing has come yet"


CASES: list[tuple[Kind, Level, str, datetime | None, dict[str, Any]]] = [
    (Kind.NOBODY, Level.BAD,
     "Nobody imports: 5 messages wait, and no import run has begun for 20 min", ago(20),
     {"queue": WAITING, "import_runs": [run(20, 19)]}),
    (Kind.NOBODY, Level.BAD,
     "Nobody imports: 5 messages wait, and no import run has ever begun", None,
     {"queue": WAITING, "import_runs": []}),
    (Kind.NOBODY, Level.BAD,
     "Nobody imports: 5 messages wait, and none of the last import runs takes messages", None,
     {"queue": WAITING, "import_runs": [run(2, 1, way="sweep")]}),
    # An import from a source takes no message, nor does a sweep beside a queue.
    (Kind.NOBODY, Level.BAD,
     "Nobody imports: 5 messages wait, and no import run has begun for 2.0 h", ago(120),
     {"queue": WAITING, "import_runs": [run(1, connected=True, way="source"),
                                        run(3, connected=True, way="sweep"), run(120, 119)]}),
    (Kind.NOBODY, Level.BAD,
     "Nobody imports: 7 files wait, and no import run has begun for 20 min", ago(20),
     {"has_queue": False, "queue": of_root(Unannounced(7, 1000.0)),
      "import_runs": [run(20, 19, way="sweep")]}),
    (Kind.NOBODY, Level.LOOK, "No import run has ever begun", None, {"import_runs": []}),
    (Kind.NOBODY, Level.LOOK, "Nobody looks for files: no import run has begun for 3.0 h", ago(180),
     {"import_runs": [run(180, 179)]}),
    (Kind.AWAY, Level.BAD, "The state of the queue is unknown: no answer", ago(60),
     {"queue": QueueStatus(problem="no answer"), "import_runs": [run(61, 60)]}),
    (Kind.AWAY, Level.LOOK, "The state of the queue is unknown: no answer", ago(1),
     {"queue": QueueStatus(problem="no answer")}),
    (Kind.AWAY, Level.LOOK, "The store cannot be listed: no answer", ago(1),
     {"root": Unannounced(problem="no answer")}),
    (Kind.BREAKS, Level.BAD, "Import runs end with an error: S3 cannot be reached", ago(30),
     {"import_runs": [run(30, 1, is_idle=True, error="S3 cannot be reached"), run(40, 39)]}),
    # The next one is under way.
    (Kind.BREAKS, Level.BAD, "Import runs end with an error: S3 cannot be reached", ago(1),
     {"import_runs": [run(0.5, connected=True), run(2, 1, error="S3 cannot be reached")]}),
    (Kind.BREAKS, Level.LOOK, "Import runs end with an error on other: no", ago(1),
     {"import_runs": [run(2, 1), run(3, 1, host="other", error="no")]}),
    (Kind.STUCK, Level.BAD,
     "A worker has asked the database nothing for 16 min (process 77 on bastion)", ago(16),
     {"import_runs": [run(40, connected=True)],
      "workers": [Worker(1, ago(40), (), 9, active_at=ago(16))]}),
    (Kind.STUCK, Level.LOOK, "A worker has been busy for 40 min", ago(40),
     {"workers": [Worker(1, ago(40), (), 8)]}),
    (Kind.BEHIND, Level.BAD, "The oldest message has waited for 31 min", ago(31),
     {"queue": QueueStatus(Depth(5, 0, 0), 31 * 60.0)}),
    (Kind.BEHIND, Level.BAD, "Messages have waited for 33 min", ago(33),
     {"queue": WAITING, "received": Received(ago(1), 33 * 60.0)}),
    (Kind.BEHIND, Level.BAD, "5 messages wait, and no message was received for 33 min", ago(33),
     {"queue": WAITING, "received": Received(ago(33), None)}),
    (Kind.BEHIND, Level.BAD, "2 files wait in the store's root, the oldest for 31 min", ago(31),
     {"root": Unannounced(2, 31 * 60.0)}),
    (Kind.BREAKER, Level.BAD, "Wyoming is paused by the breaker: 60 of 70 failed", ago(9),
     {"pauses": [Pause(jurisdiction_id=WYOMING, by="breaker", since=ago(9),
                       reason="60 of 70 failed")]}),
    (Kind.PAUSED, Level.LOOK, "Wyoming is paused by ada: rewritten", ago(9),
     {"pauses": [Pause(jurisdiction_id=WYOMING, by="ada", since=ago(9), reason="rewritten")]}),
    (Kind.PAUSED, Level.LOOK, "Every jurisdiction is paused by ada", ago(9),
     {"pauses": [Pause(by="ada", since=ago(9))]}),
    (Kind.LAG, Level.LOOK,
     "Wyoming: p95 lag 2.0 h from scraped to visible, in the hour from 12:00 UTC", NOW,
     {"lags": [lag(7200)]}),
    (Kind.STALLED, Level.LOOK, "Wyoming: its scrape is open, and nothing imported for 3.0 h",
     ago(180), {"open_runs": [OpenRun("r1", WYOMING, ago(180))]}),
    (Kind.FAILING, Level.BAD, "Wyoming: 11 of 100 files failed in the last hour", ago(50),
     {"failures": [Failures(WYOMING, 20, ago(900), Burst(11, ago(50), 100))]}),
    # Nobody has done anything since.
    (Kind.FAILING, Level.BAD,
     "Wyoming: 600 of 700 files failed within an hour, and wait for a retry", ago(900),
     {"failures": [Failures(WYOMING, 620, ago(990), Burst(2, ago(50), 100),
                            Burst(600, ago(900), 700))]}),
    (Kind.FAILING, Level.LOOK, "Wyoming: 600 of more than 5,999 files failed in the last hour",
     ago(50), {"failures": [Failures(WYOMING, 600, ago(50), Burst(600, ago(50), 5999, True))]}),
    (Kind.FAILING, Level.LOOK, "Wyoming: 10 of 100 files failed in the last hour", ago(50),
     {"failures": [Failures(WYOMING, 20, ago(900), Burst(10, ago(50), 100))]}),
    (Kind.FAILING, Level.LOOK, "Wyoming: 9 of 9 files failed in the last hour", ago(50),
     {"failures": [Failures(WYOMING, 9, ago(50), Burst(9, ago(50), 9))]}),
    (Kind.FAILED, Level.LOOK, "Wyoming: 599 failed files need attention", ago(900),
     {"failures": [Failures(WYOMING, 599, ago(900))]}),
    (Kind.BROKEN_RUN, Level.BAD, "Run r1 of Wyoming could not be finalized, and was closed", ago(9),
     {"broken_runs": [BrokenRun("r1", WYOMING, ago(9))]}),
    (Kind.NOT_FINAL, Level.LOOK, "Run r1 of Wyoming ended 31 min ago and is not final: why",
     ago(31),
     {"ended_runs": [EndedRun("r1", WYOMING, ago(31), "why")]}),
    (Kind.KILLED, Level.LOOK,
     "An import run has not ended (process 77 on bastion): killed, or without its database",
     ago(20), {"import_runs": [run(2, 1), run(20)]}),
    (Kind.RECEIVER, Level.LOOK, "Receiver crm cannot be told of changes: 503", ago(31),
     {"receivers": [ChangeReceiver(name="crm", failing_since=ago(31), last_error="503")]}),
    (Kind.RECEIVER, Level.LOOK, "Receiver crm is paused by delivery: it says that it is gone",
     ago(9),
     {"receivers": [ChangeReceiver(name="crm", failing_since=ago(9), paused_at=ago(9),
                                   paused_by="delivery",
                                   pause_reason="it says that it is gone")]}),
    (Kind.FLAGS, Level.LOOK,
     "Wyoming: flags were raised in the last 24 hours: 9 unmatched, 1 shrunk", ago(99),
     {"flags": [NewFlags(WYOMING, "shrunk", 1, ago(99)),
                NewFlags(WYOMING, "unmatched", 9, ago(9))]}),
    (Kind.MIGRATIONS, Level.BAD,
     "The ledger's tables are older than this release: 0012_import_runs is missing", None,
     {"missing_migration": "0012_import_runs", "is_readable": False, "import_runs": []}),
    (Kind.DATABASE, Level.BAD, "The database cannot be used: no route", None,
     {"database_problem": "no route"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "level", "sentence", "since", "facts"), CASES)
def test_verdict__each_kind__says_what_since_when_and_what_mends_it(
    kind: Kind, level: Level, sentence: str, since: datetime | None, facts: dict[str, Any]
) -> None:
    one = only(**facts)
    assert (one.kind, one.level, one.sentence, one.since) == (kind, level, sentence, since)
    assert one.command.startswith("python manage.py ")


def test_verdict__its_cases__name_every_kind() -> None:
    assert {case[0] for case in CASES} == set(Kind)


@pytest.mark.parametrize(
    "facts",
    [
        {"queue": WAITING, "import_runs": [run(14, 13)]},
        # It works: that takes its time.
        {"queue": WAITING, "import_runs": [run(40, connected=True)]},
        # With events, no run begins before there is something.
        {"queue": QueueStatus(Depth(5, 0, 0), 30.0), "import_runs": [run(50, 49)]},
        {"workers": [Worker(1, ago(40), (), 9, active_at=ago(14))]},
        {"queue": QueueStatus(Depth(5, 0, 0), 29 * 60.0)},
        {"ended_runs": [EndedRun("r1", WYOMING, ago(29))]},
        {"import_runs": [run(2, 1), run(70, error="old")]},
        {"import_runs": [run(2, 1), run(3, 2, error="mended meanwhile")]},
        {"import_runs": [run(2, 1), run(61)]},
        {"receivers": [ChangeReceiver(name="crm", failing_since=ago(29), last_error="503")]},
        {"queue": QueueStatus(problem="not set"), "is_expected": False},
        {"lags": [lag(3599), lag(None)]},
        {"open_runs": [OpenRun("r1", WYOMING, ago(119))]},
    ],
)  # fmt: skip
def test_verdict__not_yet_or_no_more__finds_nothing(facts: dict[str, Any]) -> None:
    assert judged(**facts).findings == []


def kinds(findings: Sequence[Finding]) -> list[str]:
    return [one.kind.value for one in findings]


def test_verdict__several__worst_first_and_one_jurisdiction_has_its_own() -> None:
    found = judged(
        queue=WAITING,
        import_runs=[],
        failures=[
            Failures(WYOMING, 5, ago(900)),
            Failures(OHIO, 50, ago(50), Burst(50, ago(50), 60)),
        ],
        pauses=[Pause(jurisdiction_id=OHIO, by="ada", since=ago(9))],
    )
    assert kinds(found.findings) == ["nobody-imports", "failing", "paused", "failed-files"]
    assert found.level == Level.BAD
    assert found.sentence.endswith("no import run has ever begun (and 3 more)")
    assert kinds(found.of(WYOMING).findings) == ["nobody-imports", "failed-files"]
    assert judged(failures=[Failures(OHIO, 5, ago(900))]).of(WYOMING).sentence == (
        "Importing normally"
    )


def test_verdict__files_of_no_jurisdiction__concern_no_other_and_no_command_retries_them() -> None:
    found = judged(failures=[Failures("", 1, ago(50), Burst(1, ago(50), 1))])
    [one] = found.findings
    assert (one.command, one.page) == ("", "jurisdiction/#failures")
    assert found.of(WYOMING).findings == []
    assert found.of("").findings == [one]
    paused = judged(pauses=[Pause(by="ada", since=ago(9))])
    assert paused.of(WYOMING).findings and paused.of("").findings
    assert [each.as_dict()["findings"][0]["jurisdiction_id"] for each in (found, paused)] == [
        "",
        None,
    ]


def test_verdict__scrape_of_what_is_paused__does_not_stall() -> None:
    stalled = [OpenRun("r1", WYOMING, ago(180)), OpenRun("r2", OHIO, ago(180))]
    pauses = [Pause(jurisdiction_id=WYOMING, by="ada", since=ago(9))]
    found = judged(open_runs=stalled, pauses=pauses)
    assert kinds(found.of(WYOMING).findings) == ["paused"]
    assert kinds(found.of(OHIO).findings) == ["scrape-stalled"]


def test_verdict__any_share_that_fails_is_too_much__bad_however_many_were_tried() -> None:
    failing = [Failures(WYOMING, 10, ago(50), Burst(10, ago(50), 100_000, True))]
    facts = replace(WELL, failures=failing)
    assert judge(facts, LIMITS).level == Level.LOOK
    assert judge(facts, Limits.of(load({"REALTIME_FAILING_SHARE": "0"}))).level == Level.BAD


def test_verdict__imports_of_once_a_night__are_nothing_to_look_at_if_the_settings_say_so() -> None:
    nightly = replace(WELL, import_runs=[run(600, 590)])
    assert kinds(judge(nightly, LIMITS).findings) == ["nobody-imports"]
    settings = {"REALTIME_SILENT_MINUTES": "1500", "REALTIME_LAG_MINUTES": "1500"}
    assert judge(replace(nightly, lags=[lag(80_000)]), Limits.of(load(settings))).findings == []


def test_late__for_a_monitor__is_what_waits_and_not_what_failed() -> None:
    found = judged(
        queue=QueueStatus(Depth(5, 0, 0), 40 * 60.0),
        ended_runs=[EndedRun("r1", WYOMING, ago(35))],
        failures=[Failures(OHIO, 50, ago(50), Burst(50, ago(50), 60))],
        pauses=[Pause(by="ada", since=ago(9))],
    )
    assert found.late == [
        "the oldest message has waited for 40 min",
        "run r1 of Wyoming ended 35 min ago and is not final",
    ]
    assert judge(without_database("no route"), LIMITS).late
    assert judge(replace(WELL, queue=WAITING), Limits.of(load({}), 1)).late == [
        "5 messages wait, and no message was received for 5 min"
    ]
