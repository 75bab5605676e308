"""The line that says how far a command is."""

import io
import itertools
import logging

import pytest
from django.core.management.base import OutputWrapper

from realtime.management.first_few import FirstFew
from realtime.management.progress_line import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> str:
    with Progress(OutputWrapper(stream)) as progress:
        for done in range(6):
            progress(done, 5)
        progress.counts("importing", {"inserted": 7, "failed": 0})
    return stream.getvalue()


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step takes as long as the time between two lines."""
    monkeypatch.setattr("time.monotonic", itertools.count(step=10.0).__next__)


def test_progress__on_a_terminal__one_line_written_over_and_gone_at_the_end(slowly: None) -> None:
    lines = [f"\r\033[K{done} of 5 files\r" for done in range(6)]
    assert shown(Terminal()) == "".join([*lines, "\r\033[Kimporting: 7 inserted\r", "\r\033[K"])


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_progress__done_at_once__nothing(stream: type[io.StringIO]) -> None:
    assert shown(stream()) == ""


def test_progress__elsewhere__lines_of_the_log_now_and_then(
    slowly: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "realtime"):
        assert shown(io.StringIO()) == ""
    assert {record.getMessage() for record in caplog.records} == {"in progress"}
    done = [getattr(record, "done", "") for record in caplog.records]
    assert done == [*(f"{done} of 5 files" for done in range(6)), "importing: 7 inserted"]


def test_first_few__many_of_a_kind__few_lines_and_how_many_more() -> None:
    lines: list[str] = []
    told = FirstFew(lines.append)
    for number in range(8):
        told(f"bill_{number}: invalid", "invalid")
    told("vote_1: unresolved", "unresolved")
    told.rest(": -v 2 names each")
    expected = [f"bill_{number}: invalid" for number in range(5)]
    assert lines == [*expected, "vote_1: unresolved", "… and 3 more invalid: -v 2 names each"]
