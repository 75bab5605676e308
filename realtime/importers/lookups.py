"""The lookup interface: what an object's references and its rules ask of the database.

`core.lookups` answers one question at a time, mostly by leaving it to core's importers;
`bulk.lookups` answers a whole batch's questions from memory.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from openstates.data.models import EventLocation, LegislativeSession
from openstates.importers import OrganizationImporter

from realtime.importers.specs.spec import Spec


class Committee(NamedTuple):
    """An organization's classification, and that of what it is a part of."""

    classification: str
    parent: str | None


class Lookups(Protocol):
    """Where a method may answer None, that means: not known here, core's importer asks."""

    def organizations(self) -> OrganizationImporter:
        """An importer of organizations, for one importer's own use."""

    def session(self, identifier: Any) -> LegislativeSession | None:
        """The jurisdiction's session. Raises LegislativeSession.DoesNotExist."""

    def committee(self, core_id: str) -> Committee | None:
        """What kind of organization this is."""

    def people(
        self, pseudo_id: str, start: Any, end: Any, chamber: str | None, organization_id: str = ""
    ) -> tuple[set[str], set[str]] | None:
        """The ids of the people that a pseudo id may mean, and those of them in office: of an
        organization's members if it is given, else of a chamber's, else of any chamber's.

        `start` and `end` are the session's dates, or None.
        """

    def described(self, spec: Spec, pseudo_id: str) -> Sequence[str] | None:
        """The ids of the rows of that type that a pseudo id describes."""

    def bills(self, session_id: Any, identifier: str) -> Sequence[str]:
        """The ids of the bills of a session with an identifier, written as core stores it."""

    def location(self, described: dict[str, Any]) -> EventLocation | None:
        """The location that an event describes, created if need be."""
