"""Pauses, and the breaker that begins one: nothing fails, is emptied or lost meanwhile."""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from openstates.data.models import Bill, VoteEvent

from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.domain.config import BULK, CORE
from realtime.models import File, Pause
from tests import oracle, rows, scrapes
from tests.ledger_rows import before_now
from tests.scrape_runs import Run
from tests.scrapes import Mail, outcomes
from tests.support import Aws

WYOMING = scrapes.WYOMING.jurisdiction_id
CONGRESS = "ocd-jurisdiction/country:us/government"
MANY = 52


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def manage(mail: Mail, *arguments: str) -> str:
    output = io.StringIO()
    with override_settings(REALTIME=mail.config):
        call_command(*arguments, stdout=output)
    return output.getvalue()


def publish_for_congress(mail: Mail) -> str:
    data = scrapes.event("Of Congress")
    data["jurisdiction"]["id"] = CONGRESS
    key = mail.put(data, f"us/event_{data['_id']}.json")
    mail.send(mail.message(key, jurisdiction_id=CONGRESS))
    return key


def test_pause__one_jurisdiction__its_files_parked_and_others_imported(mail: Mail) -> None:
    said = manage(mail, "pause_realtime", "--jurisdiction", "wy", "--reason", "x")
    assert "wy is paused\nnext: manage.py resume_realtime --jurisdiction wy " in said
    ours, theirs = mail.publish(scrapes.bill()), publish_for_congress(mail)
    report = mail.run().as_dict()
    assert (report["deferred"], report["inserted"], report["paused"]) == (1, 1, [WYOMING])
    assert outcomes([*ours, theirs]) == {ours[0]: "deferred", theirs: "inserted"}
    assert File.objects.get(key=ours[0]).detail == "paused: x"
    assert not mail.waiting(), "parked files are acknowledged"

    assert "wy is resumed: 1 files" in manage(mail, "resume_realtime", "--jurisdiction", "wy")
    assert mail.run().resumed == 1
    assert Bill.objects.get().identifier == "HB 1"


def test_pause__all__also_jurisdictions_never_seen(mail: Mail) -> None:
    manage(mail, "pause_realtime", "--all")
    key = publish_for_congress(mail)
    mail.run()
    assert outcomes([key]) == {key: "deferred"}
    with pytest.raises(CommandError, match="us is paused with all others"):
        manage(mail, "resume_realtime", "--jurisdiction", "us")
    manage(mail, "resume_realtime", "--all")
    mail.run()
    assert outcomes([key]) == {key: "inserted"}
    assert "all was not paused" in manage(mail, "resume_realtime", "--all")


def test_pause__for_days__nothing_expires_and_the_wait_starts_anew(mail: Mail) -> None:
    bill = scrapes.bill()
    [waiting] = mail.publish(scrapes.vote_event(bill))
    mail.run()
    manage(mail, "pause_realtime", "--jurisdiction", "wy")
    [paused] = mail.publish(scrapes.vote_event(bill, "other"))
    mail.run()
    File.objects.filter(outcome="deferred").update(received_at=before_now(days=3))
    mail.run()
    assert outcomes([waiting, paused]) == {waiting: "deferred", paused: "deferred"}
    manage(mail, "resume_realtime", "--jurisdiction", "wy")
    mail.run()
    assert outcomes([waiting, paused]) == {waiting: "deferred", paused: "deferred"}
    mail.publish(bill)
    mail.run()
    assert outcomes([waiting, paused]) == {waiting: "inserted", paused: "inserted"}


