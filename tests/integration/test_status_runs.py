"""The state of scrape runs, and what is in the way of those that are not final."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from realtime.ledger import complete_runs
from realtime.models import Closed, Outcome, ScrapeRun
from realtime.monitoring.status.run_states import (
    RunState,
    State,
    listed,
    open_states,
    recent_states,
)
from tests.ledger_rows import NOW, OHIO, WYOMING, ago, file, run

pytestmark = pytest.mark.usefixtures("database")


def ended(bills: int, **more: Any) -> ScrapeRun:
    fields = {"started_at": ago(hours=3), "finished_at": ago(hours=1), **more}
    return run(objects_sent={"bill": bills, "event": 1}, **fields)


def bring(to: ScrapeRun, bills: int, event: bool = True, **more: Any) -> None:
    for _ in range(bills):
        file(ago(hours=2), run_id=to.run_id, jurisdiction_id=to.jurisdiction_id, **more)
    if event:
        whose = to.jurisdiction_id
        file(ago(hours=2), object_type="event", run_id=to.run_id, jurisdiction_id=whose)


def only() -> RunState:
    (state,) = open_states(NOW)
    return state


def test_run__that_goes_on__is_open_and_says_what_came() -> None:
    going_on = run(ago(hours=3))
    bring(going_on, 1)
    file(ago(hours=2, minutes=30), run_id=going_on.run_id)
    state = only()
    assert (state.state, state.why, dict(state.sent)) == (State.OPEN, "", {})
    assert state.came == {"bill": 2, "event": 1}
    assert state.newest == ago(hours=2) + timedelta(seconds=13)


def test_run__whose_files_have_not_all_come__is_blocked_by_them() -> None:
    lacking = ended(3)
    bring(lacking, 1, event=False)
    lacking.objects_sent["vote_event"] = 1
    lacking.save()
    for _ in range(2):  # one of them twice
        file(ago(hours=2), object_type="vote_event", run_id=lacking.run_id)
    state = only()
    assert state.state == State.BLOCKED
    assert state.missing == {"bill": 2, "event": 1}
    assert state.why == "2 bill files missing, 1 event file missing"


def test_run__with_parked_files__is_blocked_by_them() -> None:
    parked = ended(2)
    bring(parked, 1)
    file(ago(hours=2), Outcome.DEFERRED, run_id=parked.run_id)
    state = only()
    assert (state.state, state.parked, state.why) == (State.BLOCKED, 1, "1 file parked")


def test_run__behind_an_older_one_that_waits__is_blocked_by_it() -> None:
    older = ended(3, started_at=ago(hours=8))
    bring(older, 1)
    between = ended(3, started_at=ago(hours=6))
    bring(between, 1)
    newer = ended(1)
    bring(newer, 1)
    elsewhere = ended(1, jurisdiction_id=OHIO)
    bring(elsewhere, 1)
    states = {one.run.run_id: one for one in open_states(NOW)}
    assert states[newer.run_id].state == State.BLOCKED
    assert states[newer.run_id].older == older.run_id
    assert str(older.run_id) in states[newer.run_id].why
    assert states[between.run_id].older is None, "it lacks files of its own"
    assert states[elsewhere.run_id].state == State.COMPLETE
    assert {plan.run.run_id for plan in complete_runs.plans(NOW)} == {elsewhere.run_id}


def test_run__older_run_open_closed_or_past_its_wait__complete() -> None:
    unfinished = run(ago(hours=9))
    bring(unfinished, 1)
    late = ended(3, started_at=ago(hours=60), finished_at=ago(hours=50))
    bring(late, 1)
    # Closed by another run before it ended, and complete no more than then.
    bring(ended(3, started_at=ago(hours=7), closed_at=ago(hours=4), closed=Closed.UNFINISHED), 1)
    newest = ended(1)
    bring(newest, 1)
    states = {one.run.run_id: one.state for one in open_states(NOW)}
    assert states[newest.run_id] == State.COMPLETE
    assert complete_runs.plans(NOW) == [complete_runs.Plan(newest, (late, unfinished))]


def test_run__closed_for_failed_files_imported_since__finalized_unless_a_newer_one_is() -> None:
    over = {"finalized_at": ago(minutes=30), "closed_at": ago(minutes=30)}
    repaired = ended(1, closed=Closed.FAILED, **over)
    bring(repaired, 1)
    ended(1, started_at=ago(hours=2), jurisdiction_id=OHIO, **over)
    ended(1, started_at=ago(hours=4), **over)
    assert complete_runs.plans(NOW) == [complete_runs.Plan(repaired)]
    ended(1, started_at=ago(hours=2), **over)
    assert complete_runs.plans(NOW) == []


def test_run__one_file_uploaded_twice__still_lacks_another() -> None:
    lacking = ended(1)
    for version in ("1", "2"):
        file(ago(hours=2), run_id=lacking.run_id, key="wy/bill_1.json", version=version)
    assert complete_runs.plans(NOW) == []


def test_run__whose_finalization_broke__is_blocked_by_that() -> None:
    broken = ended(1, started_at=ago(hours=8), attempts=2)
    bring(broken, 1)
    bring(ended(1), 1)
    first, newer = open_states(NOW)
    assert (first.run, first.state, "2 times" in first.why) == (broken, State.BLOCKED, True)
    assert newer.state == State.COMPLETE, "it waits for what lacks files, and for nothing else"


def test_run__complete__says_how_far_finalizing_it_is_and_what_failed() -> None:
    failed = ended(4)
    bring(failed, 1)
    for reason in ("invalid", "invalid", "unresolved"):
        file(ago(hours=2), Outcome.FAILED, run_id=failed.run_id, reason=reason)
    state = only()
    assert (state.state, state.failed) == (State.COMPLETE, 2)
    assert state.why == "2 files failed, so nothing will be deleted"
    ScrapeRun.objects.update(step="bill")
    assert only().why == "being finalized: bill"


def test_run__that_is_over__is_final_or_closed_and_says_why() -> None:
    final = ended(1, finalized_at=ago(minutes=30))
    broken = ended(1, finalized_at=ago(minutes=20), closed_at=ago(minutes=20), closed=Closed.BROKEN)
    unfinished = run(ago(hours=4), closed_at=ago(minutes=10), closed=Closed.UNFINISHED)
    ended(1, started_at=ago(days=3), finalized_at=ago(days=2))
    assert open_states(NOW) == []
    states = {one.run: one for one in recent_states(ago(hours=24))}
    assert {state.run: state.state for state in states.values()} == {
        final: State.FINAL, broken: State.CLOSED, unfinished: State.CLOSED
    }  # fmt: skip
    assert states[unfinished].why == Closed.UNFINISHED.label
    assert recent_states(ago(hours=24), OHIO) == []


def test_run__closed_whose_files_came_after_all__is_complete_again() -> None:
    late = ended(1, closed_at=ago(minutes=30), closed=Closed.INCOMPLETE)
    assert open_states(NOW) == []
    bring(late, 1)
    assert only().state == State.COMPLETE


def test_latest__of_a_jurisdiction__in_whatever_state_newest_first() -> None:
    final = ended(1, started_at=ago(days=9), finalized_at=ago(days=8))
    going_on = run(ago(hours=1))
    run(ago(hours=1), jurisdiction_id=OHIO)
    assert [(one.run, one.state) for one in listed(NOW, WYOMING)[0]] == [
        (going_on, State.OPEN),
        (final, State.FINAL),
    ]


def test_files__that_claim_another_jurisdictions_run__leave_it_blocked() -> None:
    claimed = ended(1)
    bring(claimed, 0)
    file(ago(hours=2), run_id=claimed.run_id, jurisdiction_id=OHIO)
    assert only().state == State.BLOCKED
    assert uuid.UUID(str(only().run.run_id)) == claimed.run_id
