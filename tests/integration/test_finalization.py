"""What becomes of a scrape run once it is complete, on PostgreSQL, S3 and SQS."""

import io
import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from openstates.data.models import Bill, Event, RunPlan, VoteEvent

from realtime import ledger, prune
from realtime.config import BULK, CORE
from realtime.finalization import steps
from realtime.finalization.finalize import finalize_complete
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture(params=[BULK, CORE])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    return mail


class Run:
    """A scrape run that begins when it is made; `end` says on the queue that it ended."""

    def __init__(self, mail: Mail) -> None:
        self.mail = mail
        self.id = str(uuid.uuid4())
        self.started_at = datetime.now(UTC)
        self.objects: dict[str, int] = {}

    def publish(self, *files: dict[str, Any]) -> list[str]:
        for data in files:
            name = scrapes.type_of(data)
            self.objects[name] = self.objects.get(name, 0) + 1
        return self.mail.publish(*files, run_id=self.id)

    def end(self, **more: int) -> None:
        finished_at = datetime.now(UTC)
        times = {
            "started_at": self.started_at.isoformat(),
            "finished_at": finished_at.isoformat(),
        }
        objects = {name: n + more.get(name, 0) for name, n in self.objects.items()}
        scraper = {"args": "session=2031 chamber=lower", **times, "objects": objects}
        self.mail.send(
            {
                "run_id": self.id,
                "bucket": self.mail.aws.bucket,
                "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
                "jurisdiction_name": "Wyoming",
                "run_finished": {**times, "objects": objects, "scrapers": {"bills": scraper}},
            }
        )

    @property
    def row(self) -> ScrapeRun:
        return ScrapeRun.objects.get(run_id=self.id)


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
    run.publish(scrapes.jurisdiction(), scrapes.bill())
    run.end()
    mail.run()
    plan = RunPlan.objects.get()
    assert plan.success
    assert plan.start_time == run.started_at
    scraper = plan.scrapers.get()
    assert (scraper.scraper, scraper.args) == ("bills", "session=2031 chamber=lower")
    counts = dict(scraper.scraped_objects.values_list("object_type", "count"))
    assert counts == {"bill": 1, "jurisdiction": 1}
    imported = plan.imported_objects.get(object_type="bill")
    assert (imported.insert_count, imported.update_count, imported.noop_count) == (1, 0, 0)


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
    assert first.row.closed == "newer-final"
    assert first.row.finalized_at


def test_finalize__older_run_that_ended__is_waited_for_but_not_longer_than_a_day(
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


def command(mail: Mail, name: str, *arguments: str) -> dict[str, Any]:
    output = io.StringIO()
    with override_settings(REALTIME=mail.config), pytest.MonkeyPatch.context() as patch:
        for variable, value in mail.aws.environment.items():
            patch.setenv(variable, value)
        call_command(name, *arguments, "--json", stdout=output, stderr=io.StringIO())
    report: dict[str, Any] = json.loads(output.getvalue().splitlines()[-1])
    return report


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


def test_finalize__failed_file_mended__run_deletes_after_all(mail: Mail) -> None:
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
    File.objects.filter(run_id=second.id, outcome="failed").update(outcome="inserted", reason="")
    assert command(mail, "finalize_realtime")["runs"][0]["marked"] == 1
    assert second.row.closed == ""
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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.ingest.finalize_complete", lambda means: [])
        second.end()
        mail.run()
    asked = 0
    for allowed in range(1, 40):
        stops = chain(repeat(False, allowed), repeat(True))
        means = steps.Means(mail.store, 10**6, lambda: None, stops.__next__)
        try:
            if not list(finalize_complete(means)) and second.row.finalized_at:
                break
        except steps.OutOfTime:
            asked += 1
    assert asked > 3
    assert [v.motion_text for v in VoteEvent.objects.all()] == ["new"]
    assert Event.objects.get(deleted=True).name == "Gone"


def test_prune_realtime__old_final_runs__forgotten_and_nothing_else(mail: Mail) -> None:
    first, second = Run(mail), Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.bill())
    first.end()
    mail.run()
    second.publish(scrapes.event())
    [parked] = mail.publish(scrapes.vote_event(scrapes.bill("HB 9")))
    [free] = mail.publish(scrapes.event("of no run"))
    mail.run()
    command(mail, "archive_realtime")
    assert command(mail, "prune_realtime") == {"files": 0, "runs": 0, "messages": 0}
    prune.prune(ledger.database_now())
    keys = set(File.objects.values_list("key", flat=True))
    assert parked in keys
    assert free not in keys
    assert not File.objects.filter(run_id=first.id).exists()
    assert File.objects.filter(run_id=second.id).exists(), "it is open"
    assert first.row.finalized_at, "the newest final run tells stragglers from news"
    assert Bill.objects.exists()


def test_finalize__file_of_another_state_that_claims_the_run__left_alone(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    congress = "ocd-jurisdiction/country:us/government"
    stray = scrapes.event("Stray")
    stray["jurisdiction"]["id"] = congress
    key = mail.put(stray, f"us/event_{stray['_id']}.json")
    mail.send(mail.message(key, jurisdiction_id=congress, run_id=run.id))
    mail.run()
    run.end(event=1)
    assert mail.run().finalized == [run.id]
    assert Event.objects.get().jurisdiction_id == congress
