"""Which row each object of a batch is: what core's `get_object` would find, asked in sets."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import connection

from realtime.domain.text import is_storable
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.tables import NeedsCore
from realtime.importers.items import Item
from realtime.importers.rules import Rules
from realtime.importers.specs.spec import Spec


class Matching:
    """Reads the rows that a batch's objects may be, and finds them as the batch has left them."""

    def __init__(self, spec: Spec, rules: Rules, batch: Batch) -> None:
        self._spec = spec
        self._rules = rules
        self._batch = batch
        self._ways = {way.name: way for way in spec.ways}
        self._by_key: dict[Any, list[Record]] = defaultdict(list)

    def load(self, items: Sequence[Item]) -> None:
        """Read the rows that these resolved objects may be: a statement for each set of columns
        that the ways to look them up are read by."""
        wanted: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for item in items:
            if item.key is not None:
                way = self._ways[item.key[0]]
                columns = way.read_by or way.columns
                values = tuple(map(item.data.__getitem__, columns))
                wanted[columns].append(values)
        for columns, rows in wanted.items():
            self._read(columns, rows)
        if known := [(item.core_id,) for item in items if item.core_id]:
            self._read((self._batch.table.pk.name,), known)
        for record in self._batch.records.values():
            self._index(record)

    def candidates(self, item: Item) -> Sequence[Record]:
        """The rows that the object may turn out to be."""
        known = self._batch.records.get(item.core_id)
        found = self._by_key.get(item.key, [])
        return [*found, known] if known else found

    def row(self, item: Item) -> Record | None:
        """The row that the object is; None for a new one. Raises NeedsCore when only core can find
        it, MultipleObjectsReturned when several fit."""
        # Where it was before, if that still is there, whatever other rows would fit by now.
        known = self._batch.records.get(item.core_id)
        if item.key is None and known is None:
            raise NeedsCore
        row = self._rules.choose(item, known, self._by_key.get(item.key, []))
        return self._batch.records[row.id] if row else None

    def changed(self, record: Record) -> None:
        """From here on, find a row that the batch has made or changed by what it is now."""
        self._index(record)

    def _index(self, record: Record) -> None:
        for key in record.keys:
            self._by_key[key].remove(record)
        record.keys = self._spec.keys(record.values)
        for key in record.keys:
            self._by_key[key].append(record)

    def _read(self, columns: Sequence[str], values: Sequence[tuple[Any, ...]]) -> None:
        """Read, in one statement, the rows of which each of these columns has any of the values;
        what has been read stays as it is."""
        batch, table = self._batch, self._batch.table
        asked = [row for row in values if all(map(_may_be_asked, row))]
        if not asked:
            return
        conditions = [f"{table.column[name].sql} = ANY(%s)" for name in columns]
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {table.select_list()} FROM {table.sql} t WHERE {' AND '.join(conditions)}",
                [list(set(some)) for some in zip(*asked, strict=True)],
            )
            rows = table.read(cursor.fetchall())
        names = [column.name for column in table.columns]
        for row in rows:
            if row[0] not in batch.records:
                values_of_row = dict(zip(names, row, strict=True))
                batch.records[row[0]] = Record(batch, row[0], values_of_row, new=False)


def _may_be_asked(value: Any) -> bool:
    return not isinstance(value, str) or is_storable(value)
