"""Whether a column of core's can hold a value.

Django's fields say which values they understand, and their validators how long a text or how
great a number may be. The rest of a field's validation (choices, blanks, addresses) says what
forms should refuse, and core imports it all the same. Of arrays, JSON and of text that
PostgreSQL cannot hold Django says too little.
"""

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.core.validators import BaseValidator
from django.db.models import CharField, JSONField, Model, TextField

from realtime.domain.errors import PoisonMessage
from realtime.domain.text import is_storable
from realtime.importers.diagnosis.paths import join, misfit, not_finite, shown, unstorable

_UNSTORABLE = "holds a NUL character or half of a surrogate pair, which no column can"


def column_of(model: type[Model], name: str) -> Any:
    """The column that a name given to `model` is written to; None when there is none."""
    try:
        found = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return found if found.concrete else None


def misfits(column: Any, value: Any, path: str) -> Iterator[PoisonMessage]:
    """What keeps `value`, which stands at `path`, out of `column`."""
    if value is None:
        if not column.null:
            yield misfit(path, "is null")
    elif isinstance(column, JSONField):
        for below in unstorable(value, path):
            yield misfit(below, _UNSTORABLE)
        for below in not_finite(value, path):
            yield misfit(below, "is not a finite number, which JSON lacks")
    elif isinstance(column, ArrayField):
        yield from _array(value, path)
    else:
        yield from _plain(column, value, path)


def _array(value: Any, path: str) -> Iterator[PoisonMessage]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if not is_storable(str(item)):
                yield misfit(join(path, index), _UNSTORABLE)
    # A text may spell an array in PostgreSQL's own way.
    elif not isinstance(value, str) or not value.startswith("{"):
        yield misfit(path, f"is no list: {shown(value)}")


def _plain(column: Any, value: Any, path: str) -> Iterator[PoisonMessage]:
    try:
        prepared = column.to_python(value)
        for validator in column.validators:
            if isinstance(validator, BaseValidator):  # one that compares with a limit
                validator(prepared)
    except ValidationError as exc:
        reason = "too-long" if exc.code == "max_length" else "invalid"
        yield misfit(path, f"does not fit its column: {_sentence(exc, value)}", reason)
    except (TypeError, ValueError, OverflowError) as exc:
        # Django's fields themselves do not expect lists or infinite numbers.
        yield misfit(path, f"does not fit its column: {exc}: {shown(value)}")
    if isinstance(column, CharField | TextField) and not is_storable(str(value)):
        yield misfit(path, _UNSTORABLE)


def _sentence(exc: ValidationError, value: Any) -> str:
    if exc.code in ("min_value", "max_value"):
        return f"{exc.messages[0]} It is {shown(value)}."
    # A sentence that repeats the value repeats all of it.
    exc.params = {**exc.params, "value": shown(value)} if exc.params else None
    return exc.messages[0]
