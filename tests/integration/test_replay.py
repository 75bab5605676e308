"""What comes between the files of a run and their being imported once more."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from openstates.data.models import Bill, Event, VoteEvent

from realtime.domain.errors import PoisonMessage
from realtime.files.refetch import read_again
from realtime.finalization import replay
from realtime.finalization.finalize import finalize_complete
from realtime.importers import batch_transaction
from realtime.ledger import parked as parked_files
from realtime.models import File
from tests import scrapes
from tests.scrape_runs import Run, command, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws


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


def test_finalize__file_breaks_its_batch__left_as_imported_and_the_others_replayed(
    mail: Mail, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = Run(mail)
    first.publish(scrapes.jurisdiction(), scrapes.event("Gone"))
    first.end()
    mail.run()
    run = Run(mail)
    run.publish(*[scrapes.event(f"Hearing {number}", about="HB 1") for number in range(5)])
    mail.run()
    run.publish(scrapes.bill("HB 1"))
    run.end()
    link = batch_transaction.link_references

    def choke(jurisdiction_id: str, results: Any, now: Any) -> None:
        if any(r.file.content.data.get("name") == "Hearing 3" for r in results):
            raise TypeError("Hearing 3 cannot be settled")
        link(jurisdiction_id, results, now)

    monkeypatch.setattr(replay, "link_references", choke)
    assert mail.run().finalized == [run.id]
    assert run.row.closed == ""
    linked = Event.objects.filter(agenda__related_entities__bill=Bill.objects.get())
    assert set(linked.values_list("name", flat=True)) == {f"Hearing {n}" for n in (0, 1, 2, 4)}
    assert Event.objects.get(deleted=True).name == "Gone", "it was seen all the same"
    file = File.objects.get(core_id=Event.objects.get(name="Hearing 3").id)
    assert file.key in [vars(record).get("key") for record in caplog.records]
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
        [finalized] = finalize_complete(context_of(mail))
    assert finalized.counts["replayed"] == 2
    assert Bill.objects.get().title == "Of bridges"