def test_pause__complete_run__finalized_once_it_is_resumed(mail: Mail) -> None:
    first, bill = Run(mail), scrapes.bill()
    first.publish(bill, scrapes.vote_event(bill, "old"), scrapes.vote_event(bill, "kept"))
    first.end()
    mail.run()
    second, bill = Run(mail), scrapes.bill()
    second.publish(bill, scrapes.vote_event(bill, "kept"))
    mail.run()
    manage(mail, "pause_realtime", "--jurisdiction", "wy")
    second.end()
    assert mail.run().finalized == []
    assert VoteEvent.objects.count() == 2
    with pytest.raises(CommandError, match="is paused"):
        manage(mail, "finalize_realtime", "--run", second.id, "--force")
    manage(mail, "resume_realtime", "--jurisdiction", "wy")
    assert mail.run().finalized == [second.id]
    assert VoteEvent.objects.get().motion_text == "kept"


# -- the breaker -----------------------------------------------------------------------------------


def many_bills(actions: int = 3) -> list[dict[str, Any]]:
    return [scrapes.bill(f"HB {n}", actions=actions) for n in range(1, MANY + 1)]


def test_breaker__bills_of_a_whole_scrape_lose_their_actions__paused_and_nothing_emptied(
    mail: Mail, caplog: pytest.LogCaptureFixture
) -> None:
    mail.publish(*many_bills())
    mail.run()
    before = rows.dump()
    mail.publish(*many_bills(actions=0), scrapes.event())
    with caplog.at_level(logging.WARNING):
        report = mail.run()
    assert (report.outcomes["deferred"], report.outcomes["updated"]) == (MANY + 1, 0)
    assert rows.dump() == before
    pause = Pause.objects.get()
    assert (pause.jurisdiction_id, pause.by) == (WYOMING, "breaker")
    assert pause.reason == f"{MANY} of {MANY} updated bills lost most of what they had"
    assert "jurisdiction paused by the breaker" in caplog.messages


@pytest.mark.parametrize("batch", [300, MANY])
def test_breaker__good_scrape_after_the_one_that_tripped_it__resumed_and_as_core(
    mail: Mail, batch: int, tmp_path: Path, stack: DevStack, seeded_template: str
) -> None:
    scraped = (
        [scrapes.jurisdiction(), *many_bills()],
        [*many_bills(actions=0), scrapes.event()],
        many_bills(actions=4),
    )
    for files in scraped:
        mail.publish(*files)
        mail.run()
    manage(mail, "resume_realtime", "--jurisdiction", "wy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.consumer.resume_parked.BATCH_SIZE", batch)
        assert mail.run().resumed == 2 * MANY + 1
    assert not Pause.objects.filter(resumed_at=None).exists()
    ours = rows.dump()
    name = f"as_core_{mail.importer}_{batch}"
    with using_database(stack.postgres.create_database(name, template=seeded_template)):
        for number, files in enumerate(scraped):
            folder = tmp_path / str(number)
            folder.mkdir()
            for data in files:
                (folder / mail.key(data).split("/")[1]).write_text(json.dumps(data))
            oracle.import_scrape(folder, WYOMING)
        expected = rows.dump()
    stack.postgres.drop_database(name)
    assert list(rows.differences(expected, ours)) == []


def test_breaker__each_vote_fails_for_one_reason__paused_and_none_failed(mail: Mail) -> None:
    bill = scrapes.bill()
    votes = [scrapes.vote_event(bill, f"motion {n}") for n in range(MANY)]
    wrong = [{**vote, "counts": "many", "_id": scrapes.fresh_id()} for vote in votes]
    keys = mail.publish(bill, *wrong)
    report = mail.run()
    assert report.outcomes["deferred"] == MANY + 1
    assert set(outcomes(keys).values()) == {"deferred"}
    assert f"{MANY} of {MANY + 1} files failed for one reason: " in Pause.objects.get().reason
    assert mail.run().resumed == 0, "it stays paused"

    # Mended: the files say by now what they should have said.
    for key, data in zip(keys[1:], votes, strict=True):
        mail.put({**data, "_id": key.removesuffix(".json").split("_")[-1]}, key)
    manage(mail, "resume_realtime", "--jurisdiction", "wy")
    mail.run()
    assert VoteEvent.objects.count() == MANY
    assert not File.objects.filter(outcome__in=["failed", "deferred"]).exists()


