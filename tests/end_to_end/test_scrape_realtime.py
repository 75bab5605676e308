"""Core's scrape, published as it goes: the ways an operator starts one."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, Aws, run_manage, wait_until

SCRAPERS = """
import os
import signal
import time
from openstates.scrape import Bill, Scraper, State, VoteEvent

class Bills(Scraper):
    def scrape(self, session=None, bills="2", then=None):
        for number in range(int(bills)):
            bill = Bill(f"HB {number}", session, "Of bridges", chamber="lower")
            bill.add_source("https://example.com")
            yield bill
            vote = VoteEvent(bill=bill, chamber="lower", start_date="2031-01-12", result="pass",
                             motion_text="Passage", classification="passage")
            vote.set_count("yes", 1)
            vote.add_source("https://example.com")
            yield vote
        if then == "fail":
            raise RuntimeError("the site is down")
        if then == "swallow":
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(60)
            except:
                pass
        if then == "sleep":
            time.sleep(60)

class Wyoming(State):
    scrapers = {"bills": Bills}
    legislative_sessions = [{"identifier": "2031", "name": "2031", "_scraped_name": "2031",
                             "classification": "primary", "start_date": "2031-01-10",
                             "end_date": "2031-03-10", "active": True}]

    def get_session_list(self):
        return ["2031"]
"""
PUBLISHED = {"jurisdiction": 1, "organization": 3, "bill": 2, "vote_event": 2}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder of scrapers, with nothing of this project."""
    module = tmp_path / "checkout" / "wy"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text(SCRAPERS)
    return module.parent


@pytest.fixture
def environment(aws: Aws) -> dict[str, str]:
    """What a scraper's host has: S3 and SQS, no database and no Django settings."""
    return {**os.environ, **aws.environment}


