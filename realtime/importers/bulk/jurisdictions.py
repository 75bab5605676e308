"""Jurisdictions, and the legislative sessions they bring."""

from typing import Any

from openstates.importers import JurisdictionImporter as CoreJurisdictionImporter

from realtime.importers.bulk.importer import BulkImporter


class JurisdictionImporter(BulkImporter, CoreJurisdictionImporter):  # type: ignore[misc]
    """A drop-in for core's `JurisdictionImporter`.

    A scrape has one jurisdiction, whose sessions are merged one by one: core does all of it.
    """

    def key(self, data: dict[str, Any]) -> tuple[Any, ...]:
        return ()

    def one_by_one(self) -> bool:
        return True
