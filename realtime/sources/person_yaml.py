"""People as YAML, as the people repository has them, turned into JSON."""

import json
from datetime import date
from typing import Any

import yaml

from realtime.domain.errors import PoisonMessage


def person_json(content: bytes) -> bytes:
    """One person's YAML as JSON, with dates in ISO 8601. Raises PoisonMessage (`bad-yaml`)."""
    try:
        return json.dumps(yaml.load(content, _WithoutAliases), default=_date).encode()
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as exc:
        raise PoisonMessage("bad-yaml", f"the file is not YAML: {exc}") from exc


class _WithoutAliases(yaml.SafeLoader):
    """As JSON, a few aliases of aliases have no end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias stands for a value, write the value")
        return super().compose_node(parent, index)


def require_person(content: bytes) -> None:
    """Raises PoisonMessage (`invalid`) when core would not load the person in this JSON."""
    from openstates.models.people import Person

    try:
        Person(**json.loads(content))
    except (ValueError, TypeError) as exc:
        raise PoisonMessage("invalid", f"not a person: {exc}") from exc


def _date(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
