"""Core's tables as plain tuples: how a row is read, made from scraped JSON, and written."""

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import connection, models

Row = tuple[Any, ...]


class NeedsCore(Exception):
    """Only core's own code, working on one object, can say what becomes of this one."""


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
        self.encode: Callable[[Any], str] = self._encoder()

    def _plain(self) -> type | None:
        """The one type, beside None, that is stored and read back as it is."""
        if isinstance(self.holds, models.CharField | models.TextField):
            return str
        if isinstance(self.holds, models.BooleanField):
            return bool
        return int if isinstance(self.holds, models.IntegerField) else None

    def _encoder(self) -> Callable[[Any], str]:
        if self.is_json:
            return self._encode_json
        if self.is_array:
            return _encode_array
        if self.is_time:
            return _encode_time
        return _encode_text if self.plain is str else _encode_other

    def _encode_json(self, value: Any) -> str:
        return _encode_text(self.field.get_prep_value(value))

    def default(self) -> Any:
        return self.field.get_default()

    def stored(self, value: Any) -> Any:
        """`value` as it will be read back. Raises NeedsCore when it is no value of this column."""
        if value is None or self.is_json or value.__class__ is self.plain:
            return value
        try:
            if self.is_array:
                return [self.holds.base_field.to_python(element) for element in value]
            return self.holds.to_python(value)
        except (ValidationError, TypeError, ValueError) as exc:
            raise NeedsCore from exc

    @property
    def sql_type(self) -> str:
        """The type to cast to. Not that of a limited width, which would cut a value silently."""
        return "text" if self.plain is str else str(self.field.db_type(connection))


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
        self._plans: dict[tuple[str, ...], Any] = {}
        self._encoders = [column.encode for column in columns]

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
        values = list(own)
        for name, column, default in plan:
            if name is None:
                values.append(column.default() if default is None else default)
                continue
            value = item[name]
            if value is not None and value.__class__ is not column.plain:
                value = column.stored(value)
            values.append(value)
        return tuple(values)

    def _plan(self, keys: tuple[str, ...]) -> list[tuple[str | None, Column, Any]]:
        own = {column.name for column in self.columns[: self.keys]}
        if any(key not in self.place or key in own for key in keys):
            raise NeedsCore
        plan: list[tuple[str | None, Column, Any]] = [
            (column.name, column, None)
            if column.name in keys
            # What is made anew for each row, a dictionary say, must not be shared by two.
            else (None, column, None if callable(column.field.default) else column.default())
            for column in self.columns[self.keys :]
        ]
        self._plans[keys] = plan
        return plan

    def copy_line(self, row: Row) -> str:
        """The row in PostgreSQL's `COPY` text format."""
        return "\t".join([encode(value) for encode, value in zip(self._encoders, row, strict=True)])


@cache
def table(model: type[models.Model], parent: str | None = None) -> Table:
    return Table(model, parent)


def storable(value: Any) -> bool:
    """Whether PostgreSQL could hold this text at all, so that a query may ask for it."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode_text(value: Any) -> str:
    if value is None:
        return r"\N"
    # Printable text has no tab or line break.
    if value.isprintable() and "\\" not in value:
        return str(value)
    return str(
        value.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
    )


def _encode_array(value: Any) -> str:
    if not value:
        return r"\N" if value is None else "{}"
    elements = [
        "NULL" if e is None else '"' + e.replace("\\", r"\\").replace('"', r"\"") + '"'
        for e in value
    ]
    return _encode_text("{" + ",".join(elements) + "}")


def _encode_time(value: Any) -> str:
    return r"\N" if value is None else str(value.isoformat())


def _encode_other(value: Any) -> str:
    return r"\N" if value is None else str(value)
