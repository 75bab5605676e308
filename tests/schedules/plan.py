"""A schedule: what was scraped, and how it reaches us. Small enough to be printed and replayed."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from realtime.domain.scraped_object import ticks_of
from tests.oracle import ScrapedFile
from tests.schedules import content

# When the first run starts; a slot later is a second later.
BEGINNING = ticks_of(datetime(2026, 3, 1, tzinfo=UTC))
SLOT = 10_000_000
# Files that were there before our time.
BEFORE = -1


@dataclass(frozen=True)
class Scraped:
    """One file: of which run, when it was scraped, and what it says (see `content`)."""

    run: int
    slot: int
    what: dict[str, Any]


@dataclass(frozen=True)
class RunPlan:
    """A run's first and last slot; `ends` is False for one that never says that it ended."""

    started: int
    finished: int
    ends: bool = True


@dataclass(frozen=True)
class Step:
    """`send` (files by their numbers), `end` (of a run), `import`, `together` (two workers at
    once) or `archive`; `crash` counts the effects after which the process dies."""

    do: str
    files: tuple[int, ...] = ()
    run: int = 0
    limit: int = 10
    crash: int | None = None


@dataclass(frozen=True)
class Schedule:
    """`people` are in the database before, and so is what belongs to no run."""

    people: tuple[int, ...]
    runs: tuple[RunPlan, ...]
    files: tuple[Scraped, ...]
    steps: tuple[Step, ...]

    def as_json(self) -> str:
        return json.dumps(_brief(asdict(self)))

    @classmethod
    def from_json(cls, text: str) -> "Schedule":
        data = json.loads(text)
        return cls(
            people=tuple(data.get("people", ())),
            runs=tuple(RunPlan(**run) for run in data["runs"]),
            files=tuple(Scraped(**file) for file in data["files"]),
            steps=tuple(
                replace(Step(**step), files=tuple(step.get("files", ())))
                for step in data.get("steps", ())
            ),
        )

    @cached_property
    def scraped(self) -> list[ScrapedFile]:
        """The files as core would have written them, by their numbers."""
        return [self._file(number) for number in range(len(self.files))]

    def ticks(self, number: int) -> int:
        # No two files were written at the same time.
        return BEGINNING + self.files[number].slot * SLOT + number * 10

    def started(self, run: int) -> int:
        return BEGINNING + self.runs[run].started * SLOT

    def finished(self, run: int) -> int:
        return BEGINNING + (self.runs[run].finished + 1) * SLOT

    def run_id(self, run: int) -> UUID:
        return UUID(int=0x4000_8000_0000_0000_0000 + run)

    def _file(self, number: int) -> ScrapedFile:
        what = dict(self.files[number].what)
        if what.get("of") is not None:
            what["of"] = content.uuid1_at(self.ticks(what["of"]))
        ticks = self.ticks(number)
        return ScrapedFile(what["type"], json.dumps(content.make(what, ticks)), ticks)


def _brief(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _brief(item) for name, item in value.items() if item not in (None, ())}
    if isinstance(value, list | tuple):
        return [_brief(item) for item in value]
    return value
