"""The demo's final tables."""

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from realtime.demo import figures
from realtime.demo.view import View
from realtime.domain.config import Bucket
from realtime.models import Outcome


@dataclass(frozen=True)
class Figures:
    """The figures at the end of the demo."""

    visible: Mapping[str, int]
    outcomes: Mapping[str, Counter[str]]
    failures: list[tuple[str, str, str]]
    lag: tuple[float | None, float | None]
    links: Mapping[str, tuple[int, int]]
    runs: tuple[int, int]
    folders: Mapping[str, int]
    waiting: int


def gather(bucket: Bucket, waiting: int) -> Figures:
    """Read the figures from the database and the store. `waiting` messages, or files without a
    queue, are left."""
    return Figures(
        figures.visible(),
        figures.outcomes(),
        figures.failures(),
        figures.lag(),
        figures.links(),
        figures.runs(),
        figures.folders(bucket),
        waiting,
    )


def missing(found: Figures, expected: Mapping[str, int]) -> str:
    """The types whose visible objects are not as many as expected, in words; empty when all are."""
    return ", ".join(
        f"{name}: {found.visible[name]} of {count}"
        for name, count in expected.items()
        if found.visible[name] != count
    )


def show(view: View, found: Figures, expected: Mapping[str, int]) -> None:
    """Show the final tables and the commands to try next."""
    reached = [o.value for o in Outcome if any(c[o.value] for c in found.outcomes.values())]
    view.table(
        "Files by outcome, from the ledger; visible objects, from core's tables",
        ["type", *reached, "visible", "expected"],
        [
            [
                name,
                *(found.outcomes.get(name, Counter())[outcome] for outcome in reached),
                found.visible.get(name, "-"),
                expected.get(name, "-"),
            ]
            for name in [*expected, *sorted(found.outcomes.keys() - expected.keys())]
        ],
    )
    view.table(
        "References between objects",
        ["reference", "resolved", "of"],
        [[name, resolved, total] for name, (resolved, total) in found.links.items()],
    )
    p50, p95 = found.lag
    view.table(
        "At the end",
        ["figure", "value"],
        [
            ["seconds from scraped to visible, p50", _seconds(p50)],
            ["seconds from scraped to visible, p95", _seconds(p95)],
            ["scrapes that have ended", found.runs[0]],
            ["scrapes that are finalized", found.runs[1]],
            ["files in the store's root", found.folders["root"]],
            ["files in archived/", found.folders["archived"]],
            ["files in failed/", found.folders["failed"]],
            ["messages or files left to import", found.waiting],
        ],
    )
    view.title("Only the broken file failed; the files beside it were imported")
    for key, reason, detail in found.failures:
        view.problem(f"  {key}\n    {reason}: {detail}")
    view.code("Next: keep a stack running, and paste its export lines into another shell", _STACK)
    view.code("In that shell, with a folder of scraped JSON files", _with_interpreter(_THERE))


_STACK = ("make stack",)
_THERE = (
    "publish_realtime FOLDER --jurisdiction wy --run",
    "import_realtime --until-empty --json",
    "archive_realtime",
    "import_realtime --help",
)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _with_interpreter(commands: tuple[str, ...]) -> list[str]:
    interpreter = Path(sys.executable)
    here = Path.cwd()
    name = interpreter.relative_to(here) if interpreter.is_relative_to(here) else interpreter.name
    return [f"{name} manage.py {command}" for command in commands]
