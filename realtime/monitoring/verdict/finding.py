"""What a verdict says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any


class Level(IntEnum):
    """How bad it is."""

    OK = 0, "ok"  # nothing to do
    LOOK = 1, "look"  # a person should look, within a day
    BAD = 2, "bad"  # readers get old or wrong data until somebody does something

    word: str

    def __new__(cls, value: int, word: str) -> "Level":
        level = int.__new__(cls, value)
        level._value_ = value
        level.word = word
        return level


class Kind(StrEnum):
    """What can be wrong. Of findings that are as bad, the earlier here comes first."""

    DATABASE = "database-away"
    MIGRATIONS = "migrations-missing"
    NOBODY = "nobody-imports"
    AWAY = "away"  # the queue or the store
    BREAKS = "imports-break"
    STUCK = "workers-stuck"
    BEHIND = "behind"
    BREAKER = "breaker-tripped"
    LAG = "lag"
    STALLED = "scrape-stalled"
    FAILING = "failing"
    PAUSED = "paused"
    BROKEN_RUN = "cannot-finalize"
    NOT_FINAL = "not-final"
    KILLED = "killed"
    RECEIVER = "receiver-failing"
    FAILED = "failed-files"
    FLAGS = "flags-raised"


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `sentence`, without its full stop, says what.

    `jurisdiction_id` is whose it is: None for what concerns all of them, empty for files of no
    jurisdiction. `command` mends it, or says more (empty: none does, the page is all there is), and
    `page` is the page about it, relative to the overview. `since` is aware UTC; None when that is
    unknown. `why` says the same in few words, where the jurisdiction is named beside it. `is_late`:
    something waits for longer than `status_realtime --max-age` lets it, or nobody can tell.
    """

    kind: Kind
    level: Level
    sentence: str
    since: datetime | None = None
    jurisdiction_id: str | None = None
    command: str = ""
    page: str = ""
    why: str = ""
    is_late: bool = False


@dataclass(frozen=True)
class Verdict:
    """The findings, the worst first, as of `at`; `fine` is the sentence for when there is none.

    `last_run` is when an import run began last; None: never, or unknown. Unless it `is_readable`,
    there is no more to be known of the ledger.
    """

    at: datetime
    findings: Sequence[Finding]
    fine: str
    last_run: datetime | None = None
    is_readable: bool = True

    def first(self, kind: Kind) -> Finding | None:
        """The first finding of this kind; None when there is none."""
        return next((one for one in self.findings if one.kind == kind), None)

    @property
    def level(self) -> Level:
        return max((one.level for one in self.findings), default=Level.OK)

    @property
    def sentence(self) -> str:
        """The worst finding's sentence, and how many others there are."""
        if not self.findings:
            return self.fine
        others = len(self.findings) - 1
        return f"{self.findings[0].sentence}{f' (and {others} more)' if others else ''}"

    @property
    def late(self) -> list[str]:
        """The sentences of what is late, for `--max-age`."""
        sentences = [one.sentence for one in self.findings if one.is_late]
        return [one[0].lower() + one[1:] for one in sentences]

    def of(self, jurisdiction_id: str) -> "Verdict":
        """The verdict on one jurisdiction, or on files of none: what is its own, and what concerns
        all."""
        whose = (None, jurisdiction_id)
        return replace(self, findings=[f for f in self.findings if f.jurisdiction_id in whose])

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        return {
            "level": self.level.word,
            "sentence": self.sentence,
            "last_import_run": _time(self.last_run),
            "findings": [
                {
                    "kind": one.kind.value,
                    "level": one.level.word,
                    "sentence": one.sentence,
                    "since": _time(one.since),
                    "jurisdiction_id": one.jurisdiction_id,
                    "command": one.command,
                    "page": one.page,
                }
                for one in self.findings
            ],
        }


def _time(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
