"""The implementations that the contracts are run against."""

import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from realtime.backends.s3 import S3Store
from realtime.backends.sqs import SqsQueue
from realtime.devstack import DevStack
from realtime.devstack.memory import MemoryQueue, MemoryStore
from realtime.domain.interfaces import Queue, Store
from tests.support import ROOT, wait_until

MINISTACK = ROOT / ".venv-emulator" / "bin" / "ministack"


@dataclass(frozen=True)
class Backend:
    """Makes an empty store, versioned or not, and an empty queue, whenever asked."""

    store: Callable[[bool], Store]
    queue: Callable[[], Queue]


def memory() -> Backend:
    return Backend(store=lambda versioned: MemoryStore(), queue=MemoryQueue)


def moto(stack: DevStack) -> Backend:
    return emulator(stack.aws.endpoint)


def emulator(endpoint: str) -> Backend:
    """Anything that speaks the protocols of S3 and SQS at `endpoint`."""
    s3, sqs = client("s3", endpoint), client("sqs", endpoint)

    def store(versioned: bool) -> Store:
        name = f"contract-{secrets.token_hex(6)}"
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return S3Store(name, s3)

    def queue() -> Queue:
        url = sqs.create_queue(QueueName=f"contract-{secrets.token_hex(6)}")["QueueUrl"]
        return SqsQueue(url, sqs, wait=0)

    return Backend(store, queue)


def client(service: Any, endpoint: str, read_timeout: float = 30) -> Any:
    return _session().client(
        service,
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id="contract",
        aws_secret_access_key="contract",
        config=Config(retries={"max_attempts": 1}, connect_timeout=5, read_timeout=read_timeout),
    )


@cache
def _session() -> boto3.session.Session:
    # One: each reads anew what it knows of a service, which takes most of the time.
    return boto3.session.Session()


@contextmanager
def ministack() -> Iterator[str]:
    """The endpoint of a ministack of its own, which ends with the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:
        process = subprocess.Popen(
            [str(MINISTACK)],
            env={
                "PATH": os.defpath,
                "HOME": folder,
                "TMPDIR": folder,
                "BIND_HOST": "127.0.0.1",
                "MINISTACK_HOST": "127.0.0.1",
                "GATEWAY_PORT": str(port),
            },
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            if not wait_until(lambda: _answers(endpoint), seconds=30):
                log.seek(0)
                raise AssertionError(f"ministack did not start: {log.read()[-2000:]}")
            yield endpoint
        finally:
            process.terminate()
            process.wait(10)


def _answers(endpoint: str) -> bool:
    try:
        client("s3", endpoint).list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True
