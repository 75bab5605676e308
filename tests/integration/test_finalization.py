"""What becomes of a scrape run once it is complete, on PostgreSQL, S3 and SQS."""

from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import connection
from openstates.data.models import Bill, Event, RunPlan, VoteEvent

from realtime.domain.config import BULK, CORE
from realtime.files.refetch import read_again
from realtime.finalization import state_machine
from realtime.finalization.finalize import finalize_complete
from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.scrape_runs import Run, command, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    return mail


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


def test_finalize__event_before_its_bill__agenda_linked(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"))
    mail.run()
    run.publish(scrapes.bill("HB 1"))
    run.end()
    mail.run()
    [entity] = Event.objects.get().agenda.get().related_entities.all()
    assert entity.bill == Bill.objects.get()


def test_finalize__run_plan__recorded_as_core_records_it(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.bill(), scrapes.bill("HB 2"))
    run.end()
    mail.run()
    plan = RunPlan.objects.get()
    assert plan.success
    assert plan.start_time == run.started_at
    scraper = plan.scrapers.get()
    assert (scraper.scraper, scraper.args) == ("bills", "session=2031 chamber=lower")
    counts = dict(scraper.scraped_objects.values_list("object_type", "count"))
    assert counts == {"bill": 2, "jurisdiction": 1}
    imported = plan.imported_objects.get(object_type="bill")
    assert (imported.insert_count, imported.update_count, imported.noop_count) == (2, 0, 0)


def test_finalize__file_missing_or_failed__deletes_nothing(mail: Mail) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.end()
    mail.run()
    second = Run(mail)
    broken = scrapes.bill()
    del broken["from_organization"]
    second.publish(scrapes.event("Stays"), broken)
    second.end()
    mail.run()
    assert second.row.closed == "failed-files"
    assert not Event.objects.filter(deleted=True).exists()


def test_finalize__straggler_of_an_older_run__does_not_undo_a_final_one(mail: Mail) -> None:
    first = Run(mail)
    old_bill = scrapes.bill()
    late = [scrapes.vote_event(old_bill, "late"), scrapes.event("Late")]
    first.publish(scrapes.jurisdiction(), old_bill)
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
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["new"]
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
    assert Event.objects.get(deleted=True).name == "Old"


def test_finalize__key_and_identifier_votes_out_of_order__as_scrape_order_has_them(
    mail: Mail,
) -> None:
    run = Run(mail)
    bill = scrapes.bill()
    with_key, without = scrapes.vote_event(bill, "a"), scrapes.vote_event(bill, "b")
    for vote in (with_key, without):
        vote["identifier"] = "7"
    with_key["dedupe_key"] = "k"
    run.publish(scrapes.jurisdiction(), bill, without)
    mail.run()
    run.publish(with_key)
    mail.run()
    assert VoteEvent.objects.count() == 2
    run.end()
    mail.run()
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["b"], "found by its identifier"
    assert not File.objects.filter(outcome="failed").exists()


def test_finalize_realtime__run_with_a_failed_file__forced(mail: Mail) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.end()
    mail.run()
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
    assert Event.objects.get(deleted=True).name == "Gone"
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
    second.end()
    mail.run()
    assert second.row.closed == "failed-files"
    mail.put(bill, f"failed/{key}")
    assert command(mail, "retry_realtime")["retried"] == 1
    mail.run()
    assert second.row.closed == ""
    assert Event.objects.get(deleted=True).name == "Gone"
    assert command(mail, "finalize_realtime") == {"runs": []}


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
    congress = "ocd-jurisdiction/country:us/government"
    stray = scrapes.event("Stray")
    stray["jurisdiction"]["id"] = congress
    key = mail.put(stray, f"us/event_{stray['_id']}.json")
    mail.send(mail.message(key, jurisdiction_id=congress, run_id=run.id))
    mail.run()
    run.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    mail.run()
    run.end()
    assert mail.run().finalized == [run.id]
    assert run.row.jurisdiction_id == scrapes.WYOMING.jurisdiction_id
    assert Event.objects.get().jurisdiction_id == congress


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
    assert one.counts["replayed"] == 4, "jurisdiction, bill, and the event twice"
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_finalize__failed_file_retried_meanwhile__waits_and_deletes_nothing(mail: Mail) -> None:
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

    def retry(step: str, counts: Any) -> None:
        if step == "vote_event":
            command(mail, "retry_realtime")

    assert list(finalize_complete(context_of(mail), progress=retry)) == []
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


def test_finalize_realtime__newer_run_forced__complete_older_one_deletes_first(mail: Mail) -> None:
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
    import_only(mail)
    command(mail, "finalize_realtime", "--run", second.id, "--force")
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["new"]
    assert (first.row.closed, second.row.closed) == ("", "")


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
    mail = Mail(aws, database, FILE_ARCHIVING_ENABLED="false")
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
