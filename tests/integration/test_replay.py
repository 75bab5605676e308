"""What comes between the files of a run and their being imported once more."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import psycopg2
import pytest
from django.db import connection
from openstates.data.models import Bill, Event, VoteEvent

from realtime.domain.errors import PoisonMessage
from realtime.files import redrive
from realtime.files.refetch import read_again
from realtime.finalization import replay
from realtime.finalization.finalize import finalize_complete
from realtime.importers import batch_transaction
from realtime.ledger import parked as parked_files
from realtime.models import File
from tests import scrapes
from tests.scrape_runs import Run, command, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws, wait_until


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    return Mail(aws, database)


def test_finalize__file_retried_during_replay__waits_for_it_and_starts_again(
    mail: Mail,
) -> None:
    run = Run(mail)
    bill = scrapes.bill("HB 1")
    _, key = run.publish(scrapes.jurisdiction(), scrapes.vote_event(bill))
    mail.run()
    parked = File.objects.get(key=key)
    parked_files.fail_parked(parked.id, PoisonMessage("unresolved", "never came"))
    File.objects.update(acknowledged_at=datetime.now(UTC))
    command(mail, "archive_realtime")
    run.publish(bill)
    run.end()
    import_only(mail)

    def read_late(store: Any, max_bytes: int, rows: Sequence[File]) -> Any:
        if [row.key for row in rows] == [key]:
            command(mail, "retry_realtime")
        return read_again(store, max_bytes, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.finalization.steps.read_again", read_late)
        assert list(finalize_complete(context_of(mail))) == []
    assert (run.row.step, run.row.attempts) == ("", 0)
    mail.run()
    assert run.row.finalized_at
    assert VoteEvent.objects.get().bill == Bill.objects.get()
    command(mail, "archive_realtime")
    assert mail.keys("wy/") == []


@pytest.fixture
def mended(mail: Mail) -> Run:
    """A complete run with an event about a bill whose file failed, and can be retried by now."""
    run = Run(mail)
    bill = scrapes.bill("HB 1")
    broken = {name: value for name, value in bill.items() if name != "from_organization"}
    *_, key = run.publish(scrapes.jurisdiction(), scrapes.event(about="HB 1"), broken)
    run.end()
    import_only(mail)
    mail.put(bill, f"failed/{key}")
    return run


def test_finalize__file_fixed_between_transactions__starts_again(mail: Mail, mended: Run) -> None:
    def fix(step: str, counts: Any) -> None:
        # Events are not imported once more after that.
        if step == "event-again":
            command(mail, "retry_realtime")
            import_only(mail)

    assert list(finalize_complete(context_of(mail), progress=fix)) == []
    assert mail.run().finalized == [mended.id]
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_finalize__file_retried_within_a_transaction__starts_again_once_it_is_in(
    mail: Mail, mended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def retry() -> None:
        redrive.retry(mail.store, mail.queue, mail.config, {}, (), print)
        connection.close()

    retrying, events, came_to = threading.Thread(target=retry), count(1), list[bool]()
    link = batch_transaction.link_references

    def retry_meanwhile(jurisdiction_id: str, results: Any, *rest: Any) -> Any:
        retied = link(jurisdiction_id, results, *rest)
        # The last time that events are imported.
        if results[0].object_type == "event" and next(events) == 2:
            retrying.start()
            came_to.append(wait_until(lambda: is_locked_out() or not retrying.is_alive()))
        return retied

    def is_locked_out() -> bool:
        other.execute("SELECT 1 FROM pg_locks WHERE NOT granted")
        return other.fetchone() is not None

    monkeypatch.setattr(replay, "link_references", retry_meanwhile)
    with psycopg2.connect(mail.config.database_url) as watching, watching.cursor() as other:
        list(finalize_complete(replace(context_of(mail), replay_all=True)))
    watching.close()
    retrying.join()
    assert came_to == [True], "it waits, or it is done"
    mail.run()
    assert mended.row.closed == ""
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_finalize__file_breaks_its_batch__left_as_imported_and_the_others_replayed(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = Run(mail)
    bill = scrapes.bill("HB 2")
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.publish(bill, scrapes.vote_event(bill, "even"))
    first.end()
    mail.run()
    run = Run(mail)
    run.publish(*[scrapes.event(f"Hearing {number}", about="HB 1") for number in range(5)])
    bill = scrapes.bill("HB 2")
    votes = [scrapes.vote_event(bill, motion) for motion in ("odd", "even")]
    breaking, fitting = run.publish(*[{**vote, "bill_identifier": None} for vote in votes])
    mail.run()
    for parked in File.objects.filter(outcome="deferred"):
        parked_files.fail_parked(parked.id, PoisonMessage("unresolved", "never came"))
    run.publish(scrapes.bill("HB 1"), bill)
    run.end()
    link = batch_transaction.link_references

    def choke(jurisdiction_id: str, results: Any, *rest: Any) -> Any:
        for content in (result.file.content.data for result in results):
            if content.get("name") == "Hearing 3" or content.get("motion_text") == "odd":
                raise TypeError("it cannot be settled")
        return link(jurisdiction_id, results, *rest)

    monkeypatch.setattr(replay, "link_references", choke)
    assert mail.run().finalized == [run.id]
    assert run.row.closed == ""
    linked = Event.objects.filter(agenda__related_entities__bill__identifier="HB 1")
    assert set(linked.values_list("name", flat=True)) == {f"Hearing {n}" for n in (0, 1, 2, 4)}
    assert Event.objects.get(deleted=True).name == "Gone", "it was seen all the same"
    file = File.objects.get(core_id=Event.objects.get(name="Hearing 3").id)
    assert file.key in [vars(record).get("key") for record in caplog.records]
    assert scrapes.outcomes([breaking, fitting]) == {breaking: "failed", fitting: "unchanged"}
    assert VoteEvent.objects.get().motion_text == "even"
    assert "file cannot be imported again" in caplog.text


def test_finalize__unreadable_file_known_from_a_notification__run_closed_at_once(
    mail: Mail,
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction())
    key = mail.put(b"{", f"wy/bill_{scrapes.fresh_id()}.json", **{"run-id": run.id})
    record = {
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": mail.aws.bucket}, "object": {"key": key}},
    }
    mail.send({"Records": [record]})
    run.objects["bill"] = 1
    run.end()
    mail.run()
    assert run.row.closed == "failed-files"


@pytest.mark.parametrize("meanwhile", ["overwritten", "archived"])
def test_finalize__file_not_where_it_was__its_own_content_is_replayed(
    mail: Mail, meanwhile: str
) -> None:
    run = Run(mail)
    bill = scrapes.bill(title="Of bridges")
    [_, key] = run.publish(scrapes.jurisdiction(), bill)
    run.end()
    import_only(mail)

    def read_late(store: Any, max_bytes: int, rows: Sequence[File]) -> Any:
        if any(row.key == key for row in rows):
            command(mail, "archive_realtime")
            if meanwhile == "overwritten":
                mail.put({**bill, "title": "Of roads"}, key)
        return read_again(store, max_bytes, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.finalization.steps.read_again", read_late)
        [finalized] = finalize_complete(replace(context_of(mail), replay_all=True))
    assert finalized.counts["replayed"] == 2
    assert Bill.objects.get().title == "Of bridges"
