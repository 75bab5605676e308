"""`python -m bench` at a size that measures nothing but shows that it works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.prices import Measured, a_million
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
    "look seconds": 0.05,
    "core seconds": 61.0,
    "lags": {"cron or schedule, every 120 s": {"p50": 60.0, "p95": 118.25}},
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
PART = {
    "seconds": 3.0,
    "cpu_seconds": 2.0,
    "database CPU": 1.0,
    "emulator CPU": 0.5,
    "statements": 0,
    "finalize seconds": 0.5,
    "requests": {},
}
A_LIFE = {
    "parts": {
        "publish": {**PART, "requests": {"PutObject": 1000}},
        "import": {**PART, "statements": 1234, "requests": {"GetObject": 2000}},
        "archive": {**PART, "requests": {"CopyObject": 1000, "DeleteObject": 1000}},
    },
    "finalizing": {**PART, "cpu_seconds": 0.5, "requests": {"GetObject": 1000}, "reads ÷ files": 1},
    "ours ÷ core": {"seconds": 1.5, "cpu_seconds": 2.5, "database CPU": 0.75},
}
MEASURED = Measured(1000, 10**6, {"PutObject": 1000}, {"GetObject": 2000}, 6.0, {}, 0.5)
LIFE = {
    "emulator": "ministack",
    "sizes": [
        {
            "name": "generated",
            "files": files,
            "bytes": 10**6,
            "pairs": 3,
            "core": {**PART, "cpu_seconds": 1.6},
            "orders": {"in order": A_LIFE, "shuffled": A_LIFE},
        }
        for files in (1000, 4000)
    ],
    "a million": [{"of": "generated", **a_million(MEASURED)}],
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


@pytest.mark.long
def test_bench__life__each_part_has_its_cost_and_requests() -> None:
    few = ("--life-files", "4", "--life-pairs", "1")
    found = json.loads(bench(*few, "--only", "life").stdout.splitlines()[-1])
    (size,) = found["results"]["life"]["sizes"]
    for one in size["orders"].values():
        assert one["parts"]["publish"]["requests"]["PutObject"] == size["files"] == 4
        assert one["parts"]["import"]["statements"] > 0
        assert one["finalizing"]["reads ÷ files"] <= 1
        assert one["ours ÷ core"]["cpu_seconds"] > 0


def test_bench__pieces__become_one_page_with_a_picture(
    growth: CompletedText, tmp_path: Path
) -> None:
    measured, compared, page = (tmp_path / name for name in ("measured", "compared", "page.md"))
    measured.write_text(growth.stdout)
    figures = json.loads(growth.stdout.splitlines()[-1])
    others = {"loopback": LOOPBACK, "sooner": SOONER, "life": LIFE}
    other = {
        **figures,
        "commands": ["python -m bench elsewhere"],
        "results": others,
    }
    compared.write_text(json.dumps(other))
    rendered = bench("--render", str(measured), str(compared), "--write", str(page))
    merged = json.loads(rendered.stdout.splitlines()[-1])
    assert merged["results"] == {**figures["results"], **others}
    text = page.read_text()
    assert "python -m bench --files 4" in text
    assert "python -m bench elsewhere" in text
    assert "| 1,000, s |" in text
    assert "| bill | 556 | -1.0 | 1.5 | 4.0 | 6.0 | 9.5 | 1.1 | 5.0 |" in text
    assert "| cron or schedule, every 120 s | 60.0 | 118.2 |" in text
    assert str(tmp_path) not in text
    assert "| CPU of importing, finalizing and archiving, ours ÷ core | 2.50 |" in text
    assert "4,000 generated files ÷ 1,000: CPU a file 0.25 in order, 0.25 shuffled." in text
    assert "| PutObject 1,000 | GetObject 2,000 | GetObject 1,000 |" in text
    assert "| cron | 5.80 | 0.00 | 0.00 | 5.80 | 0.02 | 0.00 | 1.7 |" in text
    life = page.with_name("page-life.svg").read_text()
    assert life.startswith("<svg")
    # A thousand files: 1.6 s of core's CPU, and three parts of ours.
    assert (life.count(">1.6<"), life.count(">6.0<")) == (1, 2)
    picture = page.with_suffix(".svg").read_text()
    assert picture.startswith("<svg")
    assert picture.count(">8.5<") == len(("insert", "unchanged", "update"))
