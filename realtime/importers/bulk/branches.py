"""The kinds of related rows that belong to a bill, a vote event or an event, two levels of them."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any

from realtime.importers.bulk.tables import NeedsCore, Row, Table, table


@dataclass(frozen=True, eq=False)
class Branch:
    """One kind of related rows. `numbered`: core writes each one's place into its `order`."""

    name: str
    table: Table
    numbered: bool
    branches: tuple["Branch", ...]
    _getters: dict[tuple[str, ...], Any] = field(default_factory=dict)

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(branch.name for branch in self.branches)

    @cached_property
    def order(self) -> int | None:
        """The column with a row's place among its siblings; core then compares place by place."""
        return self.table.place.get("order")

    def own_keys(self, item: dict[str, Any]) -> tuple[str, ...]:
        return tuple(key for key in item if key not in self.names) if self.branches else tuple(item)

    def getter(self, keys: tuple[str, ...]) -> Callable[[Row], Any]:
        """A function that takes from a row the columns that an item has under these keys.

        Raises NeedsCore when they are not all columns.
        """
        if keys not in self._getters:
            places = [self.table.place.get(key, -1) for key in keys]
            if any(place < self.table.keys for place in places):
                raise NeedsCore
            self._getters[keys] = itemgetter(*places) if places else lambda row: ()
        getter: Callable[[Row], Any] = self._getters[keys]
        return getter


def branches(
    related: Mapping[str, Any], numbered: Collection[str] = frozenset()
) -> tuple[Branch, ...]:
    """The branches that core's `related_models` and `preserve_order` describe."""
    return tuple(
        Branch(name, table(model, parent), name in numbered, branches(below, numbered))
        for name, (model, parent, below) in related.items()
    )


def walk(tree: Sequence[Branch]) -> Iterator[Branch]:
    """Every branch, parents before their children."""
    for branch in tree:
        yield branch
        yield from walk(branch.branches)
