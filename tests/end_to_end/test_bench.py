"""`python -m bench` at a size that measures nothing but shows that it works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, CompletedText

TINY = ("--files", "4", "--pairs", "1", "--held", "1000")
# What a piece of figures holds that compares importers.
COST = {"seconds": 2.0, "cpu_seconds": 1.0, "database_seconds": 1.0, "statements": 9.0,
        "peak_mib": 3.0}  # fmt: skip
STEP = {"core": {**COST, "seconds": 17.0}, "ours": COST, "core ÷ ours": 8.5}
LOOPBACK = {
    "objects": 4,
    "pairs": 1,
    "insert": {**STEP, "floor seconds": 1.0, "ours ÷ floor": 2.0},
    "unchanged": STEP,
    "update": STEP,
}
SOONER = {
    "emulator": "moto",
    "every seconds": 120.0,
    "core seconds": 61.0,
    "paces": {
        "a bill a second": {
            "scrape seconds": 600.0,
            "runs": 6,
            "run seconds": 3.0,
            "types": {
                "bill": {
                    "files": 556,
                    "sooner": {"min": -60.0, "p25": 90.0, "p50": 240.0, "p75": 360.0, "max": 570.0},
                    "ours": 66.0,
                    "batch": 300.0,
                }
            },
        }
    },
}


def bench(*arguments: str) -> CompletedText:
    result = subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--json"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def growth() -> CompletedText:
    """The section that starts the fewest processes."""
    return bench(*TINY, "--only", "growth")


def test_bench__tiny__prints_tables_and_one_object_last(growth: CompletedText) -> None:
    figures = json.loads(growth.stdout.splitlines()[-1])
    assert set(figures["results"]) == {"growth"}
    assert figures["results"]["growth"]["insert"]["seconds"]["1000"] > 0
    assert "| measure | value | at least | aim | met |" in growth.stdout


@pytest.mark.long
def test_bench__other_sections__all_say_something() -> None:
    others = ("loopback", "run", "startup", "sooner")
    found = json.loads(bench(*TINY, "--only", ",".join(others)).stdout.splitlines()[-1])
    assert set(found["results"]) == set(others)
    assert found["results"]["sooner"]["paces"]["a bill a second"]["types"]["bill"]["files"] == 1
    ours = found["results"]["loopback"]["insert"]["ours"]
    assert ours["statements"] > 0
    assert ours["peak_mib"] > 0


def test_bench__pieces__become_one_page_with_a_picture(
    growth: CompletedText, tmp_path: Path
) -> None:
    measured, compared, page = (tmp_path / name for name in ("measured", "compared", "page.md"))
    measured.write_text(growth.stdout)
    figures = json.loads(growth.stdout.splitlines()[-1])
    other = {
        **figures,
        "commands": ["python -m bench elsewhere"],
        "results": {"loopback": LOOPBACK, "sooner": SOONER},
    }
    compared.write_text(json.dumps(other))
    rendered = bench("--render", str(measured), str(compared), "--write", str(page))
    merged = json.loads(rendered.stdout.splitlines()[-1])
    assert merged["results"] == {**figures["results"], "loopback": LOOPBACK, "sooner": SOONER}
    text = page.read_text()
    assert "python -m bench --files 4" in text
    assert "python -m bench elsewhere" in text
    assert "| 1,000, s |" in text
    assert "| bill | 556 | -1.0 | 1.5 | 4.0 | 6.0 | 9.5 | 1.1 | 5.0 |" in text
    assert str(tmp_path) not in text
    picture = page.with_suffix(".svg").read_text()
    assert picture.startswith("<svg")
    assert picture.count(">8.5<") == len(("insert", "unchanged", "update"))
