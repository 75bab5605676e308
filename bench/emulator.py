"""S3 and SQS for whole runs: a given endpoint, ministack from its own venv, or moto."""

import secrets
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import BATCH, SqsQueue
from realtime.devstack.aws import LocalAws
from tests.contracts.backends import MINISTACK, ministack


@dataclass(frozen=True)
class Place:
    """A new bucket and queue, and the environment that names them."""

    store: S3Store
    queue: SqsQueue
    environment: dict[str, str]

    def publish(self, files: Sequence[tuple[str, bytes, str]]) -> None:
        """Upload all files (key, body, message), then send their messages in this order."""
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda file: self.store.put(file[0], file[1], {}), files))
        for at in range(0, len(files), BATCH):
            if self.queue.send([message for _, _, message in files[at : at + BATCH]]):
                raise RuntimeError("the queue refused messages")

    def waiting(self) -> int:
        """Number of messages in the queue, hidden and delayed ones included."""
        names = ["", "NotVisible", "Delayed"]
        wanted = [f"ApproximateNumberOfMessages{name}" for name in names]
        client = _client("sqs", self.environment["AWS_ENDPOINT_URL"])
        found = client.get_queue_attributes(QueueUrl=self.queue.url, AttributeNames=wanted)
        return sum(int(value) for value in found["Attributes"].values())


@dataclass(frozen=True)
class Emulator:
    """An endpoint that serves S3 and SQS; `name` is shown in the report. `pid` is its process, if
    that is one of its own on this machine."""

    name: str
    endpoint: str
    pid: int | None = None

    def place(self, versioned: bool = False) -> Place:
        """Make a new bucket and queue; the bucket may keep versions."""
        name = f"bench-{secrets.token_hex(6)}"
        s3, sqs = _client("s3", self.endpoint), _client("sqs", self.endpoint)
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
        environment = {
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_REALTIME_BASE": f"s3://{name}",
            "SQS_QUEUE_URL": url,
        }
        return Place(S3Store(name, s3), SqsQueue(url, sqs), environment)


@contextmanager
def running(endpoint: str | None) -> Iterator[Emulator]:
    """The emulator at `endpoint`; without one, start the fastest installed one for the block."""
    if endpoint:
        yield Emulator("a given endpoint", endpoint)
    elif MINISTACK.exists():
        with ministack() as (started, pid):
            yield Emulator("ministack", started, pid)
    else:
        print("no ministack (`make bench` installs it): moto, which is slow", file=sys.stderr)
        with LocalAws() as aws:
            yield Emulator("moto", aws.endpoint)


def _client(service: Any, endpoint: str) -> Any:
    return boto3.session.Session().client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
        config=Config(retries={"max_attempts": 2}, connect_timeout=5, read_timeout=60),
    )
