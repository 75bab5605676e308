"""Core's tables as plain tuples: how a row is read, made from scraped JSON, and written."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models.fields import NOT_PROVIDED

from realtime.domain.text import is_storable
from realtime.importers.bulk.copy_text import (
    Values,
    encode_array,
    encode_other,
    encode_texts,
    encode_time,
)

Row = tuple[Any, ...]


class NeedsCore(Exception):
    """Only core's own code, importing one object alone, can say what becomes of this one."""


class Column:
    """One column: its place in Django's model and the plain values it holds."""

    def __init__(self, field: Any) -> None:
        self.field = field
        self.name: str = field.attname
        self.sql = f'"{field.column}"'
        # A foreign key holds what the key it points to holds.
        self.holds: Any = getattr(field, "target_field", field)
        self.is_json = isinstance(self.holds, models.JSONField)
        self.is_array = isinstance(self.holds, ArrayField)
        self.is_time = isinstance(self.holds, models.DateTimeField)
        self.plain = self._plain()
        # Of all values of a column at once.
        self.encode: Callable[[Values], Sequence[str]] = self._encoder()
        # What is made anew for each row, a dictionary say, must not be shared by two.
        default = field.default
        self.makes_default: bool = default is not NOT_PROVIDED and callable(default)

    def _plain(self) -> type | None:
        """The one type, beside None, that is stored and read back as it is."""
        if isinstance(self.holds, models.CharField | models.TextField):
            return str
        if isinstance(self.holds, models.BooleanField):
            return bool
        return int if isinstance(self.holds, models.IntegerField) else None

    def _encoder(self) -> Callable[[Values], Sequence[str]]:
        if self.is_json:
            return self._encode_json
        if self.is_array:
            return lambda values: list(map(encode_array, values))
        if self.is_time:
            return lambda values: list(map(encode_time, values))
        return encode_texts if self.plain is str else lambda values: list(map(encode_other, values))

    def _encode_json(self, values: Values) -> Sequence[str]:
        return encode_texts(list(map(self.field.get_prep_value, values)))

    def default(self) -> Any:
        return self.field.get_default()

    def stored(self, value: Any) -> Any:
        """`value` as it will be read back. Raises NeedsCore when it is no value of this column."""
        if self.holds_as_is(value):
            return value
        if self.is_array and not isinstance(value, list | tuple):
            raise NeedsCore
        try:
            if self.is_array:
                return [self.holds.base_field.to_python(element) for element in value]
            return self.holds.to_python(value)
        except (ValidationError, TypeError, ValueError) as exc:
            raise NeedsCore from exc

    def holds_as_is(self, value: Any) -> bool:
        """Whether `stored` returns any value of that type unchanged."""
        return value is None or self.is_json or value.__class__ is self.plain

    def accepts(self, value: Any) -> bool:
        """Whether the database surely takes a value that `stored` returned."""
        if value is None:
            return bool(self.field.null)
        if self.is_json:
            text = self.field.get_prep_value(value)
            return not any(odd in text for odd in ("\\u0000", "\\ud", "NaN", "Infinity"))
        if self.is_array:
            return all(element is None or is_storable(element) for element in value)
        if self.plain is str:
            width = self.holds.max_length
            return is_storable(value) and (width is None or len(value) <= width)
        return self.plain is not int or 0 <= value < 1 << 31

    @property
    def sql_type(self) -> str:
        """The type to cast to. Not that of a limited width, which would cut a value silently."""
        return "text" if self.plain is str else str(self.field.db_type(connection))


class _Plan(NamedTuple):
    """How rows are made of items that say the same columns."""

    get: Callable[[Mapping[str, Any]], Row]
    constants: Mapping[str, Any]
    fresh: Sequence[Column]
    # Types of values, for all columns at once, that are stored as they are.
    plain: set[tuple[type, ...]]


