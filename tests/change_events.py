"""What a change event must look like. Does not import the project."""

import json
from typing import Any

import jsonschema

from tests.support import ROOT

_SCHEMA = json.loads((ROOT / "docs/changes.schema.json").read_text())


def valid(text: str | dict[str, Any]) -> dict[str, Any]:
    """The event, which is as docs/changes.schema.json says."""
    event: dict[str, Any] = json.loads(text) if isinstance(text, str) else text
    jsonschema.validate(event, _SCHEMA)
    return event