def test_breaker__what_tripped_it_is_meant__passes_when_forced(mail: Mail) -> None:
    mail.publish(*many_bills())
    mail.run()
    mail.publish(*many_bills(actions=0))
    mail.run()
    manage(mail, "resume_realtime", "--jurisdiction", "wy")
    assert mail.run().resumed == 0, "it trips again"
    manage(mail, "resume_realtime", "--jurisdiction", "wy", "--force", "--reason", "reorganized")
    report = mail.run()
    assert report.resumed == MANY
    assert report.flags["shrunk"] == MANY
    assert Bill.objects.filter(actions=None).count() == MANY


def test_breaker__fewer_than_fifty_or_turned_off__imported(aws: Aws, database: str) -> None:
    mail = Mail(aws, database, REALTIME_BREAKER_SHRUNK="0")
    mail.publish(scrapes.jurisdiction(), *many_bills())
    mail.run()
    mail.publish(*many_bills(actions=0))
    assert mail.run().outcomes["updated"] == MANY
    mail = Mail(aws, database)
    mail.publish(*many_bills())
    mail.run()
    mail.publish(*many_bills(actions=0)[:49])
    assert mail.run().outcomes["updated"] == 49
    assert not Pause.objects.exists()


def test_breaker__batches_of_one_run__counted_together(aws: Aws, database: str) -> None:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction(), *many_bills())
    mail.run()
    mail.publish(*many_bills(actions=0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("realtime.consumer.batches.BATCH_SIZE", 30)
        report = mail.run()
    assert (report.outcomes["updated"], report.outcomes["deferred"]) == (30, MANY - 30)
    assert Pause.objects.get().reason.startswith(f"{MANY} of {MANY} updated bills")


def test_directory__jurisdiction_paused__says_so_and_parks_nothing(
    mail: Mail, tmp_path: Path
) -> None:
    data = scrapes.bill()
    (tmp_path / f"bill_{data['_id']}.json").write_text(json.dumps(data))
    manage(mail, "pause_realtime", "--jurisdiction", "wy", "--reason", "x")
    options = ("--directory", str(tmp_path), "--jurisdiction", "wy")
    assert "wy is paused (x); nothing was imported" in manage(mail, "import_realtime", *options)
    assert not File.objects.filter(object_type="bill").exists()


def test_breaker__most_files_of_a_run_cannot_be_read__parked_until_they_can(mail: Mail) -> None:
    bills = many_bills()
    keys = [mail.put(b"{", mail.key(bill)) for bill in bills]
    for key in keys:
        mail.send(mail.message(key))
    mail.publish(scrapes.bill("HB 999"))
    assert mail.run().outcomes["deferred"] == MANY + 1
    reason = f"{MANY} of {MANY + 1} files failed for one reason: bad-json"
    assert Pause.objects.get().reason == reason
    late = mail.put(b"{", "wy/bill_00000000-0000-11ef-8c0b-0242ac110002.json")
    mail.send(mail.message(late))
    assert mail.run().outcomes["deferred"] == 1, "nothing fails while it is paused"
    for key, data in zip(keys, bills, strict=True):
        mail.put(data, key)
    manage(mail, "resume_realtime", "--jurisdiction", "wy")
    mail.run()
    assert Bill.objects.count() == MANY + 1
    assert File.objects.get(key=late).outcome == "failed"


def test_breaker__half_of_the_files_cannot_be_read__they_fail(mail: Mail) -> None:
    bills = many_bills()
    for bill in bills:
        mail.send(mail.message(mail.put(b"{", mail.key(bill))))
    mail.publish(*(scrapes.bill(f"SF {n}") for n in range(MANY)))
    report = mail.run()
    assert (report.outcomes["failed"], report.outcomes["inserted"]) == (MANY, MANY)
    assert not Pause.objects.exists()
