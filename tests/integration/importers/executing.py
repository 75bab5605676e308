"""Batches through the executor for sets, with an outcome for each object."""

from collections.abc import Sequence
from typing import Any

from realtime.importers.bulk.executor import SetExecutor
from realtime.importers.bulk.lookups import BatchLookups
from realtime.importers.core.hooked import Hooked
from realtime.importers.items import Applied, Item, Outcome
from realtime.importers.rules import Rules


def import_batch(
    importer: Hooked, items: Sequence[Item], rules: Rules | None = None
) -> list[Outcome]:
    """Import these with `importer`, one of ours, by its own rules or by others."""
    assert isinstance(importer.lookups, BatchLookups)
    importer.rules = rules or importer.rules
    assert SetExecutor(importer, importer.lookups).import_items(items)
    outcomes = [item.outcome for item in items]
    assert all(outcomes)
    return outcomes  # type: ignore[return-value]


def whats(outcomes: Sequence[Outcome]) -> list[Any]:
    """Core's word for what was done with each object, or the type of its error."""
    return [one.what if isinstance(one, Applied) else type(one.error) for one in outcomes]
