"""Reports count the requests that a command makes to S3 and SQS."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import scrapes
from tests.fault_proxy import AwsProxy
from tests.support import Aws, run_manage


@pytest.fixture
def proxy(aws: Aws) -> Iterator[AwsProxy]:
    with AwsProxy(aws.environment["AWS_ENDPOINT_URL"]) as proxy:
        yield proxy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as core leaves it: two bills with a vote event each."""
    bills = [scrapes.bill(f"HB {number}") for number in (1, 2)]
    files = [scrapes.jurisdiction(), *bills, *(scrapes.vote_event(bill) for bill in bills)]
    for file in files:
        object_type = scrapes.type_of(file)
        name = "wy" if object_type == "jurisdiction" else file["_id"]
        (tmp_path / f"{object_type}_{name}.json").write_text(json.dumps(file))
    return tmp_path


def test_reports__of_each_command__count_the_requests_that_reached_s3_and_sqs(
    folder: Path, proxy: AwsProxy, environment: dict[str, str]
) -> None:
    environment, imported = {**environment, "AWS_ENDPOINT_URL": proxy.endpoint}, 0
    for command in (
        ("publish_realtime", str(folder), "--jurisdiction", "wy", "--run"),
        ("import_realtime", "--until-empty"),
        ("finalize_realtime",),
        ("publish_realtime", str(folder), "--jurisdiction", "wy"),
        ("import_realtime", "--until-empty"),
        ("archive_realtime",),
    ):
        # The first import archives its files; the second leaves them to `archive_realtime`.
        environment["REALTIME_ARCHIVE"] = "later" if imported else "inline"
        imported += command[0] == "import_realtime"
        proxy.requests.clear()
        done = run_manage(*command, "--json", env=environment)
        report = json.loads(done.stdout.splitlines()[-1])
        assert report["requests"] == proxy.requests, command
        assert bool(proxy.requests) == (command[0] != "finalize_realtime")
