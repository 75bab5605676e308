"""What one producer says does not harm what another sent."""

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from openstates.data.models import Bill

from realtime.domain.config import LATER
from realtime.models import File, ScrapeRun
from tests import scrapes
from tests.scrape_runs import Run, command, import_only
from tests.scrapes import Mail
from tests.support import Aws

WYOMING = scrapes.WYOMING.jurisdiction_id
COLUMBIA = "ocd-jurisdiction/country:us/district:dc/government"


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def end_as(run: Run, jurisdiction_id: str) -> None:
    """The end of the run, by a producer of another jurisdiction."""
    run.jurisdiction_id = jurisdiction_id
    run.end()
    run.jurisdiction_id = WYOMING


@pytest.mark.parametrize("steps", [("files", "stranger"), ("stranger", "files")])
def test_run_finished__of_another_jurisdiction__fails_and_run_goes_on(
    mail: Mail, steps: Sequence[str]
) -> None:
    run = Run(mail)
    files = scrapes.bill("HB 1"), scrapes.event()
    run.objects = {"bill": 1, "event": 1}
    for step in steps:
        if step == "stranger":
            end_as(run, COLUMBIA)
        else:
            mail.publish(*files, run_id=run.id)
        import_only(mail)
    assert run.row.jurisdiction_id == WYOMING
    assert run.row.finished_at is None
    failed = File.objects.get(outcome="failed")
    assert failed.key.startswith("message:")
    assert (failed.reason, failed.field) == ("foreign-run", "jurisdiction_id")
    assert failed.detail == f"run {run.id} is of {WYOMING}, not of {COLUMBIA}"
    run.end()
    assert mail.run().finalized == [run.id]
    assert (run.row.jurisdiction_id, run.row.closed) == (WYOMING, "")


def test_run_finished__by_two_before_any_file__second_waits_for_the_files(mail: Mail) -> None:
    run = Run(mail)
    run.objects = {"bill": 1}
    end_as(run, COLUMBIA)
    import_only(mail)
    run.end()
    report = mail.run()
    assert report.outcomes["released"] == 1
    assert run.row.jurisdiction_id == COLUMBIA
    mail.publish(scrapes.bill("HB 1"), run_id=run.id)
    mail.run()
    # It comes again.
    run.end()
    assert mail.run().finalized == [run.id]
    assert run.row.jurisdiction_id == WYOMING


@pytest.mark.parametrize("title", ["Of tunnels", "Of bridges!"], ids=["same-size", "other-size"])
def test_finalize__copy_is_not_what_was_imported__counts_as_gone(
    mail: Mail, caplog: pytest.LogCaptureFixture, title: str
) -> None:
    run = Run(mail)
    bill = scrapes.bill("HB 1", "Of bridges")
    (key,) = run.publish(bill)
    import_only(mail)
    command(mail, "archive_realtime")
    mail.put({**bill, "title": title}, File.objects.get(key=key).archived_key)
    run.end()
    mail.run()
    with caplog.at_level(logging.WARNING):
        command(mail, "finalize_realtime", "--run", run.id, "--force", "--full")
    assert Bill.objects.get().title == "Of bridges"
    assert "copy differs from the file that was imported, it counts as gone" in caplog.messages


@pytest.mark.parametrize("wrong_first", [True, False])
@pytest.mark.parametrize("abbr", ["wy", "cowboys"])
def test_import__two_jurisdictions_claim_a_file__wrong_claim_fails_and_file_is_imported(
    mail: Mail, abbr: str, wrong_first: bool
) -> None:
    mail.config = replace(mail.config, archive=LATER)
    bill = scrapes.bill("HB 1")
    key = mail.put(bill, f"{abbr}/bill_{bill['_id']}.json")
    messages: list[dict[str, Any]] = [
        mail.message(key, jurisdiction_id=COLUMBIA),
        mail.message(key),
    ]
    for message in messages if wrong_first else reversed(messages):
        mail.send(message)
        mail.run()
    assert Bill.objects.get().legislative_session.jurisdiction_id == WYOMING
    imported, wrong = File.objects.filter(scrape_id=bill["_id"]), File.objects.get(outcome="failed")
    assert [(row.key, row.outcome) for row in imported] == [(key, "inserted")]
    assert wrong.key.startswith("message:")
    assert (wrong.reason, wrong.field) == ("wrong-jurisdiction", "jurisdiction_id")
    assert COLUMBIA in wrong.detail and WYOMING in wrong.detail
    assert mail.keys("failed/") == []
    assert not ScrapeRun.objects.exists()
    assert json.loads(mail.aws.s3.get_object(Bucket=mail.aws.bucket, Key=key)["Body"].read())
