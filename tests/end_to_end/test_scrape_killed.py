"""A scrape that is killed loses nothing: what it had yielded is published, exactly as scraped."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.fault_proxy import AwsProxy, Rule, on, silence
from tests.support import ROOT, Aws, run_manage, wait_until

# Writes down each object once core has taken it.
SCRAPERS = """
import json
import time
from openstates.scrape import Bill, Scraper, State
from openstates.utils import JSONEncoderPlus

class Bills(Scraper):
    def scrape(self, session=None, bills="1", pause="0", then=None):
        with open("yielded", "ab", buffering=0) as yielded:
            for number in range(int(bills)):
                bill = Bill(f"HB {number}", session, "Of bridges", chamber="lower")
                bill.add_source("https://example.com")
                yield bill
                body = json.dumps(bill.as_dict(), cls=JSONEncoderPlus)
                yielded.write(f"{bill._id} {body}\\n".encode())
                time.sleep(float(pause))
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


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder of scrapers."""
    module = tmp_path / "checkout" / "wy"
    module.mkdir(parents=True)
    (module / "__init__.py").write_text(SCRAPERS)
    return module.parent


@pytest.fixture
def environment(aws: Aws, proxy: AwsProxy) -> dict[str, str]:
    """S3 and SQS by way of the proxy."""
    return {**os.environ, **aws.environment, "AWS_ENDPOINT_URL": proxy.endpoint}


@contextmanager
def scraping(
    checkout: Path, environment: dict[str, str], *arguments: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A scrape that runs, killed at the end of the block."""
    command = [sys.executable, str(ROOT / "manage.py"), "scrape_realtime", "wy", "bills"]
    with subprocess.Popen(
        [*command, *arguments],
        env=environment,
        cwd=checkout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def scrape(checkout: Path, environment: dict[str, str]) -> str:
    """A whole scrape of one bill; returns what it says."""
    return run_manage(
        "scrape_realtime", "wy", "bills", "bills=1", env=environment, cwd=checkout
    ).stderr


def yielded(checkout: Path) -> dict[str, bytes]:
    """The content of each object that a scraper has yielded, by key."""
    path = checkout / "yielded"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return {
        f"wy/bill_{scrape_id.decode()}.json": body
        for scrape_id, _, body in (line.partition(b" ") for line in lines)
    }


def has_yielded(checkout: Path, count: int) -> bool:
    return len(yielded(checkout)) >= count


def published(aws: Aws) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The content of each bill that is stored and announced, by key; the ends of runs."""
    found: list[dict[str, Any]] = []
    while received := aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        found += [json.loads(message["Body"]) for message in received]
        for message in received:
            aws.sqs.delete_message(QueueUrl=aws.queue_url, ReceiptHandle=message["ReceiptHandle"])
    keys = {message["file_path"] for message in found if "file_path" in message}
    bills = {
        key: aws.s3.get_object(Bucket=aws.bucket, Key=key)["Body"].read()
        for key in keys
        if "/bill_" in key
    }
    return bills, [message for message in found if "run_finished" in message]


@pytest.mark.parametrize(
    ("rule", "then", "ends"),
    [
        (on("PutObject", fault=silence), "sleep", 1),
        (on("SendMessageBatch", fault=silence), "sleep", 1),
        (on("PutObject", fault=silence), "end", 2),
    ],
    ids=["while-it-uploads", "while-it-announces", "while-it-ends"],
)
def test_scrape_killed__store_or_queue_hangs__next_scrape_publishes_all_it_had_yielded(
    checkout: Path,
    aws: Aws,
    environment: dict[str, str],
    proxy: AwsProxy,
    rule: Rule,
    then: str,
    ends: int,
) -> None:
    proxy.rule = rule
    end = "*/run_finished.message"
    with scraping(checkout, environment, "bills=30", f"then={then}"):
        assert wait_until(lambda: len(yielded(checkout)) == 30)
        if then == "end":
            assert wait_until(lambda: any((checkout / "_realtime_spool").glob(end)))
    assert published(aws) == ({}, [])
    proxy.heal()
    said = scrape(checkout, environment)
    assert "files that earlier scrapes had left" in said
    bills, finished = published(aws)
    assert len(bills) == 31
    assert bills == yielded(checkout)
    # Only a scrape that had come to its end is ended by another.
    assert len(finished) == ends
    assert not (checkout / "_realtime_spool").exists()


def test_scrape_killed__other_scrapes_run_meanwhile__its_files_are_sent_once_it_is_dead(
    checkout: Path, aws: Aws, environment: dict[str, str], proxy: AwsProxy
) -> None:
    proxy.rule = on("PutObject", fault=silence)
    with scraping(checkout, environment, "bills=3", "then=sleep"):
        assert wait_until(lambda: len(yielded(checkout)) == 3)
        direct = {**environment, "AWS_ENDPOINT_URL": aws.environment["AWS_ENDPOINT_URL"]}
        scrape(checkout, direct)
        spool = checkout / "_realtime_spool"
        left = run_manage("publish_realtime", str(spool), env=direct, cwd=checkout)
        assert "left alone: a running scrape" in left.stderr
        bills, _ = published(aws)
        assert len(bills) == 1
    run_manage("publish_realtime", str(spool), env=direct, cwd=checkout)
    assert {**bills, **published(aws)[0]} == yielded(checkout)
    assert not spool.exists()


@pytest.mark.long
def test_scrape_killed__twenty_times_at_any_moment__all_it_had_yielded_is_published(
    checkout: Path, aws: Aws, environment: dict[str, str]
) -> None:
    chance = random.Random(7)
    for _ in range(20):
        before, goal = len(yielded(checkout)), chance.randrange(1, 60)
        with scraping(checkout, environment, "bills=100", "pause=0.001"):
            assert wait_until(partial(has_yielded, checkout, before + goal), 60)
            time.sleep(chance.random() / 50)
    assert len(yielded(checkout)) > 20
    scrape(checkout, environment)
    bills, finished = published(aws)
    missing = {key for key, body in yielded(checkout).items() if bills.get(key) != body}
    assert missing == set()
    assert len(finished) == 1
    assert not (checkout / "_realtime_spool").exists()
