"""Lookups one at a time, nearly all by core's importers themselves."""

from collections.abc import Sequence
from typing import Any

from openstates.data.models import Bill, EventLocation, LegislativeSession, Organization
from openstates.exceptions import UnresolvedIdError
from openstates.importers import OrganizationImporter

from realtime.importers.lookups import Committee
from realtime.importers.persons import Persons
from realtime.importers.pseudo_ids import require_plain, spec_of
from realtime.importers.specs.spec import Spec

_PLAIN = {"name", "classification", "chamber"}


class Organizations(OrganizationImporter):  # type: ignore[misc]
    """Core's, but what one object looked up in vain does not decide for the next.

    `asked_for_more` is as Applier has it.
    """

    asked_for_more = False

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        """As core's. Raises UnresolvedIdError unless `allow_no_match`, which core forgets to do
        once the same pseudo id has been asked for with it."""
        if json_id and json_id.startswith("~") and json_id not in self.pseudo_id_cache:
            query = spec_of(json_id) or {}
            require_plain(query, Organization)
            # Parties belong to no jurisdiction.
            if query.keys() - _PLAIN or query.get("classification") == "party":
                self.asked_for_more = True
        found: str | None = super().resolve_json_id(json_id, allow_no_match)
        if found is None and json_id and not allow_no_match:
            raise UnresolvedIdError(f"cannot resolve pseudo id to Organization: {json_id}")
        return found


class CoreLookups:
    """Knows nothing in advance, so that each question is a query."""

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._persons = Persons(jurisdiction_id)

    def organizations(self) -> OrganizationImporter:
        return Organizations(self._jurisdiction_id)

    def committee(self, core_id: str) -> Committee | None:
        return None

    def session(self, identifier: Any) -> LegislativeSession | None:
        return None

    def people(
        self, pseudo_id: str, start: Any, end: Any, chamber: str | None, organization_id: str = ""
    ) -> tuple[set[str], set[str]] | None:
        # Core can ask for the members of any committee, but not of one, and knows of nobody that
        # it is undecided who they are.
        if not organization_id and not self._persons.undecided:
            return None
        named = self._persons.described(pseudo_id)
        if named is None or (named.says_chamber and (chamber is not None or organization_id)):
            return None
        self._persons.load([pseudo_id])
        return self._persons.find(named.name, start, end, chamber or named.chamber, organization_id)

    def described(self, spec: Spec, pseudo_id: str) -> Sequence[str] | None:
        return None

    def bills(self, session_id: Any, identifier: str) -> Sequence[str]:
        found = Bill.objects.filter(legislative_session_id=session_id, identifier=identifier)
        return list(found.values_list("id", flat=True)[:2])

    def location(self, described: dict[str, Any]) -> EventLocation | None:
        return None
