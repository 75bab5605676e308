"""When a monitor is told that imports are behind, and when it is not."""

import pytest

from realtime.backends.sqs import Depth
from realtime.domain.config import load
from realtime.models import Closed, Outcome
from realtime.monitoring.status.queue_depth import QueueStatus, of_root
from realtime.monitoring.status.unannounced import UNKNOWN, Unannounced
from realtime.monitoring.verdict.facts import gather
from realtime.monitoring.verdict.judgement import Limits, judge
from tests.ledger_rows import before_now, file, run

pytestmark = pytest.mark.usefixtures("database")

EMPTY = QueueStatus(Depth(0, 0, 0))
WAITING = QueueStatus(Depth(5, 0, 0))


def said(
    queue: QueueStatus, minutes: int = 15, expected: bool = True, root: Unannounced = UNKNOWN
) -> list[str]:
    url = "https://sqs.us-east-1.amazonaws.com/1/queue" if expected else ""
    config = load({"SQS_QUEUE_URL": url})
    return judge(gather(config, queue, root), Limits.of(config, minutes)).late


def test_behind__nothing_waits__not_behind() -> None:
    assert said(EMPTY) == []


def test_behind__oldest_message__as_cloudwatch_says() -> None:
    waiting = QueueStatus(Depth(5, 0, 0), oldest_seconds=1200)
    assert said(waiting) == ["the oldest message has waited for 20 min"]
    assert said(waiting, minutes=30) == []


def test_behind__messages_received_lately__as_the_ledger_says() -> None:
    file(before_now(minutes=40), to_receive=35 * 60)
    in_flight = QueueStatus(Depth(0, 5, 0))
    assert said(WAITING) == said(in_flight) == ["messages have waited for 35 min"]
    assert said(WAITING, minutes=60) == []
    assert said(EMPTY) == [], "what has waited does so no more"


def test_behind__messages_visible_and_none_received__behind() -> None:
    assert said(WAITING) == ["5 messages wait, and no message was ever received"]
    file(before_now(hours=2))
    (one,) = said(WAITING)
    assert one == "5 messages wait, and no message was received for 2.0 h"
    assert said(WAITING, minutes=200) == []
    assert said(EMPTY) == []
    assert said(QueueStatus(Depth(5, 0, 0), oldest_seconds=30)) == [], "CloudWatch knows better"


def test_behind__queue_that_cannot_be_asked__is_where_there_is_one() -> None:
    unknown = QueueStatus(problem="SQS cannot be reached")
    assert said(unknown) == ["the state of the queue is unknown: SQS cannot be reached"]
    assert said(QueueStatus(problem="SQS_QUEUE_URL is not set"), expected=False) == []


def test_behind__file_in_the_root_without_an_outcome__with_a_queue_or_without() -> None:
    lost = Unannounced(2, oldest_seconds=1200.0, is_complete=True)
    for queue in (EMPTY, of_root(lost)):
        assert said(queue, root=lost) == ["2 files wait in the store's root, the oldest for 20 min"]
        assert said(queue, 30, root=lost) == []
    unknown = of_root(Unannounced(problem="no answer"))
    assert said(unknown) == ["the state of the store's root is unknown: no answer"]


@pytest.mark.parametrize("waits_for", ["files", "parked", "nothing"])
def test_behind__run_that_ended_and_is_not_final__whatever_it_waits_for(waits_for: str) -> None:
    bills = 2 if waits_for == "files" else 1
    ended = run(before_now(hours=3), before_now(minutes=30), objects_sent={"bill": bills})
    parked = Outcome.DEFERRED if waits_for == "parked" else Outcome.INSERTED
    file(before_now(hours=2), parked, run_id=ended.run_id)
    (one,) = said(EMPTY)
    assert one.startswith(f"run {ended.run_id} of Wyoming ended 30 min ago")
    assert said(EMPTY, minutes=60) == []


def test_behind__open_runs_parked_files_and_failures__not_behind() -> None:
    going_on = run(before_now(hours=30))
    file(before_now(hours=9), Outcome.DEFERRED, run_id=going_on.run_id)
    file(before_now(hours=9), Outcome.DEFERRED)
    file(before_now(hours=9), Outcome.FAILED, reason="invalid")
    run(before_now(hours=9), before_now(hours=8), finalized_at=before_now(hours=7))
    for bills in (1, 3):
        closed = run(
            before_now(hours=9),
            before_now(hours=8),
            closed_at=before_now(hours=7),
            closed=Closed.INCOMPLETE,
            objects_sent={"bill": bills},
        )
        file(before_now(hours=6), run_id=closed.run_id)  # came after all
    assert said(EMPTY) == []
