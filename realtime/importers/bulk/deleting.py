"""Deletes rows by SQL, with what Django's collector would do for every relation to them."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from django.db import models
from django.db.models import signals
from django.db.models.deletion import get_candidate_relations_to_delete

Statement = tuple[str, list[Any]]


def delete(model: type[models.Model], ids: Sequence[Any]) -> list[Statement]:
    """The statements that delete these rows, in order; each takes `ids` as its only parameter.

    What Django would not do by SQL alone is done by Django, at once: relations that are
    protected, that set a value, or generic ones, and signals that something listens to.
    """
    plan = None if _listened_to(model) else deletion(model)
    if plan is None:
        model._default_manager.filter(pk__in=ids).delete()
        return []
    return [(sql, [list(ids)]) for sql in plan]


def unlink(model: type[models.Model], ids: Sequence[Any]) -> list[Statement]:
    """What deleting these rows would do to the rows of others that may point to nothing."""
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


@cache
def affected(model: type[models.Model]) -> frozenset[type[models.Model]]:
    """`model` and what goes with it when its rows are deleted."""
    found = {model}
    for relation in referrers(model):
        if relation.on_delete is models.CASCADE and relation.related_model not in found:
            found |= affected(relation.related_model)
    return frozenset(found)


def _listened_to(model: type[models.Model]) -> bool:
    return any(
        signal.has_listeners(one)
        for one in affected(model)
        for signal in (signals.pre_delete, signals.post_delete)
    )


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
