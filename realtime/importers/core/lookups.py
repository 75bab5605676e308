"""Lookups one at a time, nearly all by core's importers themselves."""

from collections.abc import Sequence
from typing import Any

from openstates.data.models import Bill, EventLocation, LegislativeSession
from openstates.importers import OrganizationImporter

from realtime.importers.specs.spec import Spec


class CoreLookups:
    """Knows nothing in advance, so that each question is a query."""

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id

    def organizations(self) -> OrganizationImporter:
        return OrganizationImporter(self._jurisdiction_id)

    def session(self, identifier: Any) -> LegislativeSession | None:
        return None

    def people(
        self, pseudo_id: str, start: Any, end: Any, chamber: str | None
    ) -> tuple[set[str], set[str]] | None:
        return None

    def described(self, spec: Spec, pseudo_id: str) -> Sequence[str] | None:
        return None

    def bills(self, session_id: Any, identifier: str) -> Sequence[str]:
        found = Bill.objects.filter(legislative_session_id=session_id, identifier=identifier)
        return list(found.values_list("id", flat=True)[:2])

    def location(self, described: dict[str, Any]) -> EventLocation | None:
        return None
