"""The related rows of a batch in memory, as plain tuples: compared, kept and replaced as core does.

`differs` repeats core's `items_differ` (openstates.importers.base).
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from django.db import connection

from realtime.importers.bulk.branches import Branch
from realtime.importers.bulk.tables import NeedsCore, Row

Item = dict[str, Any]
_VARIANTS = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


class Rows:
    """Related rows by branch and parent. A row that was not loaded does not exist here."""

    def __init__(self) -> None:
        self._rows: dict[Branch, dict[str, list[Row]]] = defaultdict(dict)
        self._ids = _uuids()

    def load(self, tree: Sequence[Branch], ids: Sequence[Any]) -> None:
        """Read all of `tree` below the rows `ids`, with fewer statements than tables."""
        level: list[tuple[Branch, ...]] = [(branch,) for branch in tree]
        while level:
            # Rows of nothing but text fit into one result, whatever their tables.
            texts = [path for path in level if path[0].table.only_text]
            for together in [texts, *([path] for path in level if path not in texts)]:
                if together:
                    self._read(together, ids)
            level = [
                (child, *path)
                for path in level
                if self._rows[path[0]]
                for child in path[0].branches
            ]

    def _read(self, paths: Sequence[tuple[Branch, ...]], ids: Sequence[Any]) -> None:
        width = max(len(path[0].table.columns) for path in paths)
        with connection.cursor() as cursor:
            cursor.execute(
                " UNION ALL ".join(_select(n, path, width) for n, path in enumerate(paths)),
                [list(ids)] * len(paths),
            )
            found: list[list[Row]] = [[] for _ in paths]
            for n, *row in cursor.fetchall():
                found[n].append(tuple(row))
        for (branch, *_), rows in zip(paths, found, strict=True):
            grouped: dict[str, list[Row]] = defaultdict(list)
            columns = len(branch.table.columns)
            for row in branch.table.read(rows):
                grouped[row[1]].append(row if columns == width else row[:columns])
            if branch.order is not None:
                for siblings in grouped.values():
                    siblings.sort(key=itemgetter(branch.order))
            self._rows[branch] = grouped

    def of(self, branch: Branch, parent: str) -> list[Row]:
        return self._rows[branch].get(parent, [])

    def put(self, branch: Branch, parent: str, rows: list[Row]) -> None:
        self._rows[branch][parent] = rows

    def below(self, branch: Branch, rows: Sequence[Row]) -> Iterator[tuple[Branch, Row]]:
        """`rows` and their children, children first."""
        for row in rows:
            for child in branch.branches:
                yield from self.below(child, self.of(child, row[0]))
            yield branch, row

    def differs(self, branch: Branch, items: Sequence[Item], parent: str) -> bool:
        """Whether core would replace the rows of `parent` by `items`. Raises NeedsCore."""
        rows = self.of(branch, parent)
        if len(items) != len(rows):
            return True
        if not items:
            return False
        keys = branch.own_keys(items[0])
        of_row = branch.getter(keys)
        of_item = _item_getter(keys, items)
        if branch.order is not None and [r[branch.order] for r in rows] != list(range(len(rows))):
            raise NeedsCore
        stored, scraped = [of_row(row) for row in rows], [of_item(item) for item in items]
        if not branch.branches:
            if branch.order is not None or stored == scraped:
                return stored != scraped
            return _bags_differ(stored, scraped)
        same = all(
            s == i and not self._differs_below(branch, item, row)
            for s, i, item, row in zip(stored, scraped, items, rows, strict=True)
        )
        if branch.order is not None and not same:
            return True
        if same and _alike_below(branch, items):
            return False
        return self._unmatched(branch, list(zip(scraped, items, strict=True)), of_row, rows)

    def _differs_below(self, branch: Branch, item: Item, row: Row) -> bool:
        return any(self.differs(child, item[child.name], row[0]) for child in branch.branches)

    def _unmatched(
        self,
        branch: Branch,
        left: list[tuple[Any, Item]],
        of_row: Callable[[Row], Any],
        rows: Sequence[Row],
    ) -> bool:
        for row in rows:
            stored = of_row(row)
            # Core takes the last that matches.
            for n in reversed(range(len(left))):
                scraped, item = left[n]
                if stored == scraped and not self._differs_below(branch, item, row):
                    del left[n]
                    break
            else:
                return True
        return False

    def unchanged_head(self, branch: Branch, items: Sequence[Item], parent: str) -> int:
        """How many leading rows equal, in every column, those that core would write instead."""
        rows = self.of(branch, parent)
        count = 0
        for order, (item, row) in enumerate(zip(items, rows, strict=False)):
            if branch.order is None or row[branch.order] != order:
                break
            if self._made(branch, item, order)[2:] != row[2:] or any(
                _bags_differ(
                    [self._made(child, below, n)[2:] for n, below in enumerate(item[child.name])],
                    [stored[2:] for stored in self.of(child, row[0])],
                )
                for child in branch.branches
            ):
                break
            count += 1
        return count

    def _made(self, branch: Branch, item: Item, order: int) -> Row:
        if branch.numbered:
            item = {**item, "order": order}
        return branch.table.make(item, branch.own_keys(item), None, None)

    def grow(
        self, branch: Branch, items: Sequence[Item], parent: str, kept: int = 0
    ) -> Iterator[tuple[Branch, list[Row]]]:
        """Make the rows for `items` from place `kept` on, and all below them; returns those.

        Rows before that place stay. Raises NeedsCore when an item is not made of columns.
        """
        make, own_keys = branch.table.make, branch.own_keys
        made = []
        for order, item in enumerate(items[kept:], kept):
            columns = {**item, "order": order} if branch.numbered else item
            made.append(make(columns, own_keys(columns), next(self._ids), parent))
        self.put(branch, parent, self.of(branch, parent)[:kept] + made)
        yield branch, made
        for child in branch.branches:
            for item, row in zip(items[kept:], made, strict=True):
                yield from self.grow(child, item[child.name], row[0])


def _select(n: int, path: Sequence[Branch], width: int) -> str:
    """Selects the rows of the first branch of `path`, which leads up to the ids; padded."""
    table = path[0].table
    joins = "".join(
        f" JOIN {parent.table.sql} t{m} ON t{m - 1}.{child.table.columns[1].sql}"
        f" = t{m}.{parent.table.pk.sql}"
        for m, (child, parent) in enumerate(pairwise(path), 1)
    )
    top = f"t{len(path) - 1}.{path[-1].table.columns[1].sql}"
    return (
        f"SELECT {n}, {table.select_list('t0')}{', NULL' * (width - len(table.columns))}"
        f" FROM {table.sql} t0{joins} WHERE {top} = ANY(%s)"
    )


def _uuids() -> Iterator[str]:
    """Random UUIDs as text, in a ninth of the time of `str(uuid4())`, which would be a tenth of an
    insert. Two processes must not share one: random numbers are taken for 64 at a time."""
    while True:
        digits = os.urandom(16 * 64).hex()
        for n in range(0, len(digits), 32):
            one = digits[n : n + 32]
            yield f"{one[:12]}4{one[13:16]}{_VARIANTS[one[16]]}{one[17:]}"


def _item_getter(keys: tuple[str, ...], items: Sequence[Item]) -> Callable[[Item], Any]:
    if all(map(set(keys).issubset, items)):
        return itemgetter(*keys) if keys else lambda item: ()
    if len(keys) == 1:
        return lambda item: item.get(keys[0])
    return lambda item: tuple(map(item.get, keys))


def _alike_below(branch: Branch, items: Sequence[Item]) -> bool:
    # Core compares by the first child's keys: with children of other keys it matters which of
    # several matches is taken.
    for child in branch.branches:
        kinds = {frozenset(item[child.name][0]) for item in items if item[child.name]}
        if len(kinds) > 1:
            return False
    return True


def _bags_differ(left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return True
    try:
        return Counter(left) != Counter(right)
    except TypeError:  # lists and dictionaries among the values
        rest = list(right)
        for value in left:
            if value not in rest:
                return True
            rest.remove(value)
        return False
