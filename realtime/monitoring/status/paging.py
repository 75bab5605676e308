"""Pages of a long list, each found by an index, however far from its beginning."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)

# Digits that PostgreSQL's bigint can hold, whatever they are.
_LONGEST_ID = 18


@dataclass(frozen=True)
class Cursor:
    """A place in a list that is sorted by a time, then by an id, newest first.

    The page begins behind it, or with `newer` ends before it.
    """

    time: datetime
    id: Any
    newer: bool = False

    def __str__(self) -> str:
        return f"{self.time.isoformat()}~{self.id}"


def cursor(older: str, newer: str, read_id: Callable[[str], Any]) -> Cursor | None:
    """The place that an address names, as `str(Cursor)` wrote it; None when it names none.

    `read_id` raises ValueError for what is no id.
    """
    time, _, row_id = (older or newer).partition("~")
    try:
        at = datetime.fromisoformat(time)
        return Cursor(at, read_id(row_id), not older) if at.tzinfo else None
    except ValueError:
        return None


def row_id(text: str) -> int:
    """The id of a row, as an address has it. Raises ValueError for what is none."""
    if not text.isdecimal() or len(text) > _LONGEST_ID:
        raise ValueError(text)
    return int(text)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows of a list, and where the pages before and after them begin (None: there is none)"""

    rows: Sequence[Row]
    newer: Cursor | None = None
    older: Cursor | None = None


def page(
    rows: "QuerySet[Row]", time_field: str, at: Cursor | None, limit: int, id_field: str = "id"
) -> Page[Row]:
    """At most `limit` of `rows`, sorted by `time_field`, then `id_field`, newest first.

    A list that grows moves no row from one page to another. A page before whose place nothing is
    left is the first.
    """
    if at is not None and at.newer:
        found = list(beyond(rows, time_field, id_field, at)[: limit + 1])
        if found:
            shown = found[:limit][::-1]
            return Page(
                shown,
                _cursor(shown[0], time_field, id_field) if len(found) > limit else None,
                _cursor(shown[-1], time_field, id_field),
            )
        at = None
    found = list(beyond(rows, time_field, id_field, at)[: limit + 1])
    shown = found[:limit]
    return Page(
        shown,
        _cursor(shown[0], time_field, id_field) if at is not None and shown else None,
        _cursor(shown[-1], time_field, id_field) if len(found) > limit else None,
    )


def beyond(
    rows: "QuerySet[Row]", time_field: str, id_field: str, at: Cursor | None
) -> "QuerySet[Row]":
    """The rows behind a place, or with `at.newer` those before it, the nearest first."""
    sign, side = ("", "gt") if at is not None and at.newer else ("-", "lt")
    rows = rows.order_by(f"{sign}{time_field}", f"{sign}{id_field}")
    if at is None:
        return rows
    # Not one comparison of pairs: the index is of the time alone.
    nearer = {f"{time_field}__{side}e": at.time}
    behind = Q(**{f"{time_field}__{side}": at.time}) | Q(**{f"{id_field}__{side}": at.id})
    return rows.filter(behind, **nearer)


def _cursor(row: Model, time_field: str, id_field: str) -> Cursor:
    return Cursor(getattr(row, time_field), getattr(row, id_field))
