"""How files become core's rows: through core's importers one by one, or as sets.

`specs` states the rules of each type once, for both. `JurisdictionImporter`, `BillImporter`,
`VoteEventImporter` and `EventImporter` are drop-in for core's classes of those names. They need
Django's models, so they are loaded when they are asked for.
"""

from importlib import import_module
from typing import Any

__all__ = ["BillImporter", "EventImporter", "JurisdictionImporter", "VoteEventImporter"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.drop_in"), name)
