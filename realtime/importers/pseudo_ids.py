"""How scraped files name what is in the database: `~` and a query in JSON, or a scrape id."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist, FieldError
from django.db.models import Model

# The lookups of Django's that a pseudo id may ask for, beside the field itself. Others can take
# PostgreSQL hours (`__regex`), or answer with what nobody meant.
_LOOKUPS = (["exact"], ["iexact"])


def spec_of(value: Any) -> dict[str, Any] | None:
    """What a pseudo id asks for; None when it is none that can be read."""
    if not isinstance(value, str) or not value.startswith("~"):
        return None
    try:
        spec = json.loads(value[1:])
    except (ValueError, RecursionError):
        return None
    return spec if isinstance(spec, dict) else None


def require_plain(query: Mapping[str, Any], model: type[Model]) -> None:
    """Raises FieldError when a query for rows of `model` asks for anything but equal fields, its
    own or those of what it refers to."""
    for path in query:
        left, named = str(path).split("__"), 0
        of: type[Model] | None = model
        while left and of is not None:
            try:
                field = of._meta.get_field(left[0])
            except FieldDoesNotExist:
                break
            left, of, named = left[1:], field.related_model, named + 1
        if named and left and left not in _LOOKUPS:
            raise FieldError(f"{path} asks for more than an equal field")
