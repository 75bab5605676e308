"""What the pages of a bill and of a scrape run say, from the ledger, the change log and core."""

import pytest
from openstates.data.models import Bill, VoteEvent

from realtime.finalization.forecast import Losses, losses
from realtime.ledger.complete_runs import Step
from realtime.ledger.files import database_now
from realtime.models import File
from realtime.monitoring import bill_record
from realtime.monitoring.bill_record import BillRecord
from realtime.monitoring.status.run_record import run_record
from realtime.monitoring.status.run_states import State
from tests import scrapes
from tests.ledger_rows import WYOMING
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def record_of(identifier: str) -> BillRecord:
    record = bill_record.of_core_id(Bill.objects.get(identifier=identifier).id)
    assert record is not None
    return record


def test_bill__scraped_twice_with_votes__each_file_says_what_it_changed(mail: Mail) -> None:
    bill = scrapes.bill("HB 1", actions=2)
    tied = scrapes.vote_event(bill, "passage", action="reading 1")
    again = scrapes.bill("HB 1", "Of ferries", actions=3)
    for files in ((tied,), (bill, scrapes.bill("HB 2")), (again,)):
        mail.publish(*files)
        mail.run()
    record = record_of("HB 1")
    # In scrape order, not in that of the imports.
    assert [(one.label, one.file.outcome, len(one.changes)) for one in record.files] == [
        ("HB 1 · Of ferries", "inserted", 1),
        ("Vote on HB 1 · passage", "inserted", 1),
        ("HB 1 · Of ferries", "updated", 1),
    ]
    [first], [_], [last] = (one.changes for one in record.files)
    assert first[0] == "inserted" and "actions 2" in first[1]
    assert last[0] == "updated" and last[1].startswith("title, ") and "actions 2 -> 3" in last[1]
    [vote] = record.votes
    assert vote.row.bill_action.description == "reading 1"
    assert vote.file == record.files[1].file
    assert vote.unmatched == 2, "nobody is called so"
    assert (record.stuck, record.deleted, record.more) == ([], [], False)


def test_bill__a_vote_failed_and_one_is_parked__says_so_on_the_bill_that_they_name(
    mail: Mail,
) -> None:
    bill = scrapes.bill("HB 1")
    failed = {**scrapes.vote_event(bill, "failed"), "motion_text": None}
    by_name = {**scrapes.vote_event("HB 1", "by name"), "motion_text": None}
    other = {**scrapes.vote_event("HB 2", "of another bill"), "motion_text": None}
    mail.publish(bill, scrapes.bill("HB 2"))
    mail.run()
    keys = mail.publish(failed, by_name, other)
    mail.run()
    record = record_of("HB 1")
    assert {one.file.key for one in record.stuck} == set(keys[:2])
    assert all(one.file.outcome == "failed" and one.file.reason for one in record.stuck)


def test_bill__that_core_does_not_have__known_from_the_vote_that_waits_for_it(mail: Mail) -> None:
    [key] = mail.publish(scrapes.vote_event("HB 9"))
    mail.run()
    record = bill_record.of_name(WYOMING, scrapes.SESSION, "HB 9")
    assert record is not None and record.row is None
    assert [(one.file.key, one.label) for one in record.stuck] == [(key, "Vote on HB 9")]
    assert bill_record.of_name(WYOMING, "1999", "HB 9") is None
    mail.publish(scrapes.bill("HB 9", "Of late bills"))
    mail.run()
    there = bill_record.of_name(WYOMING, scrapes.SESSION, "HB 9")
    assert there is not None and there.found.title == "Of late bills"
    assert not there.stuck


def test_run__finalized__its_losses_were_foretold_and_are_on_both_pages(mail: Mail) -> None:
    first = Run(mail)
    bill = scrapes.bill("HB 1")
    first.publish(
        bill, scrapes.vote_event(bill, "old"), scrapes.vote_event(bill, "kept"),
        scrapes.event("Gone"), scrapes.event("Stays"),
    )  # fmt: skip
    first.end()
    mail.run()
    second = Run(mail)
    bill = scrapes.bill("HB 1")
    late = scrapes.vote_event("HB 3")
    second.publish(bill, scrapes.vote_event(bill, "kept"), scrapes.event("Stays"), late)
    mail.run()
    old = VoteEvent.objects.get(motion_text="old")
    now = database_now()

    [(_, lost)] = losses([Step(second.row)])
    assert (lost.vote_events, len(lost.events)) == ([old.id], 1)
    open_one = run_record(second.row.run_id, now)
    assert open_one is not None and open_one.state.state == State.OPEN
    assert [(one.key, one.outcome) for one in open_one.stuck] == [(mail.key(late), "deferred")]
    assert {one.object_type: one.sent for one in open_one.types} == dict.fromkeys(
        ("bill", "event", "vote_event")
    )
    assert VoteEvent.objects.count() == 2, "it only looked"

    mail.publish(scrapes.bill("HB 3"))
    mail.run()
    second.end()
    mail.run()
    final = run_record(second.row.run_id, now)
    assert final is not None and final.state.state == State.FINAL
    assert list(final.losses) == [("deleted", "vote_event", 1), ("marked", "event", 1)]
    assert old.id in {change.core_id for change in final.lost}
    assert all(moment.began for moment in final.timeline)
    votes = {one.object_type: one for one in final.types}["vote_event"]
    assert (votes.sent, votes.received) == (2, 2)

    [deleted] = record_of("HB 1").deleted
    assert deleted.change.run_id == second.row.run_id
    assert deleted.file == File.objects.get(core_id=old.id)
    assert deleted.change.before["votes"] == 2


def test_run__without_events__foretells_no_loss_of_any(mail: Mail) -> None:
    mail.publish(scrapes.event("Stays"))
    scrape = Run(mail)
    scrape.publish(scrapes.bill("HB 1"))
    mail.run()
    assert losses([Step(scrape.row)]) == [(Step(scrape.row), Losses([], [], []))]