class Table:
    """One of core's tables, with the key first and then, for a child, its parent's.

    Rows are tuples in that order, with Django's own values; keys of children, and their
    parents', are text.
    """

    def __init__(self, model: type[models.Model], parent: str | None = None) -> None:
        self.model = model
        self.parent = parent
        self.sql = f'"{model._meta.db_table}"'
        first = [model._meta.pk.attname, *([parent] if parent else [])]
        columns = [Column(field) for field in model._meta.concrete_fields]
        columns.sort(key=lambda c: first.index(c.name) if c.name in first else len(first))
        self.columns: Sequence[Column] = columns
        self.keys = len(first)
        self.place = {column.name: n for n, column in enumerate(columns)}
        self.column = {column.name: column for column in columns}
        # What core's JSON may call a column, beside its own name.
        self.relations = {
            column.field.name: column.name
            for column in columns
            if column.field.is_relation and column.field.name != column.name
        }
        self.pk = columns[0]
        self.only_text = all(column.plain is str for column in columns[self.keys :])
        self._json = [n for n, column in enumerate(columns) if column.is_json]
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self._constants = {c.name: c.default() for c in columns if not c.makes_default}
        self._fresh = [column for column in columns if column.makes_default]

    def defaults(self) -> dict[str, Any]:
        """Column defaults."""
        return {**self._constants, **{column.name: column.default() for column in self._fresh}}

    def select_list(self, alias: str = "t") -> str:
        return ", ".join(
            f"{alias}.{column.sql}" + ("::text" if n < self.keys else "")
            for n, column in enumerate(self.columns)
        )

    def read(self, rows: Iterable[Row]) -> list[Row]:
        """Rows as a cursor gives them, JSON parsed."""
        return [self._parsed(row) for row in rows] if self._json else list(rows)

    def _parsed(self, row: Row) -> Row:
        values = list(row)
        for n in self._json:
            if values[n] is not None:
                values[n] = json.loads(values[n], cls=self.columns[n].field.decoder)
        return tuple(values)

    def make(self, item: dict[str, Any], keys: tuple[str, ...], *own: Any) -> Row:
        """The row that core would store for a scraped child; `own` is its key and its parent's.

        `keys` are those of `item` that are columns. Raises NeedsCore.
        """
        plan = self._plans.get(keys) or self._plan(keys)
        if plan.constants or plan.fresh:
            item = {**plan.constants, **{c.name: c.default() for c in plan.fresh}, **item}
        values = plan.get(item)
        types = tuple(map(type, values))
        if types not in plan.plain:
            columns = self.columns[self.keys :]
            if all(map(Column.holds_as_is, columns, values)):
                plan.plain.add(types)
            values = tuple(map(Column.stored, columns, values))
        return own + values

    def _plan(self, keys: tuple[str, ...]) -> _Plan:
        own = {column.name for column in self.columns[: self.keys]}
        if any(key not in self.place or key in own for key in keys):
            raise NeedsCore
        names = [column.name for column in self.columns[self.keys :]]
        get: Callable[[Mapping[str, Any]], Row] = itemgetter(*names)
        if len(names) == 1:
            get = lambda item: (item[names[0]],)  # noqa: E731
        unsaid = set(names) - set(keys)
        constants = {name: one for name, one in self._constants.items() if name in unsaid}
        fresh = [column for column in self._fresh if column.name in unsaid]
        self._plans[keys] = _Plan(get, constants, fresh, set())
        return self._plans[keys]

    def accepts(self, row: Row) -> bool:
        """Whether the database surely takes a row that `make` returned."""
        return all(map(Column.accepts, self.columns[self.keys :], row[self.keys :]))

    def copy_text(self, rows: Sequence[Row]) -> str:
        """The rows in PostgreSQL's `COPY` text format."""
        columns = [
            column.encode(values)
            for column, values in zip(self.columns, zip(*rows, strict=True), strict=True)
        ]
        return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


@cache
def table(model: type[models.Model], parent: str | None = None) -> Table:
    return Table(model, parent)
