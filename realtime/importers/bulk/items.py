"""Objects on their way through an importer."""

from dataclasses import dataclass, field
from typing import Any

Done = tuple[str, str]


@dataclass(eq=False)
class Item:
    """One object to import. `data` is changed; `context` is the caller's own, for its hooks.

    `json_id` is what other objects may call it; None when nothing will. Preparing it sets the
    rest: `key` says by what its row is found, None when only core can say.
    """

    json_id: str | None
    data: dict[str, Any]
    context: Any = None
    dropped: dict[str, Any] = field(default_factory=dict)
    key: Any = None
    outcome: Done | Exception | None = None
