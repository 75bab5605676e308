"""What a command says to try next."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from realtime.domain.errors import PoisonMessage
from realtime.domain.in_flight import InFlightFile
from realtime.domain.results import Delivery, Failed, FileIdentity
from realtime.management.next_command import after_import
from realtime.monitoring.report import Report
from tests import scrapes

WYOMING = scrapes.WYOMING.jurisdiction_id
OHIO = "ocd-jurisdiction/country:us/state:oh/government"
NOW = datetime(2025, 12, 18, tzinfo=UTC)


def report(outcome: str, **fields: object) -> Report:
    made = Report(**fields)  # type: ignore[arg-type]
    made.count("bill", outcome)
    return made


@pytest.mark.parametrize(
    ("made", "commands"),
    [
        (report("inserted"), []),
        (report("failed"), ["manage.py status_realtime", "manage.py retry_realtime"]),
        (report("deferred"), ["manage.py status_realtime"]),
        (
            report("deferred", paused=Counter({WYOMING: 1})),
            ["manage.py resume_realtime --jurisdiction wy"],
        ),
        (report("released"), ["manage.py import_realtime --until-empty"]),
    ],
)
def test_after_import__what_is_obvious__named(made: Report, commands: list[str]) -> None:
    told = list(after_import(made, of_source=False))
    assert [line.removeprefix("next: ").split("  (")[0] for line in told] == commands


def failed(jurisdiction_id: str, reason: str) -> InFlightFile:
    file = InFlightFile(FileIdentity("", "", ""), Delivery(NOW, ""))
    file.jurisdiction_id = jurisdiction_id
    file.finish(Failed(PoisonMessage(reason, "")))
    return file


@pytest.mark.parametrize("times", [1, 2])
def test_after_import__one_jurisdiction_not_loaded_another_s_file_broken__says_what_loads_the_one(
    times: int,
) -> None:
    made = Report()
    for _ in range(times):
        one = Report()
        one.add_received([failed(WYOMING, "bad-json"), failed(OHIO, "unknown-jurisdiction")])
        # As the runs of `--follow` are summed up.
        made.add(one)
    line, *others = after_import(made, of_source=False)
    assert line.startswith("next: os-initdb  (") and " lacks oh;" in line and "wy" not in line
    assert line.endswith("local_stack --jurisdiction oh)")
    assert len(others) == 2


def test_after_import__jurisdiction_that_core_does_not_know__nothing_said_to_load_it() -> None:
    made = Report()
    made.add_received(
        [failed("", "unknown-jurisdiction"), failed("of/atlantis", "unknown-jurisdiction")]
    )
    assert not [line for line in after_import(made, of_source=False) if "initdb" in line]