def receive(aws: Aws) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The messages about files, and those about ended runs."""
    found: list[dict[str, Any]] = []
    while received := aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        found += [json.loads(message["Body"]) for message in received]
    ends = [message for message in found if "run_finished" in message]
    return [message for message in found if "file_path" in message], ends


def by_type(files: list[dict[str, Any]]) -> Counter[str]:
    return Counter(file["file_path"].rpartition("/")[2].rpartition("_")[0] for file in files)


def test_scrape_realtime__a_scrape__is_published_with_its_end(
    checkout: Path, aws: Aws, environment: dict[str, str]
) -> None:
    options = ("--fastmode", "--nonstrict", "--archive", "--realtime", "--import")
    done = run_manage(
        "scrape_realtime", "wy", "bills", "session=2031", *options, env=environment, cwd=checkout
    )
    files, (end,) = receive(aws)
    assert by_type(files) == PUBLISHED
    for file in files:
        stored = aws.s3.get_object(Bucket=aws.bucket, Key=file["file_path"])
        assert json.loads(stored["Body"].read())
        assert stored["Metadata"]["run-id"] == file["run_id"] == end["run_id"]
        assert file["file_archiving_enabled"] is True
        assert file["jurisdiction_id"] == "ocd-jurisdiction/country:us/state:wy/government"
    finished = end["run_finished"]
    assert finished["objects"] == PUBLISHED
    assert set(finished["scrapers"]) == {"jurisdiction", "bills"}
    assert finished["scrapers"]["bills"]["args"] == "session=2031"
    assert finished["scrapers"]["bills"]["objects"] == {"bill": 2, "vote_event": 2}
    assert finished["started_at"] <= finished["scrapers"]["jurisdiction"]["started_at"]
    assert "--import is ignored" in done.stderr
    assert "save bill HB 1" in done.stderr
    assert "bill: 2" in done.stdout
    assert "botocore" not in done.stderr
    assert [path for path in checkout.rglob("*.json")] == []
    assert not (checkout / "_realtime_spool").exists()


def test_scrape_realtime__a_failing_scrape__publishes_what_it_has_and_no_end(
    checkout: Path, aws: Aws, environment: dict[str, str]
) -> None:
    failed = run_manage(
        "scrape_realtime", "wy", "bills", "then=fail", env=environment, cwd=checkout, check=False
    )
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr
    assert (
        "the scrape of wy failed: RuntimeError: the site is down" in failed.stderr.splitlines()[-1]
    )
    files, ends = receive(aws)
    assert by_type(files) == PUBLISHED
    assert ends == []


def test_scrape_realtime__no_queue__files_and_the_end_of_the_run_in_the_folder(
    checkout: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    environment = {**os.environ, "S3_REALTIME_BASE": store.as_uri()}
    run_manage("scrape_realtime", "wy", "bills", "session=2031", env=environment, cwd=checkout)
    files = Counter(path.name.rpartition("_")[0] for path in (store / "wy").iterdir())
    assert files == {**PUBLISHED, "run_finished": 1}
    [end] = (store / "wy").glob("run_finished_*")
    finished = json.loads(end.read_text().splitlines()[0])
    assert end.name == f"run_finished_{finished['run_id']}.json"
    assert finished["run_finished"]["objects"] == PUBLISHED
    assert not (checkout / "_realtime_spool").exists()


def test_scrape_realtime__no_store_named__scrapes_nothing(checkout: Path) -> None:
    failed = run_manage("scrape_realtime", "wy", env=dict(os.environ), cwd=checkout, check=False)
    assert failed.returncode == 1
    assert "S3_REALTIME_BASE is not set" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert not (checkout / "_data").exists()


def test_scrape_realtime__no_such_bucket__keeps_what_was_scraped_for_later(
    checkout: Path, aws: Aws, environment: dict[str, str]
) -> None:
    late = f"{aws.bucket}-late"
    environment["S3_REALTIME_BASE"] = f"s3://{late}/pre"
    failed = run_manage(
        "scrape_realtime", "wy", "bills", "bills=1", env=environment, cwd=checkout, check=False
    )
    assert failed.returncode == 1
    assert f"there is no bucket {late}" in failed.stderr.splitlines()[-1]
    assert receive(aws) == ([], [])
    kept = len(list((checkout / "_realtime_spool").rglob("*.spooled")))
    assert kept

    aws.s3.create_bucket(Bucket=late)
    run_manage("publish_realtime", "_realtime_spool", env=environment, cwd=checkout)
    files, _ = receive(aws)
    assert len(files) == kept
    for file in files:
        assert aws.s3.get_object(Bucket=late, Key=file["file_path"])["ContentLength"] > 2
    assert not (checkout / "_realtime_spool").exists()


def test_scrape_realtime__scraper_that_swallows_its_interruption__ends_without_an_end(
    checkout: Path, aws: Aws, environment: dict[str, str]
) -> None:
    arguments = ("scrape_realtime", "wy", "bills", "then=swallow")
    stopped = run_manage(*arguments, env=environment, cwd=checkout, check=False)
    files, ends = receive(aws)
    assert stopped.returncode == 143
    assert by_type(files) == PUBLISHED
    assert ends == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_scrape_realtime__interrupted__publishes_what_it_has_and_no_end(
    checkout: Path, aws: Aws, environment: dict[str, str], number: int, status: int
) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "scrape_realtime", "wy", "bills"]
    with subprocess.Popen(
        [*command, "then=sleep"],
        env=environment,
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        found: list[dict[str, Any]] = []

        def all_are_there() -> bool:
            found.extend(receive(aws)[0])
            return len(found) == sum(PUBLISHED.values())

        assert wait_until(all_are_there, 20)
        process.send_signal(number)
        assert process.wait(20) == status
    assert receive(aws) == ([], [])


def test_os_update__with_our_output_handler__publishes_without_settings_or_database(
    checkout: Path, aws: Aws, environment: dict[str, str]
) -> None:
    environment["SCRAPE_OUTPUT_HANDLER"] = "realtime.output_handler"
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{checkout}"
    elsewhere = checkout.parent
    subprocess.run(
        [sys.executable, "-m", "openstates.cli.update", "--scrape", "wy", "bills", "--archive"],
        env=environment,
        cwd=elsewhere,
        check=True,
        capture_output=True,
    )
    files, ends = receive(aws)
    assert by_type(files) == PUBLISHED
    assert {file["file_archiving_enabled"] for file in files} == {True}
    assert not any("run_id" in file for file in files), "a run that has no end would stay open"
    assert ends == []
    assert list(elsewhere.rglob("*.json")) == []
