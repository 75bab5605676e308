"""`manage.py publish_realtime` on folders that exist already."""

import json
import os
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support import Aws, run_manage


@pytest.fixture
def environment(aws: Aws) -> dict[str, str]:
    """S3 and SQS, and no database."""
    return {**os.environ, **aws.environment}


@pytest.fixture
def scrape(tmp_path: Path) -> Path:
    """A folder as core leaves it, with three bills."""
    folder = tmp_path / "_data" / "wy"
    folder.mkdir(parents=True)
    for number in range(3):
        scrape_id = str(uuid.uuid1())
        (folder / f"bill_{scrape_id}.json").write_text(json.dumps({"_id": scrape_id, "n": number}))
    return folder


def receive(aws: Aws) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while received := aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        found += [json.loads(message["Body"]) for message in received]
    return found


def test_publish_realtime__a_folder_as_a_run__sends_files_and_end(
    scrape: Path, aws: Aws, environment: dict[str, str]
) -> None:
    options = ("--jurisdiction", "wy", "--run", "--archive", "--shuffle", "1", "--json")
    done = run_manage("publish_realtime", str(scrape), *options, env=environment)
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["types"] == {"bill": 3}
    assert report["problems"] == []
    assert report["run_id"] in done.stdout.splitlines()[0]
    *files, end = sorted(receive(aws), key=lambda message: "run_finished" in message)
    assert end["run_id"] == report["run_id"]
    assert end["run_finished"]["objects"] == {"bill": 3}
    assert [file["file_archiving_enabled"] for file in files] == [True] * 3
    stored = {
        aws.s3.get_object(Bucket=aws.bucket, Key=file["file_path"])["Body"].read() for file in files
    }
    assert stored == {path.read_bytes() for path in scrape.iterdir()}


def test_publish_realtime__a_file_that_is_not_json__sends_the_others_and_fails(
    scrape: Path, aws: Aws, environment: dict[str, str]
) -> None:
    (scrape / "bill_torn.json").write_text("{")
    failed = run_manage(
        "publish_realtime", str(scrape), "--jurisdiction", "wy", env=environment, check=False
    )
    assert failed.returncode == 1
    assert "bill_torn.json" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert len(receive(aws)) == 3


def test_publish_realtime__a_run_with_a_bad_file__says_that_the_run_has_no_end(
    scrape: Path, aws: Aws, environment: dict[str, str]
) -> None:
    (scrape / "bill_torn.json").write_text("{")
    options = ("--jurisdiction", "wy", "--run")
    failed = run_manage("publish_realtime", str(scrape), *options, env=environment, check=False)
    assert failed.returncode == 1
    torn, last = failed.stderr.splitlines()
    assert "bill_torn.json: the file is not JSON" in torn
    assert "has no end" in last and "publish all again with --run" in last
    messages = receive(aws)
    assert len(messages) == 3
    assert messages[0]["run_id"] in last
    assert not any("run_finished" in message for message in messages)


def test_publish_realtime__files_of_another_state__refused_before_any_is_sent(
    scrape: Path, aws: Aws, environment: dict[str, str]
) -> None:
    utah = "ocd-jurisdiction/country:us/state:ut/government"
    for number in range(12):
        scrape_id = str(uuid.uuid1())
        content = {"_id": scrape_id, "jurisdiction": {"id": utah, "name": "Utah"}}
        (scrape / f"vote_event_{number:02}{scrape_id}.json").write_text(json.dumps(content))
    failed = run_manage(
        "publish_realtime", str(scrape), "--jurisdiction", "wy", env=environment, check=False
    )
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1
    assert failed.stderr.count(f"is of {utah}") == 10 and "and 2 more" in failed.stderr
    assert "vote_event_00" in failed.stderr
    assert receive(aws) == []
    assert not list(aws.s3.list_objects_v2(Bucket=aws.bucket).get("Contents", []))


def test_publish_realtime__no_such_bucket__leaves_no_spool(
    scrape: Path, environment: dict[str, str]
) -> None:
    environment["S3_REALTIME_BASE"] = "s3://there-is-no-such-bucket"
    options = ("--jurisdiction", "wy", "--run")
    failed = run_manage(
        "publish_realtime", str(scrape), *options, env=environment, check=False, cwd=scrape.parent
    )
    assert failed.returncode == 1
    assert "there is no bucket there-is-no-such-bucket" in failed.stderr
    assert [path for path in scrape.parent.iterdir() if path != scrape] == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [((), "--jurisdiction is missing"), (("--jurisdiction", "zz"), "no jurisdiction 'zz'")],
)
def test_publish_realtime__unclear_whose_files__sends_nothing(
    scrape: Path, aws: Aws, environment: dict[str, str], options: tuple[str, ...], complaint: str
) -> None:
    failed = run_manage("publish_realtime", str(scrape), *options, env=environment, check=False)
    assert failed.returncode == 1
    assert complaint in failed.stderr
    assert len(failed.stderr.splitlines()) == 1
    assert receive(aws) == []
