"""`python -m bench` at a size that measures nothing but shows that it works."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, CompletedText

TINY = ("--files", "4", "--large", "7", "--pairs", "1", "--large-pairs", "1")
SECTIONS = ("loopback", "growth", "run", "startup")


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
def piece() -> CompletedText:
    return bench(*TINY, "--held", "1000", "2000", "--only", ",".join(SECTIONS))


def test_bench__tiny__prints_tables_and_one_object_last(piece: CompletedText) -> None:
    figures = json.loads(piece.stdout.splitlines()[-1])
    assert set(figures["results"]) == set(SECTIONS)
    ours = figures["results"]["loopback"]["insert"]["ours"]
    assert ours["statements"] > 0
    assert ours["peak_mib"] > 0
    assert "| measure | value | at least | aim | met |" in piece.stdout


def test_bench__pieces__become_one_page_with_a_picture(
    piece: CompletedText, tmp_path: Path
) -> None:
    saved, page = tmp_path / "piece", tmp_path / "performance.md"
    saved.write_text(piece.stdout)
    rendered = bench("--render", str(saved), "--write", str(page))
    assert json.loads(rendered.stdout.splitlines()[-1]) == json.loads(piece.stdout.splitlines()[-1])
    text = page.read_text()
    assert "python -m bench --files 4" in text
    assert str(tmp_path) not in text
    assert page.with_suffix(".svg").read_text().startswith("<svg")
