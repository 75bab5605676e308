"""How scraped files name what is in the database: `~` and a query in JSON, or a scrape id."""

import json
from typing import Any


def spec_of(value: Any) -> dict[str, Any] | None:
    """What a pseudo id asks for; None when it is none that can be read."""
    if not isinstance(value, str) or not value.startswith("~"):
        return None
    try:
        spec = json.loads(value[1:])
    except (ValueError, RecursionError):
        return None
    return spec if isinstance(spec, dict) else None
