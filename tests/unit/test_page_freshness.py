"""What the word for the state of a jurisdiction's data means."""

from dataclasses import replace
from typing import Any

import pytest

from realtime.backends.sqs import Depth
from realtime.domain.config import load
from realtime.models import ImportRun, Pause
from realtime.monitoring.status.lag import Lag, Spread
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.monitoring.status.received import Received
from realtime.monitoring.verdict import facts as verdict_facts
from realtime.monitoring.verdict.facts import Burst, EndedRun, Failures, OpenRun
from realtime.monitoring.verdict.judgement import Limits, judge
from realtime.page.freshness import Facts, Freshness, Latest, latest
from tests.ledger_rows import NOW, OHIO, WYOMING, ago


def hour(p95: float | None, hours: int = 1) -> Lag:
    """An hour in which files came in; None: none of them was measured."""
    at = ago(hours=hours).replace(minute=0, second=0)
    measured = 0 if p95 is None else 9
    return Lag(WYOMING, "", at, 9, 9 - measured, 0, 0, measured, Spread(p95, p95, p95))


LIMITS = Limits.of(load({}))
FINE = Facts(ago(minutes=1), [hour(60)], [])
PAUSE = Pause(jurisdiction_id=WYOMING, by="ada", since=ago(hours=1))
SOME_FAILED = Failures(WYOMING, 1, ago(days=20))
MANY_FAILED = Failures(WYOMING, 20, ago(days=20), Burst(20, ago(minutes=9), 30))
STALLED = OpenRun("r1", WYOMING, ago(hours=3))
UNFINISHED = EndedRun("r1", WYOMING, ago(hours=2), "3 of its 9 files are missing")
EMPTY, WAITING = QueueStatus(Depth(0, 0, 0)), QueueStatus(Depth(5, 0, 0))
IMPORTED = ImportRun(
    way="queue", began_at=ago(minutes=2), started_at=ago(minutes=2), ended_at=ago(minutes=1)
)
NOBODY = {"queue": WAITING, "import_runs": []}


def state(verdict: dict[str, Any], **data: Any) -> Latest:
    """The state of Wyoming when the verdict is made of these facts."""
    well = verdict_facts.Facts(
        NOW, queue=EMPTY, received=Received(ago(minutes=5), 20.0), import_runs=[IMPORTED]
    )
    found = judge(replace(well, **verdict), LIMITS)
    return latest(replace(FINE, findings=found.of(WYOMING).findings, **data), LIMITS, NOW)


@pytest.mark.parametrize(
    ("verdict", "expected", "why"),
    [
        ({"failures": [MANY_FAILED]}, Freshness.FAILING, "20 of 30 files failed in the last hour"),
        ({"failures": [SOME_FAILED]}, Freshness.FAILED, "1 failed file needs attention"),
        ({"failures": [replace(SOME_FAILED, lately=Burst(1, ago(minutes=9), 30))]},
         Freshness.FAILED, "1 of 30 files failed in the last hour"),
        ({"lags": [hour(3601)]}, Freshness.BEHIND, "p95 lag 60 min"),
        ({"open_runs": [STALLED]}, Freshness.STALLED,
         "its scrape is open, and nothing imported for 3.0 h"),
        ({"pauses": [PAUSE]}, Freshness.PAUSED, "by ada"),
        ({"pauses": [Pause(by="ada", since=ago(hours=1))]}, Freshness.PAUSED, "by ada"),
        ({"ended_runs": [UNFINISHED]}, Freshness.UNFINISHED, "3 of its 9 files are missing"),
        (NOBODY, Freshness.WAITING,
         "Nobody imports: 5 messages wait, and no import run has ever begun"),
    ],
)  # fmt: skip
def test_state__verdict_finds_something__is_the_word_for_it(
    verdict: dict[str, Any], expected: Freshness, why: str
) -> None:
    found = state(verdict)
    assert (found.freshness, found.why) == (expected, why)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, Freshness.FRESH),
        ({"hours": [hour(601)]}, Freshness.SLOW),
        ({"hours": [hour(9999, 9), hour(60)]}, Freshness.FRESH),
        # 1,919 files seconds ago, all scraped days before.
        ({"hours": [hour(None)]}, Freshness.BACKFILL),
        ({"hours": []}, Freshness.SAME),
        ({"hours": [], "imported_at": ago(hours=4)}, Freshness.QUIET),
        ({"hours": [hour(60, 9)], "imported_at": ago(hours=9)}, Freshness.QUIET),
        ({"hours": [], "imported_at": None}, Freshness.QUIET),
    ],
)
def test_state__nothing_is_wrong__is_the_word_for_its_lag(
    data: dict[str, Any], expected: Freshness
) -> None:
    # What others have, and what only needs a look when nothing waits, is not its own.
    others = {"failures": [Failures(OHIO, 9, ago(days=2))], "import_runs": []}
    found = state(others, **data)
    assert found.freshness == expected
    assert bool(found.why) == (expected != Freshness.QUIET)


def test_state__several_are_true__the_worst_is_shown() -> None:
    wrong: dict[str, Any] = {
        "failures": [SOME_FAILED],
        "ended_runs": [UNFINISHED],
        "pauses": [PAUSE],
        "lags": [hour(9999)],
        **NOBODY,
    }
    assert state(wrong | {"failures": [MANY_FAILED]}).freshness == Freshness.FAILING
    assert state(wrong).freshness == Freshness.BEHIND, "though one file failed weeks ago"
    wrong["lags"] = []
    assert state(wrong).freshness == Freshness.PAUSED
    wrong["pauses"] = []
    assert state(wrong | {"open_runs": [STALLED]}).freshness == Freshness.STALLED
    assert state(wrong).freshness == Freshness.UNFINISHED
    wrong["ended_runs"] = []
    assert state(wrong).freshness == Freshness.WAITING
