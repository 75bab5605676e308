"""`import_realtime --from SOURCE --run`, killed: the next call goes on, and ends as core does."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.models import File, ScrapeRun
from tests import oracle, rows, scrapes, source_makers
from tests.fault_proxy import AwsProxy, Fault, Request
from tests.integration.test_convergence import a_scrape
from tests.support import ROOT, Aws

CHILD = ROOT / "tests/crash_child.py"
COMMITS = {
    "first batch": "commit in consumer.from_source._Import._commit 1",
    "later batch": "commit in consumer.from_source._Import._commit 4",
    "end of the run": "commit in consumer.from_source._Import._end 1",
    "finalization": "commit in finalization.state_machine.Finalization._commit 3",
}


class Bucket:
    """A bucket with a manifest of these files, behind a proxy that counts who reads what."""

    def __init__(self, aws: Aws, proxy: AwsProxy, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            aws.s3.put_object(Bucket=aws.bucket, Key=f"wy/{name}", Body=content)
        manifest = {"run_id": source_makers.RUN, "objects": source_makers.keys(files)}
        url = f"s3://{aws.bucket}/wy/_manifest.json"
        body = json.dumps(manifest).encode()
        aws.s3.put_object(Bucket=aws.bucket, Key="wy/_manifest.json", Body=body)
        self.command = ("import_realtime", "--from", url, "--run", "--json")
        self.reads: Counter[str] = Counter()
        self._reached = threading.Condition()
        proxy.rule = self._count

    def _count(self, request: Request) -> Fault | None:
        if request.operation == "GetObject" and "_manifest" not in request.path:
            with self._reached:
                self.reads[request.path] += 1
                self._reached.notify_all()
        return None

    def wait_for(self, reads: int) -> None:
        """Wait until so many objects have been read."""
        with self._reached:
            assert self._reached.wait_for(lambda: self.reads.total() >= reads, 120)


@pytest.fixture
def environment(database: str, aws: Aws, proxy: AwsProxy) -> dict[str, str]:
    endpoints = {"AWS_ENDPOINT_URL": proxy.endpoint, "AWS_ENDPOINT_URL_S3": proxy.endpoint}
    return {**os.environ, **aws.environment, **endpoints, "DATABASE_URL": database}


@contextmanager
def truth(
    stack: DevStack, template: str, folder: Path, files: dict[str, bytes]
) -> Iterator[list[str]]:
    """What core's batch import leaves of the files."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    name = f"truth_{secrets.token_hex(6)}"
    with using_database(stack.postgres.create_database(name, template=template)):
        oracle.import_scrape(folder, scrapes.WYOMING.jurisdiction_id)
        yield rows.dump()
    stack.postgres.drop_database(name)


def report_of(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report


@pytest.mark.parametrize(
    ("at", "when"),
    [
        ("first batch", "after"),
        ("later batch", "before"),
        ("end of the run", "after"),
        ("finalization", "before"),
        pytest.param("first batch", "before", marks=pytest.mark.long),
        pytest.param("later batch", "after", marks=pytest.mark.long),
        pytest.param("end of the run", "before", marks=pytest.mark.long),
        pytest.param("finalization", "after", marks=pytest.mark.long),
    ],
)
def test_from__killed_at_a_commit__next_call_goes_on_and_ends_as_core_does(
    at: str,
    when: str,
    stack: DevStack,
    seeded_template: str,
    aws: Aws,
    proxy: AwsProxy,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    files = source_makers.named(*a_scrape(random.Random(3)))
    bucket = Bucket(aws, proxy, files)
    point, _, number = COMMITS[at].rpartition(" ")
    crash = {"CRASH_AT": point, "CRASH_NUMBER": number, "CRASH_WHEN": when}
    run = [sys.executable, str(CHILD), *bucket.command]

    killed = subprocess.run(run, env={**environment, **crash}, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = report_of(subprocess.run(run, env=environment, capture_output=True, text=True))

    assert again["received"] == len(files) and not again["failed"]
    assert bucket.reads.total() <= len(files) + 8, "one batch at most is read again"
    assert_ended_well(stack, seeded_template, tmp_path, files)


@pytest.mark.long
def test_from__killed_twenty_times_at_random__under_a_tenth_read_again(
    stack: DevStack,
    seeded_template: str,
    aws: Aws,
    proxy: AwsProxy,
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    rng = random.Random(11)
    files = source_makers.named(*many(rng, 2_000))
    bucket = Bucket(aws, proxy, files)
    run = [sys.executable, str(ROOT / "manage.py"), *bucket.command]
    for _ in range(20):
        child = subprocess.Popen(run, env=environment, stdout=subprocess.DEVNULL)
        bucket.wait_for(bucket.reads.total() + rng.randint(1, 180))
        threading.Event().wait(rng.uniform(0, 0.2))
        child.kill()
        assert child.wait() == -signal.SIGKILL
    report_of(subprocess.run(run, env=environment, capture_output=True, text=True))
    again = bucket.reads.total() - len(files)
    print(f"{len(files)} files, 20 kills: {again} read again")
    assert set(bucket.reads) and again < len(files) / 10
    assert_ended_well(stack, seeded_template, tmp_path, files)


def many(rng: random.Random, files: int) -> Iterator[dict[str, Any]]:
    yield scrapes.jurisdiction()
    made = 1
    while made < files:
        bill = scrapes.bill(f"HB {made}", actions=rng.randint(0, 3))
        votes = [scrapes.vote_event(bill, f"motion {n}") for n in range(rng.randint(0, 4))]
        for data in [bill, *votes][: files - made]:
            yield data
            made += 1


def assert_ended_well(
    stack: DevStack, template: str, folder: Path, files: dict[str, bytes]
) -> None:
    in_pieces = rows.dump()
    run = ScrapeRun.objects.get()
    assert run.finalized_at and not run.closed
    assert File.objects.filter(bucket="").count() == len(files)
    with truth(stack, template, folder, files) as expected:
        assert list(rows.differences(expected, in_pieces)) == []
