"""The lists of mistakes that tests must notice, and what tries them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import listed
from tests.support import ROOT

NOTICES = "tests/unit/test_messages.py::test_parse__run_id__kept"


def entry(after: str, more: str) -> str:
    return f"""
[[mutant]]
module = "realtime/domain/messages.py"
what = "a file is of no run"
before = 'run_id=_uuid(data, "run_id") if'
after = '{after}'
{more}
"""


def functions(path: Path) -> set[str]:
    return set(re.findall(r"^ *def (test_\w+)", path.read_text(), re.MULTILINE))


def test_lists__of_today__fit_the_code_and_name_tests_that_exist() -> None:
    for mutant in listed.read(listed.lists()):
        mutant.mutated()
        assert mutant.tests or mutant.equivalent, mutant
        for test in mutant.tests:
            file, _, name = test.partition("::")
            assert (ROOT / file).is_file(), test
            assert not name or name.partition("[")[0] in functions(ROOT / file), test


def test_run__mistakes_of_a_list__said_which_survive(tmp_path: Path) -> None:
    mine, report = tmp_path / "mine.toml", tmp_path / "report.json"
    before = (ROOT / "realtime/domain/messages.py").read_text()
    mine.write_text(
        entry("run_id=None if", f'tests = ["{NOTICES}"]')
        + entry('run_id=_uuid(data, "run_id")  if', f'tests = ["{NOTICES}"]')
        + entry("run_id=None if", 'equivalent = "nobody asks"')
    )
    told = mutants(str(mine), "--report", str(report))
    assert told.returncode == 1, told.stdout + told.stderr
    found = [(one["what"], one["by"]) for one in json.loads(report.read_text())]
    assert found == [("killed", NOTICES), ("survived", ""), ("equivalent", "")]
    assert "survived: realtime/domain/messages.py: a file is of no run" in told.stdout
    assert (ROOT / "realtime/domain/messages.py").read_text() == before


@pytest.mark.parametrize(
    "before, after, why",
    [
        ("no such code", "", "occurs 0 times, not once"),
        ("run_id", "", "times, not once"),
        ("run_id: uuid.UUID | None = None", "run_id: (", "does not compile"),
    ],
)
def test_run__list_that_does_not_fit_the_code__refused(
    tmp_path: Path, before: str, after: str, why: str
) -> None:
    mine = tmp_path / "mine.toml"
    listing = entry(after, 'equivalent = "nobody asks"')
    mine.write_text(listing.replace('run_id=_uuid(data, "run_id") if', before))
    told = mutants(str(mine))
    assert told.returncode == 2
    assert "realtime/domain/messages.py: a file is of no run" in told.stderr
    assert why in told.stderr


def mutants(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tests.mutants", "--jobs", "1", *arguments],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
