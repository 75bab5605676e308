"""A schedule: what was scraped and how it is delivered. Small enough to print and replay."""

import json
from collections import defaultdict
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from realtime.domain.scraped_object import ticks_of
from tests.oracle import ScrapedFile
from tests.schedules import content

# The start of slot 0, in ticks.
BEGINNING = ticks_of(datetime(2026, 3, 1, tzinfo=UTC))
# A second in ticks.
SLOT = 10_000_000
_HOUR = 3600 * SLOT
# The `run` of files that core imported before the first run.
BEFORE = -1
# The steps before which all is imported that was sent.
APART = ("committee", "prune")


@dataclass(frozen=True)
class Scraped:
    """One file: its run, the slot it was scraped in, and its description (see `content.make`).

    `key` is the number of an earlier file, of which the scraper uses the key again.
    """

    run: int
    slot: int
    what: dict[str, Any]
    key: int | None = None


@dataclass(frozen=True)
class RunPlan:
    """The first and last slot of a run of `state`. With `ends` False its end message is never
    sent. With `ahead`, it runs now, by a clock that is ahead by so many hours."""

    started: int
    finished: int
    ends: bool = True
    state: str = content.WY
    ahead: int = 0


@dataclass(frozen=True)
class Step:
    """One step: `do` is `send` (the `files` with these numbers), `end` (of `run`), `import`,
    `together` (two workers at once), `archive`, `pause` or `resume` (the jurisdiction of `run`).
    The process dies at effect number `crash`.

    Before `committee` (there is one more) and `prune`, all is imported that was sent.
    """

    do: str
    files: tuple[int, ...] = ()
    run: int = 0
    limit: int = 10
    crash: int | None = None


@dataclass(frozen=True)
class Schedule:
    """A whole schedule.

    `people`, the first `sessions` of each state, and files of the run BEFORE are in the database at
    the start, and so many `committees` of one name. The bucket is `versioned` or not. With
    `breaker`, one file is enough to trip it.
    """

    people: tuple[int, ...]
    runs: tuple[RunPlan, ...]
    files: tuple[Scraped, ...]
    steps: tuple[Step, ...]
    sessions: int = 0
    versioned: bool = False
    committees: int = 0
    breaker: bool = False

    def as_json(self) -> str:
        return json.dumps(_brief(self))

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
            sessions=data.get("sessions", 0),
            versioned=data.get("versioned", False),
            committees=data.get("committees", 0),
            breaker=data.get("breaker", False),
        )

    @cached_property
    def scraped(self) -> list[ScrapedFile]:
        """The files as core writes them, by number."""
        return [self._file(number) for number in range(len(self.files))]

    def ticks(self, number: int) -> int:
        """When the file was scraped, by the scraper's clock."""
        file = self.files[number]
        # The number makes the time unique.
        return self._beginning(file.run) + file.slot * SLOT + number * 10

    def started(self, run: int) -> int:
        return self._beginning(run) + self.runs[run].started * SLOT

    def finished(self, run: int) -> int:
        return self._beginning(run) + (self.runs[run].finished + 1) * SLOT

    def is_ahead(self, run: int) -> bool:
        return run != BEFORE and bool(self.runs[run].ahead)

    def _beginning(self, run: int) -> int:
        return self._now + self.runs[run].ahead * _HOUR if self.is_ahead(run) else BEGINNING

    @cached_property
    def _now(self) -> int:
        return ticks_of(datetime.now(UTC))

    def run_id(self, run: int) -> UUID:
        return UUID(int=0x4000_8000_0000_0000_0000 + run)

    def numbers(self, run: int, state: str = "") -> list[int]:
        """The files of this run; with `state`, only that state's."""
        return [
            number
            for number, file in enumerate(self.files)
            if file.run == run and state in ("", content.state_of(file.what))
        ]

    def groups(self, state: str) -> list[list[int]]:
        """The runs of a state: those of one group overlap, those of the next come after them.

        There are as many groups as steps APART, and one more; some may be empty.
        """
        groups: list[list[int]] = [[]]
        left = [number for number, run in enumerate(self.runs) if run.state == state]
        for step in self.steps:
            if step.do == "end" and step.run in left:
                left.remove(step.run)
                groups[-1].append(step.run)
            elif step.do in APART:
                groups.append([])
        groups[-1] += left
        return groups

    def uploads(self, number: int) -> int:
        """The number of the first file with the key of this one."""
        key = self.files[number].key
        return number if key is None else key

    def look_alikes(self, uploaded_again: bool = False) -> set[int]:
        """The motions that several vote events of one run may share a row by; with
        `uploaded_again`, those of which files were written over each other."""
        motions = defaultdict[tuple[Any, ...], list[tuple[int, bool]]](list)
        for file in self.files:
            what = file.what
            if what["type"] == "vote_event":
                motion = what.get("like", what["n"])
                one_key = what.get("dedupe") and what.get("shared")
                key = (file.run, what.get("state"), "D" if one_key else motion)
                motions[key].append((motion, file.key is not None))
        return {
            motion
            for found in motions.values()
            if len(found) > 1 and (not uploaded_again or any(again for _, again in found))
            for motion, _ in found
        }

    def key_keepers(self) -> set[int]:
        """The motions on which some vote event files have a dedupe key, and others have none."""
        files = [file.what for file in self.files if file.what["type"] == "vote_event"]
        kinds = {(what.get("like", what["n"]), bool(what.get("dedupe"))) for what in files}
        return {motion for motion, dedupe in kinds if (motion, not dedupe) in kinds}

    @property
    def states(self) -> list[str]:
        """The states of the schedule, Wyoming first."""
        found = {content.WY, *(content.state_of(file.what) for file in self.files)}
        return sorted(found | {run.state for run in self.runs}, reverse=True)

    def _file(self, number: int) -> ScrapedFile:
        what = dict(self.files[number].what)
        if what.get("of") is not None:
            what["of"] = content.uuid1_at(self.ticks(what["of"]))
        ticks = self.ticks(number)
        return ScrapedFile(what["type"], json.dumps(content.make(what, ticks)), ticks)


def _brief(value: Any) -> Any:
    """As JSON has it, without what is as by default."""
    if is_dataclass(value):
        found = {field: getattr(value, field.name) for field in fields(value)}
        return {f.name: _brief(v) for f, v in found.items() if v != f.default}
    if isinstance(value, dict):
        return {name: _brief(item) for name, item in value.items() if item not in (None, ())}
    if isinstance(value, list | tuple):
        return [_brief(item) for item in value]
    return value
