"""What becomes of a scrape run once it is complete, on PostgreSQL, S3 and SQS."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, count, repeat
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError
from django.db import connection
from openstates.data.models import Bill, Event, RelatedBill, RunPlan, VoteEvent

from realtime.backends.postgres import locks
from realtime.domain.config import BULK, CORE, LATER
from realtime.domain.errors import RetryLater
from realtime.domain.run_context import RunContext
from realtime.files.refetch import read_again
from realtime.finalization import state_machine
from realtime.finalization.finalize import finalize_anyway, finalize_complete
from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.ledger.complete_runs import steps_to
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.full_scrapes import full_person
from tests.races import refusing
from tests.scrape_runs import Run, command, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    return mail


# SQLSTATEs: of what passes, and of what does not.
DEADLOCK, TOO_LONG = "40P01", "22001"
CONGRESS = "ocd-jurisdiction/country:us/government"


def publish_for_congress(mail: Mail, name: str, **fields: Any) -> None:
    event = scrapes.event(name)
    event["jurisdiction"]["id"] = CONGRESS
    key = mail.put(event, f"us/event_{event['_id']}.json")
    mail.send(mail.message(key, jurisdiction_id=CONGRESS, **fields))


def stopping_after(mail: Mail, step: str) -> tuple[RunContext, Callable[..., None]]:
    """A context whose time is up once a finalization has done `step`. The finalization must report
    its progress to the function that comes with it."""
    done: list[str] = []

    def progress(step: str, counts: Mapping[str, int]) -> None:
        done.append(step)

    return context_of(mail, lambda: step in done), progress


def test_finalize__vote_events_and_events_not_scraped_again__deleted_and_marked(
    mail: Mail,
) -> None:
    first = Run(mail)
    bill, silent = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    first.publish(
        scrapes.jurisdiction(), bill, silent,
        scrapes.vote_event(bill, "old"), scrapes.vote_event(bill, "kept"),
        scrapes.vote_event(silent, "of a bill without votes later"),
        scrapes.event("Gone"), scrapes.event("Stays"),
    )  # fmt: skip
    first.end()
    assert mail.run().finalized == [first.id]
    assert first.row.finalized_at
    assert VoteEvent.objects.count() == 3

    second = Run(mail)
    bill = scrapes.bill("HB 1")
    second.publish(
        bill, scrapes.bill("HB 2"), scrapes.vote_event(bill, "kept"), scrapes.event("Stays")
    )
    mail.run()
    assert VoteEvent.objects.count() == 3, "nothing is deleted before the run is complete"
    second.end()
    mail.run()
    motions = set(VoteEvent.objects.values_list("motion_text", flat=True))
    assert motions == {"kept", "of a bill without votes later"}
    assert {e.name: e.deleted for e in Event.objects.all()} == {"Gone": True, "Stays": False}


def test_finalize__run_lacks_a_type__what_others_have_of_that_type_left_alone(mail: Mail) -> None:
    first = Run(mail)
    bill = scrapes.bill("HB 1")
    bill["related_bills"] = [
        {"identifier": "HB 9", "legislative_session": scrapes.SESSION,
         "relation_type": "companion"}
    ]  # fmt: skip
    first.publish(scrapes.jurisdiction(), bill, scrapes.event())
    publish_for_congress(mail, "theirs")
    first.end()
    mail.run()
    # As if core had imported it: no file of it tells the importers.
    session = Bill.objects.get().legislative_session
    Bill.objects.create(identifier="HB 9", title="", legislative_session=session)
    events = Run(mail)
    events.publish(scrapes.event())
    events.end()
    mail.run()
    assert RelatedBill.objects.get().related_bill is None
    bills = Run(mail)
    bills.publish(scrapes.bill("HB 2"))
    publish_for_congress(mail, "claims our run", run_id=bills.id)
    bills.end()
    mail.run()
    assert bills.row.finalized_at
    assert RelatedBill.objects.get().related_bill == Bill.objects.get(identifier="HB 9")
    assert not Event.objects.filter(deleted=True).exists()


def test_finalize__file_made_before_the_runs_start__seen_and_start_kept(mail: Mail) -> None:
    early, old = scrapes.event("Early"), scrapes.event("Old")
    mail.publish(scrapes.jurisdiction(), old)
    run = Run(mail)
    run.objects = {"event": 1}
    run.end()
    mail.run()
    run.publish(early)
    mail.run()
    assert run.row.finalized_at
    assert {e.name: e.deleted for e in Event.objects.all()} == {"Early": False, "Old": True}


def test_finalize__event_before_its_bill__agenda_linked(mail: Mail) -> None:
    run = Run(mail)
    event = scrapes.event(about="HB 1")
    entities = event["agenda"][0]["related_entities"]
    # Core compares only what the first of a list names.
    entities.insert(0, {"name": "Ada Plainsman", "entity_type": "person", "note": "sponsor"})
    run.publish(scrapes.jurisdiction(), event)
    mail.run()
    run.publish(scrapes.bill("HB 1"))
    run.end()
    mail.run()
    agenda = Event.objects.get().agenda.get()
    assert agenda.related_entities.get(entity_type="bill").bill == Bill.objects.get()


def test_finalize__run_plan__recorded_as_core_records_it(mail: Mail) -> None:
    run = Run(mail)
    # The second changes nothing, between the two that are inserted.
    for file in (scrapes.jurisdiction(), scrapes.bill(), scrapes.bill(), scrapes.bill("HB 2")):
        run.publish(file)
        mail.run()
    run.end()
    mail.run()
    plan = RunPlan.objects.get()
    assert plan.success
    assert plan.start_time == run.started_at
    scraper = plan.scrapers.get()
    assert (scraper.scraper, scraper.args) == ("bills", "session=2031 chamber=lower")
    counts = dict(scraper.scraped_objects.values_list("object_type", "count"))
    assert counts == {"bill": 3, "jurisdiction": 1}
    imported = plan.imported_objects.get(object_type="bill")
    assert (imported.insert_count, imported.update_count, imported.noop_count) == (2, 0, 1)
    files = File.objects.filter(object_type="bill").order_by("imported_at")
    times = files.values_list("imported_at", flat=True)
    assert (imported.start_time, imported.end_time) == (times[0], times.reverse()[0])


def test_finalize__file_missing_or_failed__deletes_nothing(mail: Mail) -> None:
    first = Run(mail)
    bill = scrapes.bill("HB 1")
    first.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "gone"))
    first.publish(scrapes.event("Gone"))
    first.end()
    mail.run()
    late = [scrapes.vote_event(bill, "late"), scrapes.event("Late")]
    second = Run(mail)
    broken = scrapes.bill("HB 2")
    del broken["from_organization"]
    second.publish(scrapes.event("Stays"), broken, scrapes.vote_event("HB 1", "stays"))
    second.end()
    mail.run()
    assert second.row.closed == "failed-files"
    mail.publish(*late)
    mail.run()
    assert VoteEvent.objects.count() == 3, "nor does it supersede what was scraped before it"
    assert not Event.objects.filter(deleted=True).exists()


def test_finalize__straggler_of_an_older_run__does_not_undo_a_final_one(mail: Mail) -> None:
    first = Run(mail)
    old_bill, silent = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    late = [
        scrapes.vote_event(old_bill, "late"),
        scrapes.vote_event(silent, "late, but nobody else's"),
        scrapes.event("Late"),
    ]
    first.publish(scrapes.jurisdiction(), old_bill, silent)
    mail.run()
    second = Run(mail)
    bill = scrapes.bill()
    second.publish(bill, scrapes.vote_event(bill, "new"), scrapes.event("New"))
    second.end()
    mail.run()
    assert (first.row.closed, first.row.finalized_at) == ("unfinished", None)
    first.publish(*late)
    first.end()
    report = mail.run()
    assert report.outcomes["superseded"] == 1
    motions = set(VoteEvent.objects.values_list("motion_text", flat=True))
    assert motions == {"new", "late, but nobody else's"}
    assert {e.name: e.deleted for e in Event.objects.all()} == {"New": False, "Late": True}
    assert first.row.finalized_at
    assert first.row.closed == "", "complete after all, it deletes what it has not seen"


def test_finalize__older_run_ended_without_its_files__waited_for_at_most_a_day(
    mail: Mail,
) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Old"))
    first.end(event=1)
    mail.run()
    second = Run(mail)
    second.publish(scrapes.event("New"))
    second.end()
    assert mail.run().finalized == []
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    ScrapeRun.objects.filter(run_id=first.id).update(received_at=long_ago)
    assert mail.run().finalized == [first.id, second.id]
    assert first.row.closed == "incomplete"
    assert RunPlan.objects.count() == 1, "none of a run of which files are missing"
    assert Event.objects.get(deleted=True).name == "Old"


@pytest.mark.parametrize(
    ("keys", "arriving", "left", "before_the_end"),
    [
        # The identifier of `b` finds the row of `a`.
        ({"a": "k", "b": ""}, "ba", "b", "ab"),
        # So it does here, and takes its key away, so that `c` makes a row of its own; at once,
        # since it has a key that `b` lacks.
        ({"a": "k", "b": "", "c": "k"}, "acb", "bc", "bc"),
        # `c` may be either of the others, whichever were there when it came.
        ({"a": "k", "b": "l", "c": ""}, "acb", "ac", "bc"),
    ],
    ids=["one row", "two rows", "the later"],
)
def test_finalize__key_and_identifier_votes_out_of_order__as_scrape_order_has_them(
    mail: Mail, keys: dict[str, str], arriving: str, left: str, before_the_end: str
) -> None:
    run = Run(mail)
    bill = scrapes.bill()
    run.publish(scrapes.jurisdiction(), bill)
    votes = {
        motion: {**scrapes.vote_event(bill, motion), "identifier": "7", "dedupe_key": key or None}
        for motion, key in keys.items()
    }
    for motion in arriving:
        run.publish(votes[motion])
        mail.run()
    motions = VoteEvent.objects.order_by("motion_text").values_list("motion_text", flat=True)
    assert "".join(motions.all()) == before_the_end
    run.end()
    mail.run()
    assert "".join(motions.all()) == left
    assert not File.objects.filter(outcome="failed").exists()


def test_finalize__misplaced_votes_one_of_which_is_gone__rows_stay(
    mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    mail.config = replace(mail.config, archive=LATER)
    run = Run(mail)
    bill = scrapes.bill()
    with_key, without = scrapes.vote_event(bill, "a"), scrapes.vote_event(bill, "b")
    with_key |= {"identifier": "7", "dedupe_key": "k"}
    without |= {"identifier": "7"}
    run.publish(scrapes.jurisdiction(), bill, without)
    mail.run()
    [gone] = run.publish(with_key)
    run.end()
    import_only(mail)
    mail.aws.s3.delete_object(Bucket=mail.aws.bucket, Key=gone)
    [told] = command(mail, "finalize_realtime", "--full")["runs"]
    assert sorted(VoteEvent.objects.values_list("motion_text", flat=True)) == ["a", "b"]
    assert (told["replayed"], told["changed"]) == (3, 0), "jurisdiction, bill and the vote left"
    assert "cannot be imported again" not in caplog.text


def test_finalize__misplaced_vote_scraped_again_by_no_run__what_that_said_stays(
    mail: Mail,
) -> None:
    run = Run(mail)
    bill = scrapes.bill()
    with_key, without = scrapes.vote_event(bill, "a"), scrapes.vote_event(bill, "b")
    with_key |= {"identifier": "7", "dedupe_key": "k"}
    without |= {"identifier": "7"}
    run.publish(scrapes.jurisdiction(), bill, without)
    mail.run()
    run.publish(with_key)
    mail.publish({**scrapes.vote_event(bill, "b"), "result": "fail"})
    mail.run()
    run.end()
    mail.run()
    assert run.row.closed == ""
    assert VoteEvent.objects.filter(motion_text="b", result="fail").exists()


def test_finalize__event_that_two_rows_matched__applied_once_only_one_is_left(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction())
    mail.publish(scrapes.event())
    mail.run()
    double = Event.objects.get()
    double.pk = f"ocd-event/{scrapes.fresh_id()}"
    double.save(force_insert=True)
    [key] = run.publish(scrapes.event())
    mail.run()
    assert File.objects.get(key=key).reason == "ambiguous"
    double.delete()
    run.end()
    mail.run()
    assert run.row.closed == ""
    assert (File.objects.get(key=key).outcome, File.objects.get(key=key).reason) == (
        "unchanged",
        "",
    )


def test_finalize__event_with_a_key_after_one_without__one_row(mail: Mail) -> None:
    run = Run(mail)
    with_key, without = {**scrapes.event(), "dedupe_key": "k"}, scrapes.event()
    run.publish(scrapes.jurisdiction(), without)
    mail.run()
    run.publish(with_key)
    mail.run()
    assert Event.objects.count() == 2
    run.end()
    mail.run()
    assert Event.objects.count() == 1, "the later scrape would have found it by its name"


def test_finalize__agenda_names_a_vote_with_a_stale_double__linked_to_the_new_one(
    mail: Mail,
) -> None:
    event = scrapes.event(about="7")
    [entity] = event["agenda"][0]["related_entities"]
    entity |= {"entity_type": "vote_event", "vote_event_id": entity.pop("bill_id")}
    mail.publish(scrapes.jurisdiction())
    for number, files in enumerate(([], [event])):
        run = Run(mail)
        bill = scrapes.bill()
        vote = {**scrapes.vote_event(bill), "identifier": "7", "dedupe_key": f"key {number}"}
        run.publish(bill, vote, *files)
        run.end()
        mail.run()
    linked = Event.objects.get().agenda.get().related_entities.get()
    assert linked.vote_event == VoteEvent.objects.get()


def test_finalize__second_run_ties_an_action_to_another_vote__that_one_has_it(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    for named in ("reading 1", None), (None, "reading 1"):
        run = Run(mail)
        bill = scrapes.bill(actions=2)
        # The day of the votes.
        bill["actions"][1]["date"] = bill["actions"][0]["date"]
        votes = [
            scrapes.vote_event(bill, motion, action)
            for motion, action in zip("ab", named, strict=True)
        ]
        run.publish(bill, *votes)
        run.end()
        mail.run()
        actions = VoteEvent.objects.values_list("motion_text", "bill_action__description")
        assert dict(actions) == dict(zip("ab", named, strict=True))
    mail.publish(scrapes.vote_event("HB 1", "c", "reading 2"))
    mail.run()
    newest = VoteEvent.objects.get(motion_text="c")
    assert newest.bill_action.description == "reading 2", "scraped since, so it counts too"


def test_finalize_realtime__run_with_a_failed_file__forced(mail: Mail) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"), scrapes.event("Long gone"))
    first.end()
    mail.run()
    Event.objects.filter(name="Long gone").update(deleted=True)
    second = Run(mail)
    broken = scrapes.bill()
    del broken["from_organization"]
    second.publish(scrapes.event("Stays"), broken)
    mail.run()
    with pytest.raises(CommandError, match="has not said that it ended"):
        command(mail, "finalize_realtime", "--run", second.id)
    second.end()
    mail.run()
    [told] = command(mail, "finalize_realtime", "--run", second.id, "--force")["runs"]
    assert (told["run_id"], told["closed"], told["marked"]) == (second.id, "", 1)
    assert Event.objects.get(deleted=False).name == "Stays"
    assert RunPlan.objects.count() == 2, "one for each run, forced or not"


def test_finalize__failed_file_fixed__closed_run_finalized_and_deletes(mail: Mail) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.end()
    mail.run()
    second = Run(mail)
    bill = scrapes.bill()
    broken = {name: value for name, value in bill.items() if name != "from_organization"}
    _, key = second.publish(scrapes.event("Stays"), broken)
    mail.run()
    ScrapeRun.objects.filter(run_id=second.id).update(attempts=2)
    second.end()
    mail.run()
    assert second.row.closed == "failed-files"
    assert second.row.attempts == 0, "that it broke before does not count the next time"
    mail.put(bill, f"failed/{key}")
    assert command(mail, "retry_realtime")["retried"] == 1
    mail.run()
    assert second.row.closed == ""
    assert Event.objects.get(deleted=True).name == "Gone"
    assert RunPlan.objects.count() == 2, "one for each run, however often it was finalized"
    assert command(mail, "finalize_realtime")["runs"] == []


def test_finalize__stopped_between_any_two_transactions__next_call_goes_on(mail: Mail) -> None:
    first = Run(mail)
    bill = scrapes.bill()
    first.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "old"))
    first.publish(scrapes.event("Gone"))
    first.end()
    mail.run()
    second = Run(mail)
    bill = scrapes.bill()
    second.publish(bill, scrapes.vote_event(bill, "new"), scrapes.event("Stays"))
    mail.run()
    second.end()
    import_only(mail)
    asked = 0
    for allowed in range(1, 40):
        stops = chain(repeat(False, allowed), repeat(True))
        context = context_of(mail, stops.__next__)
        try:
            if not list(finalize_complete(context)) and second.row.finalized_at:
                break
        except state_machine.OutOfTime:
            asked += 1
    assert asked > 3
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["new"]
    assert Event.objects.get(deleted=True).name == "Gone"


def test_finalize__file_of_another_jurisdiction_claims_the_run__left_alone(mail: Mail) -> None:
    run = Run(mail)
    publish_for_congress(mail, "Stray", run_id=run.id)
    mail.run()
    run.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    mail.run()
    run.end()
    assert mail.run().finalized == [run.id]
    assert run.row.jurisdiction_id == scrapes.WYOMING.jurisdiction_id
    assert Event.objects.get().jurisdiction_id == CONGRESS


def test_finalize__forced_half_way_before_its_end__starts_over_with_the_end(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"))
    mail.run()
    context, progress = stopping_after(mail, "event-again")
    with pytest.raises(state_machine.OutOfTime):
        list(finalize_anyway(steps_to(run.row, force=True), context, progress=progress))
    run.publish(scrapes.bill("HB 1"))
    run.end()
    mail.run()
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_finalize_realtime__half_way_through_a_run_with_a_failed_file__forced_from_its_first_step(
    mail: Mail,
) -> None:
    first = Run(mail)
    bill = scrapes.bill("HB 1")
    first.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "gone"))
    first.end()
    mail.run()
    second = Run(mail)
    broken = scrapes.bill("HB 2")
    del broken["from_organization"]
    second.publish(broken, scrapes.vote_event("HB 1", "stays"))
    second.end()
    import_only(mail)
    context, progress = stopping_after(mail, "votes-of-bills")
    with pytest.raises(state_machine.OutOfTime):
        list(finalize_complete(context, progress=progress))
    assert VoteEvent.objects.count() == 2
    command(mail, "finalize_realtime", "--run", second.id, "--force")
    assert VoteEvent.objects.get().motion_text == "stays"


def test_finalize__jurisdiction_busy_or_worker_slot_lost__put_off_and_nothing_committed(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_machine, "_PATIENT", 0)
    monkeypatch.setattr(state_machine, "_SLICE", 0.1)
    run = Run(mail)
    run.publish(scrapes.jurisdiction())
    run.end()
    import_only(mail)
    told: list[str] = []
    other = psycopg2.connect(mail.config.database_url)
    with other, other.cursor() as cursor:
        number = locks.number(scrapes.WYOMING.jurisdiction_id)
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, number])
        assert list(finalize_complete(context_of(mail), put_off=told.append)) == []
    other.close()

    def slot_lost() -> None:
        raise RetryLater("the slot is lost")

    context = replace(context_of(mail), before_commit=slot_lost)
    assert list(finalize_complete(context, put_off=told.append)) == []
    assert ["another worker" in told[0], *told[1:]] == [True, "the slot is lost"]
    assert (run.row.step, run.row.cursor) == ("", None)
    assert mail.run().finalized == [run.id]


def test_finalize__another_worker_finalizes_the_run_meanwhile__one_record_of_it(
    mail: Mail,
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction())
    run.end()
    import_only(mail)

    def read_late(*arguments: Any) -> Any:
        patch.undo()
        assert len(command(mail, "finalize_realtime")["runs"]) == 1
        return read_again(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.finalization.steps.read_again", read_late)
        assert list(finalize_complete(context_of(mail))) == []
    assert RunPlan.objects.count() == 1


def test_finalize__archived_while_it_reads__files_found_where_they_went(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"))
    mail.run()
    run.publish(scrapes.bill("HB 1"))
    run.end()
    import_only(mail)

    def read_late(*arguments: Any) -> Any:
        command(mail, "archive_realtime")
        return read_again(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.finalization.steps.read_again", read_late)
        [one] = finalize_complete(context_of(mail))
    assert one.counts["replayed"] == 1, "the event"
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


@pytest.mark.parametrize("reads", [0, 4], ids=["at its start", "half-way"])
def test_finalize__failed_file_retried_meanwhile__waits_and_deletes_nothing(
    mail: Mail, reads: int
) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.end()
    mail.run()
    second = Run(mail)
    broken = scrapes.bill()
    del broken["from_organization"]
    second.publish(scrapes.event("Stays"), broken)
    second.end()
    import_only(mail)

    so_far = count()

    def read_late(*arguments: Any) -> Any:
        if next(so_far) == reads:
            assert command(mail, "retry_realtime")["retried"] == 1
        return read_again(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.finalization.steps.read_again", read_late)
        assert list(finalize_complete(context_of(mail))) == []
    mail.run()
    assert second.row.closed == "failed-files"
    assert not Event.objects.filter(deleted=True).exists()


def test_finalize__run_start_in_the_future__other_files_not_superseded(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event("A"))
    run.started_at = datetime(2199, 1, 1, tzinfo=UTC)
    run.end()
    mail.run()
    later = Run(mail)
    later.publish(scrapes.event("B"))
    later.end()
    mail.run()
    assert {e.name: e.deleted for e in Event.objects.all()} == {"A": True, "B": False}


def test_finalize__words_too_long_for_cores_record__cut(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.bill())
    run.args = "bill_no=" + "HB0001," * 60
    run.end()
    mail.run()
    assert run.row.finalized_at
    assert len(RunPlan.objects.get().scrapers.get().args) == 300


def test_finalize__breaks_three_times__run_closed_and_newer_runs_continue(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.bill())
    run.end()

    def broken(one: ScrapeRun) -> None:
        if str(one.run_id) == run.id:
            raise ValueError("no luck")

    monkeypatch.setattr("realtime.finalization.plan_report.save", broken)
    mail.run()
    with pytest.raises(CommandError, match="was not finalized"):
        command(mail, "finalize_realtime", "--run", run.id)
    later = Run(mail)
    later.publish(scrapes.bill())
    later.end()
    mail.run()
    assert run.row.closed == "broken"
    mail.run()
    assert later.row.finalized_at


def broken_three_times(mail: Mail, run: Run) -> None:
    """End the run and let its finalization break until it is closed."""
    run.end()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_machine.Finalization, "finish", lambda _: int("no luck"))
        for _ in range(3):
            mail.run()
    assert run.row.closed == "broken"


def test_finalize_realtime__run_that_broke_three_times__named_once_mended_is_finalized(
    mail: Mail,
) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.end()
    mail.run()
    older, newer = Run(mail), Run(mail)
    older.publish(scrapes.event("Stays"))
    broken_three_times(mail, older)
    newer.publish(scrapes.event("Stays"))
    broken_three_times(mail, newer)
    assert command(mail, "finalize_realtime")["runs"] == [], "not by itself"
    for run in (older, newer):
        [told] = command(mail, "finalize_realtime", "--run", run.id)["runs"]
        assert (told["run_id"], told["closed"]) == (run.id, "")
        assert (run.row.closed, run.row.closed_at, run.row.attempts) == ("", None, 0)
    assert Event.objects.get(deleted=True).name == "Gone"
    assert RunPlan.objects.count() == 3


def test_finalize_realtime__broken_run_out_of_turn__says_why_and_stays_closed(mail: Mail) -> None:
    older, broken = Run(mail), Run(mail)
    older.publish(scrapes.jurisdiction(), scrapes.event("Old"))
    broken.publish(scrapes.event("Stays"))
    broken_three_times(mail, broken)
    older.end(event=1)
    import_only(mail)
    with pytest.raises(CommandError, match="an older run must be finalized first"):
        command(mail, "finalize_realtime", "--run", broken.id)
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    ScrapeRun.objects.filter(run_id=older.id).update(received_at=long_ago)
    newer = Run(mail)
    newer.publish(scrapes.bill())
    newer.end()
    mail.run()
    with pytest.raises(CommandError, match=f"newer run {newer.id} has been finalized.*--force"):
        command(mail, "finalize_realtime", "--run", broken.id)
    assert (broken.row.closed, newer.row.closed) == ("broken", "")
    command(mail, "finalize_realtime", "--run", broken.id, "--force")
    assert (broken.row.closed, broken.row.attempts) == ("", 0)
    assert RunPlan.objects.count() == 2, "one of each that is final"


def test_finalize__database_interrupts_it_again_and_again__done_when_it_no_longer_does(
    mail: Mail,
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"))
    import_only(mail)
    run.publish(scrapes.bill("HB 1"))
    run.end()
    with refusing("INSERT OR UPDATE ON opencivicdata_eventrelatedentity", DEADLOCK):
        for _ in range(3):
            assert mail.run().finalized == []
    assert mail.run().finalized == [run.id]
    assert run.row.closed == ""
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_finalize__file_cannot_be_imported_again__its_row_stays_as_it_was(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"))
    import_only(mail)
    run.publish(scrapes.bill("HB 1"))
    run.end()
    with refusing("INSERT OR UPDATE ON opencivicdata_eventrelatedentity", TOO_LONG):
        assert mail.run().finalized == [run.id]
    event = Event.objects.get()
    assert not event.deleted
    assert event.agenda.get().related_entities.get().bill is None


def test_finalize__closing_an_older_run_breaks__attempt_counted_and_newer_run_deletes(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = Run(mail), Run(mail)
    bill = scrapes.bill("HB 1")
    older.publish(scrapes.jurisdiction(), bill, scrapes.event("Old"))
    mail.run()
    newer.started_at = datetime.now(UTC)
    newer.publish(scrapes.event("New"))
    newer.end()
    finish = state_machine.Finalization.finish

    def broken(one: state_machine.Finalization) -> dict[str, int]:
        if str(one._run.run_id) == older.id:
            raise ValueError("no luck")
        return finish(one)

    monkeypatch.setattr(state_machine.Finalization, "finish", broken)
    for _ in range(4):
        mail.run()
    assert (older.row.closed, newer.row.closed) == ("broken", "")
    assert newer.row.finalized_at
    assert Event.objects.get(deleted=True).name == "Old"


def test_finalize_realtime__newer_run_forced__complete_older_one_deletes_first_and_newest_goes_on(
    mail: Mail,
) -> None:
    zero = Run(mail)
    bill = scrapes.bill("HB 1")
    zero.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "stale"))
    zero.end()
    mail.run()
    first = Run(mail)
    bill = scrapes.bill("HB 1")
    first.publish(bill, scrapes.vote_event(bill, "new"))
    first.end()
    import_only(mail)
    second = Run(mail)
    second.publish(scrapes.bill("HB 2"))
    second.end()
    third = Run(mail)
    third.publish(scrapes.bill("HB 3"))
    import_only(mail)
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    ScrapeRun.objects.filter(run_id=first.id).update(received_at=long_ago)
    with pytest.raises(CommandError, match="older run must be finalized first"):
        command(mail, "finalize_realtime", "--run", second.id)
    command(mail, "finalize_realtime", "--run", second.id, "--force")
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["new"]
    assert (first.row.closed, second.row.closed) == ("", "")
    assert third.row.closed == "", "it still goes on"


def test_finalize__run_forced_before_its_end__finalized_again_when_the_end_arrives(
    mail: Mail,
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"))
    mail.run()
    command(mail, "finalize_realtime", "--run", run.id, "--force")
    run.publish(scrapes.bill("HB 1"))
    run.end()
    assert mail.run().finalized == [run.id]
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()
    assert RunPlan.objects.get().scrapers.exists()


def test_finalize__long_run_beside_a_short_one__deletes_when_it_is_complete(mail: Mail) -> None:
    zero = Run(mail)
    bill = scrapes.bill("HB 1")
    zero.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "stale"))
    zero.end()
    mail.run()
    long = Run(mail)
    bill = scrapes.bill("HB 1")
    long.publish(bill)
    mail.run()
    short = Run(mail)
    short.publish(scrapes.event())
    short.end()
    mail.run()
    assert long.row.closed == "unfinished"
    long.publish(scrapes.vote_event(bill, "new"))
    long.end()
    mail.run()
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["new"]


@pytest.mark.parametrize("comes", ["before its run is closed", "after"])
def test_finalize__vote_of_a_run_that_never_ends__linked_to_its_action_in_any_order(
    mail: Mail, comes: str
) -> None:
    older = Run(mail)
    bill = scrapes.bill("HB 1")
    older.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill, "one", action="reading 1"))
    older.end()
    mail.run()
    killed = Run(mail)
    bill = scrapes.bill("HB 1")
    killed.publish(bill)
    if comes != "after":
        killed.publish(scrapes.vote_event(bill, "one"))
    mail.run()
    newer = Run(mail)
    newer.publish(scrapes.event())
    newer.end()
    mail.run()
    assert killed.row.closed == "unfinished"
    if comes == "after":
        killed.publish(scrapes.vote_event(bill, "one"))
    mail.run()
    # The last run to become final says what it was.
    assert VoteEvent.objects.get().bill_action.description == "reading 1"


def test_archive__run_closed_for_a_failed_file__its_files_kept_for_a_retry(
    aws: Aws, database: str
) -> None:
    mail = Mail(aws, database, FILE_ARCHIVING_ENABLED="false", REALTIME_ARCHIVE="later")
    run = Run(mail)
    bill = scrapes.bill("HB 1")
    broken = {name: value for name, value in bill.items() if name != "from_organization"}
    *_, key = run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"), broken)
    run.end()
    mail.run()
    command(mail, "archive_realtime")
    mail.put(bill, f"failed/{key}")
    command(mail, "retry_realtime")
    mail.run()
    assert run.row.closed == ""
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_ledger__each_query_of_import_and_finalization__uses_an_index(
    mail: Mail,
) -> None:
    asked: dict[str, Any] = {}

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if "realtime_file" in sql and not sql.startswith("INSERT"):
            asked.setdefault(sql, params)
        return execute(sql, params, many, context)

    run = Run(mail)
    bills = [scrapes.bill(f"HB {number}", actions=2) for number in range(130)]
    votes = [scrapes.vote_event(bill, action="reading 1") for bill in bills]
    run.publish(scrapes.jurisdiction(), *bills, *votes, scrapes.event(about="HB 1"))
    ada = mail.put(full_person(), "wy/person_1.json")
    mail.send(mail.message(ada, run_id=run.id))
    run.end()
    import_only(mail)
    with connection.execute_wrapper(note):
        list(finalize_complete(context_of(mail)))
        retention.prune(ledger_files.database_now())
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        for sql, params in asked.items():
            cursor.execute(f"EXPLAIN {sql}", params)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on realtime_file" not in plan, f"{sql}\n{plan}"
