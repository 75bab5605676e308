"""Flags: what was imported and should be looked at, because it may be wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

Kind = Literal[
    "collision",
    "shrunk",
    "unmatched",
    "ambiguous",
    "roll-unlike-counts",
    "odd-identifier",
    "clock-ahead",
    "person-missing",
]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Flag:
    """One thing about a file or a row that a person should look at. It never stops an import.

    `core_id` is the row it is about, `object_type` that row's type; where a file raises a flag,
    both may be left empty and are then those of the file's row. `subject` is what it is about
    within its kind and jurisdiction: one flag is kept for each. It is the row, unless it says
    something else, such as a name. `other_scrape_id` is the scrape `_id` of another file of that
    type that it is about, such as the one it collides with. `detail` is a small JSON object for
    people: titles, sources, counts before and after.
    """

    kind: Kind
    object_type: str = ""
    core_id: str = ""
    subject: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)
    other_scrape_id: str = ""

    def of_row(self, object_type: str, core_id: str) -> Self:
        """The flag with what it leaves open filled in, for a file that went to this row."""
        row = self.core_id or core_id
        return replace(
            self,
            object_type=self.object_type or object_type,
            core_id=row,
            subject=self.subject or row,
        )


def of_row(flags: Iterable[Flag], object_type: str, core_id: str) -> tuple[Flag, ...]:
    """The flags of a file that went to this row: one of each kind and subject, the last raised.

    A rule may see an object several times before the object has its outcome.
    """
    complete = (flag.of_row(object_type, core_id) for flag in flags)
    return tuple({(flag.kind, flag.subject): flag for flag in complete}.values())
