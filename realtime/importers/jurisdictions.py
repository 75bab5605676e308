"""Jurisdictions, and the legislative sessions they bring."""

from collections.abc import Sequence
from typing import Any

from openstates.importers import JurisdictionImporter as CoreJurisdictionImporter

from realtime.importers.bulk import BulkImporter
from realtime.importers.items import Item


class JurisdictionImporter(BulkImporter, CoreJurisdictionImporter):  # type: ignore[misc]
    """A drop-in for core's `JurisdictionImporter`.

    A scrape has one jurisdiction, whose sessions are merged one by one: core does all of it.
    """

    def key(self, data: dict[str, Any]) -> tuple[Any, ...]:
        return ()

    def _settle(self, items: Sequence[Item], allow_duplicates: bool, isolate: bool) -> None:
        for item in items:
            self._import_alone(item, allow_duplicates, isolate)
