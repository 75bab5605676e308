"""Helpers for all kinds of tests. Does not import the project."""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

CompletedText = subprocess.CompletedProcess[str]
ROOT = Path(__file__).resolve().parent.parent

# How many cases the generative tests tried, by test; printed at the end.
TRIED: defaultdict[str, Counter[str]] = defaultdict(Counter)

# The developer's settings and credentials, which tests must not see.
_PRIVATE_PREFIXES = ("AWS_", "BOTO_", "DATABASE_", "REALTIME_", "SCRAPE_", "STATS_", "S3_", "SQS_")
_PRIVATE_NAMES = ("FILE_ARCHIVING_ENABLED", "SECRET_KEY", "OPENSTATES_LOG_LEVEL")

# How the reason of a skip begins that an installation would spare, see `not_installed`.
NOT_INSTALLED = "not installed: "

# Real scrapes and people; no such folder unless somebody names one.
REAL_DATA = Path(os.environ.get("REALTIME_TEST_DATA", "no-such-folder"))

_MEMORY = "/dev/shm"
_PLENTY_BYTES = 6 * 2**30


@dataclass(frozen=True)
class Aws:
    """A new bucket and queue, clients for them, and the environment that names them."""

    s3: "S3Client"
    sqs: "SQSClient"
    bucket: str
    queue_url: str
    environment: Mapping[str, str]


def through(endpoint: str, aws: Aws) -> Aws:
    """`aws` by way of the proxy at `endpoint`; a request is tried twice, for a moment each."""
    config = Config(read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    session = _session_of(
        aws.environment["AWS_ACCESS_KEY_ID"],
        aws.environment["AWS_SECRET_ACCESS_KEY"],
        aws.environment["AWS_DEFAULT_REGION"],
    )
    return replace(
        aws,
        s3=session.client("s3", endpoint_url=endpoint, config=config),
        sqs=session.client("sqs", endpoint_url=endpoint, config=config),
    )


@cache
def _session_of(key_id: str, secret: str, region: str) -> boto3.session.Session:
    # One: each reads anew what it knows of a service, which takes most of the time.
    return boto3.session.Session(key_id, secret, region_name=region)


def as_line(counts: "Counter[str]") -> str:
    """Counts on one line, the most frequent first."""
    return ", ".join(f"{count:,} {what}" for what, count in counts.most_common())


def use_memory_for_files() -> None:
    """Put temporary files, above all the stack's databases, into memory if there is enough.

    Nearly every test copies a database, which would wait for the disk. A TMPDIR that is set stays.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    found = os.statvfs(_MEMORY)
    # The size of /dev/shm is only a limit; the memory must be available too.
    room = min(found.f_bavail * found.f_frsize, _available_bytes())
    if room > _PLENTY_BYTES and not found.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = _MEMORY
        tempfile.tempdir = None


def _available_bytes() -> int:
    """Memory available without swapping, in bytes (Linux); 0 if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line), 0)


def not_installed(what: str, remedy: str) -> str:
    """The reason to skip a test that needs `what`, which the command `remedy` installs.

    With REALTIME_TEST_COMPLETE set, such a skip is a failure. What no command can install here
    (another system, other rights, real data) is skipped for a reason in other words.
    """
    return f"{NOT_INSTALLED}{what} ({remedy})"


def without_real_data(*folders: str) -> str:
    """Why tests of these folders of real data are skipped; empty when all are there."""
    lacking = [folder for folder in folders if not (REAL_DATA / folder).is_dir()]
    return f"no real data: REALTIME_TEST_DATA has no {', '.join(lacking)}" if lacking else ""


def is_private(name: str) -> bool:
    """Whether the environment variable `name` holds a setting or credential of the developer."""
    return name.startswith(_PRIVATE_PREFIXES) or name in _PRIVATE_NAMES


def run_manage(
    *arguments: str,
    env: Mapping[str, str] | None = None,
    check: bool = True,
    input: str | None = None,
    timeout: float = 120,
    cwd: Path = ROOT,
) -> CompletedText:
    """Run `manage.py` with the interpreter of the tests.

    `env` is the complete environment; the default is that of the tests, which names no database and
    no AWS. With `check`, an exit status other than 0 raises AssertionError with the output.
    """
    result = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env=None if env is None else dict(env),
        # Never None: a command must not read from the developer's terminal.
        input=input or "",
        capture_output=True,
        check=False,
        text=True,
        timeout=timeout,
        cwd=cwd,
    )
    if check and result.returncode:
        raise AssertionError(
            f"manage.py {' '.join(arguments)}: status {result.returncode}\n"
            f"{result.stdout}\n{result.stderr}"
        )
    return result


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether `condition` came true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended (Linux)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def processes_naming(text: str) -> list[int]:
    """The ids of the other running processes with `text` in their command line (Linux)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes()
        except OSError:
            continue
        if text.encode() in command and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def messages_in(sqs: "SQSClient", queue_url: str) -> int:
    """The number of messages in a queue, visible or hidden."""
    found = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    visible = int(found["ApproximateNumberOfMessages"])
    return visible + int(found["ApproximateNumberOfMessagesNotVisible"])
