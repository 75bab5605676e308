"""What the ledger forgets, and what it must remember."""

import uuid
from typing import Any

import pytest
from openstates.data.models import Event, VoteEvent

from realtime.ledger import actions as operator_actions
from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.models import File, OperatorAction, RememberedAction, ScrapeRun, Verb
from tests import scrapes
from tests.scrape_runs import Run, command
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    return Mail(aws, database, REALTIME_ARCHIVE="later")


def test_prune_realtime__old_final_runs__forgotten_and_nothing_else(mail: Mail) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.bill())
    late = scrapes.event("Late")
    first.end()
    mail.run()
    second = Run(mail)
    second.publish(scrapes.event())
    second.end()
    mail.run()
    third = Run(mail)
    third.publish(scrapes.event("of an open run"))
    [parked] = mail.publish(scrapes.vote_event(scrapes.bill("HB 9")))
    [free] = mail.publish(scrapes.event("of no run"))
    mail.run()
    command(mail, "archive_realtime")
    kinds = ("files", "runs", "messages", "flags", "changes", "import_runs")
    assert command(mail, "prune_realtime") == {**dict.fromkeys(kinds, 0), "not_told": {}}
    [unarchived] = first.publish(scrapes.event("not archived"))
    mail.run()
    retention.prune(ledger_files.database_now())
    assert list(File.objects.filter(run_id=first.id).values_list("key", flat=True)) == [unarchived]
    assert first.row, "it has a file left"
    command(mail, "archive_realtime")
    retention.prune(ledger_files.database_now())
    keys = set(File.objects.values_list("key", flat=True))
    assert parked in keys
    assert free not in keys
    assert set(ScrapeRun.objects.values_list("run_id", flat=True)) == {
        uuid.UUID(second.id),
        uuid.UUID(third.id),
    }
    assert not File.objects.filter(run_id=first.id).exists()
    assert File.objects.filter(run_id=third.id).exists()
    mail.publish(late)
    mail.run()
    assert Event.objects.get(name="Late").deleted, "the newest final run tells stragglers from news"


def test_prune_realtime__newer_runs_closed__last_final_run_still_rejects_stragglers(
    mail: Mail,
) -> None:
    late = scrapes.event("Late")
    final, *closed = Run(mail), Run(mail), Run(mail)
    final.publish(scrapes.jurisdiction(), scrapes.event("A"))
    final.end()
    mail.run()
    for run in closed:
        broken = scrapes.bill()
        del broken["from_organization"]
        run.publish(scrapes.event("A"), broken)
        run.end()
        mail.run()
        assert run.row.closed == "failed-files"
    command(mail, "archive_realtime")
    retention.prune(ledger_files.database_now())
    left = {str(run_id) for run_id in ScrapeRun.objects.values_list("run_id", flat=True)}
    assert left == {final.id, closed[-1].id}
    mail.publish(late)
    mail.run()
    assert Event.objects.get(name="Late").deleted


def test_prune__remembered_actions__only_of_vote_events_without_a_file_kept(mail: Mail) -> None:
    bill = scrapes.bill()
    mail.publish(scrapes.jurisdiction(), bill)
    mail.publish(scrapes.vote_event(bill, "core's", "reading 1"), scrapes.vote_event(bill, "ours"))
    mail.run()
    cores, ours = (VoteEvent.objects.get(motion_text=motion) for motion in ("core's", "ours"))
    # As if core had imported it.
    File.objects.filter(core_id=cores.id).delete()
    now = ledger_files.database_now()
    for vote in (cores.id, ours.id, "ocd-vote/deleted-by-somebody"):
        RememberedAction.objects.create(
            vote_event_id=vote, bill_id=cores.bill_id, action="reading 1", remembered_at=now
        )
    # The file goes in the same call as what is remembered of its vote event.
    File.objects.update(archived_at=now)
    retention.prune(now)
    assert not File.objects.exists()
    assert [one.vote_event_id for one in RememberedAction.objects.all()] == [cores.id]


