"""SQL that deletes rows, and does to rows that refer to them what Django's collector does."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.db import models
from django.db.models.deletion import get_candidate_relations_to_delete

Statement = tuple[str, list[Any]]


def delete(model: type[models.Model], ids: Sequence[Any]) -> list[Statement]:
    """The statements that delete these rows, in order; each takes `ids` as its only parameter.

    Where core's tables have a relation that SQL alone does not serve (protected, setting a value,
    or generic), Django deletes them at once. Nobody is told of deleted rows: `pre_delete` and
    `post_delete` are not sent.
    """
    plan = deletion(model)
    if plan is None:
        model._default_manager.filter(pk__in=ids).delete()
        return []
    return [(sql, [list(ids)]) for sql in plan]


def unlink(model: type[models.Model], ids: Sequence[Any]) -> list[Statement]:
    """The statements that set nullable references to these rows to null, as deleting them would."""
    return [
        (_set_null(relation, f"= ANY(%s::{_pk_type(model)}[])"), [list(ids)])
        for relation in referrers(model)
        if relation.on_delete is models.SET_NULL
    ]


@cache
def deletion(model: type[models.Model]) -> tuple[str, ...] | None:
    """The SQL that deletes rows of `model`; None when only Django can."""
    try:
        return tuple(_statements(model, f"= ANY(%s::{_pk_type(model)}[])", (model,)))
    except NotImplementedError:
        return None


@cache
def referrers(model: type[models.Model]) -> tuple[Any, ...]:
    """The relations of other models to this one, hidden ones included."""
    return tuple(get_candidate_relations_to_delete(model._meta))


def _statements(
    model: type[models.Model], condition: str, path: tuple[type[models.Model], ...]
) -> Iterator[str]:
    if any(hasattr(field, "bulk_related_objects") for field in model._meta.private_fields):
        raise NotImplementedError
    meta = model._meta
    for relation in referrers(model):
        column, other = relation.field.column, relation.related_model
        if relation.on_delete is models.DO_NOTHING:
            continue
        if relation.on_delete is models.SET_NULL:
            yield _set_null(relation, condition)
        elif relation.on_delete is models.CASCADE and other not in path:
            pk = other._meta.pk.column
            below = (
                f'IN (SELECT "{pk}" FROM "{other._meta.db_table}" WHERE "{column}" {condition})'
                if referrers(other)
                else ""
            )
            if below:
                yield from _statements(other, below, (*path, other))
            else:
                yield f'DELETE FROM "{other._meta.db_table}" WHERE "{column}" {condition}'
        else:
            raise NotImplementedError
    yield f'DELETE FROM "{meta.db_table}" WHERE "{meta.pk.column}" {condition}'


def _set_null(relation: Any, condition: str) -> str:
    table, column = relation.related_model._meta.db_table, relation.field.column
    return f'UPDATE "{table}" SET "{column}" = NULL WHERE "{column}" {condition}'


def _pk_type(model: type[models.Model]) -> str:
    return "uuid" if isinstance(model._meta.pk, models.UUIDField) else "text"
