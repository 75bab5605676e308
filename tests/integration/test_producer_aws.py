"""The producer against S3 and SQS over HTTP."""

import json
import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.domain import messages
from realtime.domain.config import Bucket
from realtime.domain.errors import ConfigurationError
from realtime.domain.messages import FileMessage, RunFinished
from realtime.producer.producer import File, Jurisdiction, NotPublished, Producer
from tests.support import Aws

WYOMING = Jurisdiction("wy", "ocd-jurisdiction/country:us/state:wy/government", "Wyoming")


def bodies(aws: Aws) -> list[str]:
    found: list[str] = []
    while received := aws.sqs.receive_message(QueueUrl=aws.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        found += [message["Body"] for message in received]
    return found


def producer_of(aws: Aws, folder: Path, bucket: str = "") -> Producer:
    name = bucket or aws.bucket
    return Producer(
        S3Store(name, aws.s3),
        SqsQueue(aws.queue_url, aws.sqs),
        Bucket(name, "pre/"),
        folder / "spool",
        uuid.uuid4(),
    )


def test_publish__a_run__is_in_the_bucket_and_in_the_queue(aws: Aws, tmp_path: Path) -> None:
    producer = producer_of(aws, tmp_path)
    started = datetime.now(UTC)
    files = [
        File("bill", str(uuid.uuid1()), json.dumps({"n": n}).encode(), started) for n in range(25)
    ]
    for file in files:
        producer.publish(WYOMING, file, file_archiving_enabled=False)
    producer.finish(WYOMING, started)
    parsed = [message for body in bodies(aws) for message in messages.parse(body)]
    sent = {m.key for m in parsed if isinstance(m, FileMessage)}
    assert sent == {f"pre/wy/bill_{file.scrape_id}.json" for file in files}
    assert [m.objects for m in parsed if isinstance(m, RunFinished)] == [{"bill": 25}]
    stored = aws.s3.get_object(Bucket=aws.bucket, Key=f"pre/wy/bill_{files[7].scrape_id}.json")
    assert stored["Body"].read() == files[7].body
    assert stored["Metadata"] == {
        "run-id": str(producer.run_id),
        "scraped-at": started.isoformat(timespec="microseconds"),
    }
    assert list(tmp_path.iterdir()) == []


def test_publish__no_such_bucket__is_a_wrong_setting_and_loses_nothing(
    aws: Aws, tmp_path: Path
) -> None:
    producer = producer_of(aws, tmp_path, "there-is-no-such-bucket")
    file = File("bill", str(uuid.uuid1()), b"{}", datetime.now(UTC))
    producer.publish(WYOMING, file, file_archiving_enabled=False)
    with pytest.raises(NotPublished, match="S3_REALTIME_BASE: there is no bucket"):
        producer.close()
    with pytest.raises(ConfigurationError):
        producer.publish(WYOMING, file, file_archiving_enabled=False)
    assert len(list(tmp_path.rglob("bill_*.json.spooled"))) == 2
    assert bodies(aws) == []
