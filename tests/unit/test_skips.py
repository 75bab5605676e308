"""A complete run of the tests, as `.ci/run` asks for, fails for want of what can be installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

MODULE = """
import pytest
from tests.support import not_installed

REASON = not_installed("a thing", "make thing")

@pytest.fixture
def thing():
    pytest.skip(REASON)

@pytest.mark.skipif(True, reason=REASON)
def test_marked(): ...

def test_with_a_fixture_that_skips(thing): ...

@pytest.mark.skipif(True, reason="only root may do this")
def test_that_no_installation_helps(): ...

@pytest.mark.xfail(reason=REASON)
def test_expected_to_fail():
    assert False
"""


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "3 skipped, 1 xfailed"),
        ({"REALTIME_TEST_COMPLETE": "1"}, "1 skipped, 1 xfailed, 2 err"),
    ],
    ids=["usual", "complete"],
)
def test_skip__something_not_installed__fails_only_a_complete_run(
    tmp_path: Path, environment: dict[str, str], expected: str
) -> None:
    path = tmp_path / "test_one.py"
    path.write_text(MODULE)
    plugins = ("-p", "no:cacheprovider", "-p", "tests.conftest")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "setup.cfg", *plugins, path],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert expected in result.stdout.splitlines()[-1]