def bill_with(*actions: str, title: str = "Of bridges") -> dict[str, Any]:
    bill = scrapes.bill("HB 1", title, actions=len(actions))
    for action, description in zip(bill["actions"], actions, strict=True):
        action |= {"description": description, "date": "2031-01-11"}
    return bill


def prune_all(mail: Mail) -> None:
    """Forget all files: none is of a run."""
    command(mail, "archive_realtime")
    retention.prune(ledger_files.database_now())
    assert not File.objects.exists()


def test_prune__vote_names_an_action_that_comes_later__linked_when_it_comes(mail: Mail) -> None:
    bill = bill_with("introduced")
    mail.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, action="passed"))
    mail.run()
    assert VoteEvent.objects.get().bill_action is None
    prune_all(mail)
    mail.publish(bill_with("introduced", "passed"))
    mail.run()
    assert VoteEvent.objects.get().bill_action.description == "passed"


def test_prune__two_votes_name_one_action__first_in_scrape_order_keeps_it(mail: Mail) -> None:
    bill = bill_with("introduced", "passed")
    # The second has the smaller id of core's in half of all runs.
    votes = [scrapes.vote_event(bill, motion, "passed") for motion in ("first", "second")]
    mail.publish(scrapes.jurisdiction(), bill, *votes)
    mail.run()
    prune_all(mail)
    VoteEvent.objects.filter(motion_text="first").update(bill_action=None)
    mail.publish(bill_with("introduced", "passed", title="changed"))
    assert mail.run().outcomes["updated"] == 1
    assert VoteEvent.objects.get(bill_action__isnull=False).motion_text == "first"


def test_prune__newer_run_named_no_action__older_runs_action_is_not_remembered(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.publish(scrapes.jurisdiction())
    for action in ("passed", None):
        run = Run(mail)
        bill = bill_with("passed")
        run.publish(bill, scrapes.vote_event(bill, action=action))
        run.end()
        mail.run()
    assert VoteEvent.objects.get().bill_action is None
    newest = Run(mail)
    newest.publish(scrapes.event())
    newest.end()
    mail.run()
    command(mail, "archive_realtime")
    monkeypatch.setattr(retention, "BATCH", 1)
    retention.prune(ledger_files.database_now())
    assert not File.objects.filter(object_type="vote_event").exists()
    mail.publish(bill_with("passed", title="changed"))
    assert mail.run().outcomes["updated"] == 1
    assert VoteEvent.objects.get().bill_action is None


def test_prune__changed_bill_without_its_votes__they_keep_their_actions(mail: Mail) -> None:
    bill = bill_with("passed")
    for files in ([scrapes.jurisdiction(), bill, scrapes.vote_event(bill, action="passed")],
                  [scrapes.event()]):  # fmt: skip
        run = Run(mail)
        run.publish(*files)
        run.end()
        mail.run()
    command(mail, "archive_realtime")
    retention.prune(ledger_files.database_now())
    assert not File.objects.filter(object_type="vote_event").exists()
    for actions in (["introduced"], ["introduced", "passed"]):
        run = Run(mail)
        run.publish(bill_with(*actions))
        run.end()
        assert mail.run().outcomes["updated"] == 1
    assert VoteEvent.objects.get().bill_action.description == "passed"


def test_prune__old_actions_of_operators__forgotten_with_their_items(database: str) -> None:
    old = operator_actions.propose(Verb.RETRY, "ada", "2 files", [1, 2])
    before = ledger_files.database_now()
    young = operator_actions.propose(Verb.RETRY, "ada", "1 file", [1])
    retention.prune(before)
    assert [action.pk for action in OperatorAction.objects.all()] == [young.pk]
    assert operator_actions.left(young, 0, 10) == [1]
    assert operator_actions.left(old, 0, 10) == []
