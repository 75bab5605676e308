"""Changes to core's rows, as the change log has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Verb = Literal["inserted", "updated", "deleted", "marked", "merged", "finalized", "closed"]


@dataclass(frozen=True)
class Difference:
    """What an import changed in a row.

    `fields` are the names of the columns and related kinds that differ, sorted; empty for a new
    row. `before` and `after` are how many rows of each related kind it had and has; kinds without
    any are left out. `merged` are the rows that went into it, by id, each with how many references
    of each kind it had.
    """

    fields: tuple[str, ...] = ()
    before: Mapping[str, int] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)
    merged: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, fields: set[str], before: Mapping[str, int], after: Mapping[str, int]
    ) -> "Difference":
        """The difference, in its one form."""
        return cls(tuple(sorted(fields)), _some(before), _some(after))


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {kind: count for kind, count in counts.items() if count}


NO_DIFFERENCE = Difference()


@dataclass(frozen=True)
class RowChange:
    """One change to one row of core's, or to a scrape run (then `core_id` is its run id).

    `file_id` is the ledger's id of the file that made it, if one did.
    """

    object_type: str
    verb: Verb
    core_id: str
    difference: Difference = NO_DIFFERENCE
    run_id: UUID | None = None
    file_id: int | None = None


@dataclass(frozen=True)
class ChangeFilter:
    """Which changes somebody wants: those that fit all that is set.

    `jurisdictions` are ids. `types` are object types, or object type and verb: `bill`,
    `bill.deleted`. `bill` is an identifier, as core stores it: the bill's own changes and those of
    its vote events.
    """

    jurisdictions: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    bill: str = ""


EVERYTHING = ChangeFilter()


# Kinds of related rows whose loss a reader would notice.
_WEIGHED = (
    "abstracts",
    "actions",
    "agenda",
    "documents",
    "sources",
    "sponsorships",
    "versions",
    "votes",
)


def lost(before: int, after: int) -> bool:
    """Whether a row lost all, or at least four and more than half, of what it had of a kind."""
    gone = before - after
    return before > 0 and (after == 0 or (gone >= 4 and 2 * gone > before))


def shrunk(difference: Difference) -> dict[str, dict[str, int]]:
    """`before` and `after` of the kinds that a row has lost, by the rule of `lost`; empty when it
    has lost none."""
    kinds = [
        kind
        for kind in _WEIGHED
        if lost(difference.before.get(kind, 0), difference.after.get(kind, 0))
    ]
    if not kinds:
        return {}
    return {
        "before": {kind: difference.before[kind] for kind in kinds},
        "after": {kind: difference.after.get(kind, 0) for kind in kinds},
    }
