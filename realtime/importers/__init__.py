"""Core's importers adapted to scrapes that come in pieces, and set-based ones of our own.

`JurisdictionImporter`, `BillImporter`, `VoteEventImporter` and `EventImporter` are drop-in for
core's classes of those names. They need Django's models, so each is loaded when it is asked for.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "JurisdictionImporter": "bulk.jurisdictions",
    "BillImporter": "bulk.bills",
    "VoteEventImporter": "bulk.votes",
    "EventImporter": "bulk.events",
}
__all__ = ["BillImporter", "EventImporter", "JurisdictionImporter", "VoteEventImporter"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
