"""A batch in memory: the rows it touches, as they are and as they will be, written as a set."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection, models
from django.utils import timezone

from realtime.domain.changes import NO_DIFFERENCE, Difference
from realtime.importers.bulk import copy_rows, deleting, sql_statements
from realtime.importers.bulk.branches import Branch, walk
from realtime.importers.bulk.related_rows import Item, Rows
from realtime.importers.bulk.tables import NeedsCore, Row, Table, table


class Record:
    """One row of the importer's model. `values` are by column name, as they would be read."""

    __slots__ = ("_batch", "changed", "id", "keys", "new", "touched", "values")

    def __init__(self, batch: "Batch", core_id: str, values: dict[str, Any], *, new: bool) -> None:
        self._batch = batch
        self.id = core_id
        self.values = values
        self.new = new
        self.touched = new
        self.changed: set[str] = set()
        self.keys: Sequence[Any] = ()

    def value(self, column: str) -> Any:
        """The row's value of a column."""
        return self.values[column]

    def related(self, name: str) -> list[dict[str, Any]]:
        """The columns of its related rows of that name, as the batch has left them."""
        branch = next(branch for branch in self._batch.tree if branch.name == name)
        names = [column.name for column in branch.table.columns]
        rows = self._batch.rows.of(branch, self.id)
        return [dict(zip(names, row, strict=True)) for row in rows]


class Batch:
    """Collects what applying objects changes, in order; `write` then makes it so.

    Objects of one batch may be the same row: each sees what the ones before it left.
    """

    def __init__(
        self, model: type[models.Model], tree: Sequence[Branch], *, keep_links: bool
    ) -> None:
        self.model = model
        self.table: Table = table(model)
        self.tree = tree
        self.rows = Rows()
        self.records: dict[str, Record] = {}
        self._keep_links = keep_links
        self._made: dict[Branch, dict[str, Row]] = defaultdict(dict)
        self._gone: dict[Branch, list[str]] = defaultdict(list)
        self._loose: dict[Branch, list[str]] = defaultdict(list)

    def set(self, record: Record, values: Mapping[str, Any]) -> None:
        """Set columns to values as they would be read."""
        for name, value in values.items():
            if record.values[name] != value:
                record.values[name] = value
                record.changed.add(name)

    def load_related(self, ids: Iterable[str]) -> None:
        """Read what belongs to these rows."""
        wanted = list(ids)
        if wanted:
            self.rows.load(self.tree, wanted)

    def insert(self, data: Item, related: Mapping[str, list[Item]]) -> Record:
        """Add a row as core's `Model(**data).save()` would. Raises NeedsCore."""
        values = self.table.defaults()
        for name, value in data.items():
            column, plain = self._column(name, value)
            values[column] = self.table.column[column].stored(plain)
        record = Record(self, values[self.table.pk.name], values, new=True)
        self.records[record.id] = record
        for branch in self.tree:
            self._add(self.rows.grow(branch, related[branch.name], record.id))
        return record

    def update(self, record: Record, data: Item, related: Mapping[str, list[Item]]) -> Difference:
        """Change what differs, by core's rules; returns what did.

        Raises NeedsCore, also when what an object of this batch brought might not be storable and,
        overwritten, would never be tried.
        """
        fields = set[str]()
        for name, value in data.items():
            column, plain = self._column(name, value)
            if record.values[column] != plain:
                if record.touched and not self.table.column[column].accepts(record.values[column]):
                    raise NeedsCore
                record.values[column] = self.table.column[column].stored(plain)
                record.changed.add(column)
                fields.add(name)
        before = {branch.name: len(self.rows.of(branch, record.id)) for branch in self.tree}
        for branch in self.tree:
            if self.rows.differs(branch, related[branch.name], record.id):
                self._replace(branch, related[branch.name], record.id)
                fields.add(branch.name)
        if not fields:
            return NO_DIFFERENCE
        record.touched = True
        return Difference.of(fields, before, {name: len(items) for name, items in related.items()})

    def _column(self, name: str, value: Any) -> tuple[str, Any]:
        if name in self.table.relations:
            if isinstance(value, models.Model):
                value = value.pk
            elif value is not None:
                raise NeedsCore
            name = self.table.relations[name]
        if name not in self.table.column or name == self.table.pk.name:
            raise NeedsCore
        return name, value

    def _replace(self, branch: Branch, items: list[Item], parent: str) -> None:
        kept = 0
        old = self.rows.of(branch, parent)
        if branch.numbered and items and old and _stands_alone(branch):
            kept = self.rows.unchanged_head(branch, items, parent)
        if not self._keep_links:
            self._loose[branch] += [row[0] for row in old[:kept]]
        for child, row in self.rows.below(branch, old[kept:]):
            if self._made[child].pop(row[0], None):
                if not child.table.accepts(row):
                    raise NeedsCore
            elif child is branch:
                self._gone[branch].append(row[0])
        self._add(self.rows.grow(branch, items, parent, kept))

    def _add(self, made: Iterable[tuple[Branch, list[Row]]]) -> None:
        for branch, rows in made:
            self._made[branch].update((row[0], row) for row in rows)

    def write(self) -> None:
        """Bring the database to what was decided.

        Core's foreign keys are deferred: a bad one would pass here and fail the commit. Checked at
        once, they cost a third less, too; afterwards they are deferred again.
        """
        statements: list[deleting.Statement] = []
        for branch in self.tree:
            if self._loose[branch]:
                statements += deleting.unlink(branch.table.model, self._loose[branch])
            if self._gone[branch]:
                statements += deleting.delete(branch.table.model, self._gone[branch])
        statements += self._changed_records(timezone.now())
        new = [record for record in self.records.values() if record.new]
        if not (statements or new or any(self._made.values())):
            return
        sql_statements.execute([sql_statements.CHECK_AT_ONCE, *statements])
        self._add_records(new)
        for branch in walk(self.tree):
            if self._made[branch]:
                copy_rows.copy(branch.table, list(self._made[branch].values()))
        sql_statements.execute([sql_statements.CHECK_AT_COMMIT])

    def _changed_records(self, now: Any) -> list[deleting.Statement]:
        touched = [record for record in self.records.values() if record.touched]
        for record in touched:
            for column in self.table.columns:
                if getattr(column.field, "auto_now", False) or (
                    record.new and getattr(column.field, "auto_now_add", False)
                ):
                    record.values[column.name] = now
                    record.changed.add(column.name)
        old = [record for record in touched if not record.new]
        if not old:
            return []
        changed = set().union(*(record.changed for record in old))
        columns = [column for column in self.table.columns if column.name in changed]
        return [
            sql_statements.update(self.table, columns, [self._parameters(r, columns) for r in old])
        ]

    def _add_records(self, new: Sequence[Record]) -> None:
        if new:
            names = [column.name for column in self.table.columns]
            copy_rows.copy(self.table, [tuple(map(r.values.__getitem__, names)) for r in new])

    def _parameters(self, record: Record, columns: Sequence[Any]) -> tuple[Any, ...]:
        return (
            record.id,
            *(
                column.field.get_db_prep_save(record.values[column.name], connection)
                for column in columns
            ),
        )


def _stands_alone(branch: Branch) -> bool:
    """Whether leaving a row in place differs from replacing it in nothing but its links."""
    ours = {child.table.model for child in branch.branches}
    return all(
        relation.on_delete is models.SET_NULL or relation.related_model in ours
        for relation in deleting.referrers(branch.table.model)
    )
