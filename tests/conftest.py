"""Fixtures: one embedded stack for the session; a new database, bucket and queue for each test."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from _pytest.config import Config
from _pytest.config.argparsing import Parser
from _pytest.reports import TestReport
from _pytest.terminal import TerminalReporter
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack import DevStack, binaries
from realtime.devstack.database import load_jurisdiction, migrate, using_database
from realtime.importers.bulk import known_cores
from tests import support
from tests.fault_proxy import AwsProxy
from tests.support import Aws

# Hypothesis tries the same examples in every run; `make test-search` tries others. No test fails
# for being slow, because machines are noisy.
hypothesis.settings.register_profile(
    "repeatable",
    derandomize=True,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("repeatable")

# At import, because pytest makes its temporary folder before the first test.
support.use_memory_for_files()

# Read now: no test sees our own variables.
COMPLETE = "REALTIME_TEST_COMPLETE" in os.environ
# Where `make mutants` keeps the seeded database for its many short sessions: migrating takes most
# of their time.
SEED = Path(os.environ["REALTIME_TEST_SEED"]) if "REALTIME_TEST_SEED" in os.environ else None

SEEDED_JURISDICTIONS = ("wy", "dc", "us")


def pytest_addoption(parser: Parser) -> None:
    """What `make core-check` asks for."""
    parser.addoption(
        "--admit-core",
        action="store_true",
        help="let the set-based importers run in tests on a core that they do not know",
    )


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print how many cases the generative tests have tried."""
    for name, counts in sorted(support.TRIED.items()):
        terminalreporter.write_line(f"tried {name}: {support.as_line(counts)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass a parallel worker's counts to the main process."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["tried"] = {name: dict(counts) for name, counts in support.TRIED.items()}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, None, None]:
    """Under `make coverage`, record which lines each test reaches."""
    if "coverage" in sys.modules:
        from coverage import Coverage

        if recording := Coverage.current():
            recording.switch_context(item.nodeid)
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Fail a test that is skipped for want of something installed, where all is asked for."""
    outcome = yield
    report: TestReport = outcome.get_result()
    # A skip's account is its file, line and reason.
    if COMPLETE and report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(support.NOT_INSTALLED):
            report.outcome, report.longrepr = "failed", reason


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add a parallel worker's counts to those of the main process."""
    for name, counts in getattr(node, "workeroutput", {}).get("tried", {}).items():
        support.TRIED[name].update(counts)


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide the developer's database, AWS account and settings from all tests."""
    nowhere = str(tmp_path_factory.getbasetemp() / "no-such-file")
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(support.is_private, list(os.environ)):
            patch.delenv(name)
        patch.setenv("AWS_CONFIG_FILE", nowhere)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", nowhere)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


@pytest.fixture(scope="session", autouse=True)
def admitted_core(pytestconfig: Config) -> Iterator[None]:
    """With `--admit-core`, the installed core counts as known in this process."""
    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.getoption("--admit-core"):
            digest = known_cores.core_digest()
            label = known_cores.KNOWN.get(digest, "the one under test")
            patch.setitem(known_cores.KNOWN, digest, label)
        yield


@pytest.fixture(scope="session")
def stack() -> Iterator[DevStack]:
    """PostgreSQL, S3 and SQS; started by the first test that needs them."""
    with DevStack() as running:
        yield running


@pytest.fixture(scope="session")
def seeded_template(stack: DevStack, django_db_blocker: _DatabaseBlocker) -> str:
    """The name of a template database with our schema, parties, and wy, dc and us."""
    name = "seeded"
    url = stack.postgres.create_database(name)
    if SEED and SEED.exists():
        run_postgres_program("pg_restore", "--dbname", url, str(SEED))
        return name
    with django_db_blocker.unblock(), using_database(url):
        migrate()
        for abbr in SEEDED_JURISDICTIONS:
            load_jurisdiction(abbr)
    if SEED:
        # Complete as soon as it is there, since other sessions may wait for it.
        mine = SEED.with_suffix(f".{os.getpid()}")
        run_postgres_program("pg_dump", "--format", "custom", "--file", str(mine), url)
        mine.replace(SEED)
    return name


def run_postgres_program(name: str, *arguments: str) -> None:
    subprocess.run([binaries.installed() / "bin" / name, *arguments], check=True)


@pytest.fixture
def database_url(stack: DevStack, seeded_template: str) -> Iterator[str]:
    """The URL of this test's own copy of the seeded database, for subprocesses and psycopg2."""
    # A test may have stopped the server.
    stack.postgres.start()
    name = f"test_{secrets.token_hex(6)}"
    yield stack.postgres.create_database(name, template=seeded_template)
    stack.postgres.start()
    stack.postgres.drop_database(name)


@pytest.fixture
def database(database_url: str, django_db_blocker: _DatabaseBlocker) -> Iterator[str]:
    """Connect Django to this test's database; the test may commit. Yields the URL.

    Replaces pytest-django's `db`, which wraps each test in a transaction or empties all tables.
    """
    with django_db_blocker.unblock(), using_database(database_url):
        yield database_url


@pytest.fixture
def aws(stack: DevStack) -> Aws:
    """This test's own bucket and queue."""
    return fresh_aws(stack)


@pytest.fixture
def proxy(stack: DevStack) -> Iterator[AwsProxy]:
    """Forwards to S3 and SQS, and injects faults; see `support.through`."""
    with AwsProxy(stack.aws.endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def module_aws(stack: DevStack) -> Aws:
    """A bucket and a queue shared by the tests of a module."""
    return fresh_aws(stack)


def fresh_aws(stack: DevStack) -> Aws:
    name = f"test-{secrets.token_hex(6)}"
    stack.aws.create_bucket(name)
    queue_url = stack.aws.create_queue(name)
    return Aws(
        s3=stack.aws.s3(),
        sqs=stack.aws.sqs(),
        bucket=name,
        queue_url=queue_url,
        environment={
            **stack.aws.environment(),
            "S3_REALTIME_BASE": f"s3://{name}",
            "SQS_QUEUE_URL": queue_url,
        },
    )


@pytest.fixture
def environment(database_url: str, aws: Aws) -> dict[str, str]:
    """The complete environment of a subprocess that uses this test's database, bucket and queue."""
    return {**os.environ, **aws.environment, "DATABASE_URL": database_url}


@pytest.fixture
def run_manage() -> Callable[..., support.CompletedText]:
    """`support.run_manage(*arguments, env=…, check=True, input=None, timeout=120)`."""
    return support.run_manage
