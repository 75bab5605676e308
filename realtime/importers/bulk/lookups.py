"""Lookups in sets: what a batch's objects refer to, read once before they are resolved."""

from collections.abc import Iterable, Sequence
from typing import Any

from openstates.data.models import Bill, EventLocation, LegislativeSession
from openstates.importers import OrganizationImporter
from openstates.importers.base import BaseImporter
from openstates.utils import _make_pseudo_id

from realtime.domain.bill_identifiers import as_stored
from realtime.domain.text import is_storable
from realtime.importers.bulk.described import Described
from realtime.importers.bulk.event_locations import Locations
from realtime.importers.bulk.organizations import Organizations
from realtime.importers.core.hooked import Hooked
from realtime.importers.core.importers import Bills, Events, VoteEvents
from realtime.importers.items import Item
from realtime.importers.lookups import Committee
from realtime.importers.persons import Persons
from realtime.importers.pseudo_ids import spec_of
from realtime.importers.specs.event import sessions_on
from realtime.importers.specs.spec import Mentions, Spec

# Raised by what an unchecked object is taken for; resolving it will say what is wrong.
_MALFORMED = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
_Call = tuple[Any, str]


class BatchLookups:
    """Answers from memory for what `preload` has read; what it has not, core asks for.

    The importers of one set share an instance, so that none reads what another has read.
    """

    def __init__(self, jurisdiction_id: str) -> None:
        self.jurisdiction_id = jurisdiction_id
        self._organizations = Organizations(jurisdiction_id)
        self._persons = Persons(jurisdiction_id)
        self._locations = Locations(jurisdiction_id)
        self._described = {
            spec.object_type: Described(spec, jurisdiction_id)
            for spec in (Bills.spec, VoteEvents.spec)
        }
        self._sessions: dict[str, LegislativeSession] = {}
        self._absent_sessions: set[str] = set()
        self._bills: dict[_Call, list[str]] = {}

    def preload(self, importer: Hooked, items: Sequence[Item]) -> None:
        """Read what these objects, which nobody has checked yet, refer to: a statement a kind."""
        mentions = Mentions()
        for item in items:
            try:
                importer.spec.mention(item.data, mentions)
            except _MALFORMED:
                continue
        self._organizations.refresh()
        self._load_sessions({one for one in mentions.sessions if is_storable(one)})
        self._persons.load(mentions.people)
        self._locations.load(mentions.places)
        if isinstance(importer, VoteEvents):
            bills = filter(None, map(_pseudo_id_as_stored, mentions.bills))
            self._load_described(importer.bill_importer, Bills.spec, bills)
            self._load_bills(self._called(importer, mentions))
        elif isinstance(importer, Events):
            votes = importer.vote_event_importer
            self._load_described(votes, VoteEvents.spec, mentions.vote_events)
            self._load_bills(_on_agenda(importer, mentions))

    # -- what importers and rules ask -----------------------------------------------------------

    def organizations(self) -> OrganizationImporter:
        return Organizations(self.jurisdiction_id, self._organizations)

    def session(self, identifier: Any) -> LegislativeSession | None:
        if identifier in self._absent_sessions:
            raise LegislativeSession.DoesNotExist(
                "LegislativeSession matching query does not exist."
            )
        return self._sessions.get(identifier)

    def committee(self, core_id: str) -> Committee | None:
        return self._organizations.kind(core_id)

    def people(
        self, pseudo_id: str, start: Any, end: Any, chamber: str | None, organization_id: str = ""
    ) -> tuple[set[str], set[str]] | None:
        named = self._persons.described(pseudo_id)
        # Core can make nothing of a chamber that is said twice.
        if named is None or (named.says_chamber and (chamber is not None or organization_id)):
            return None
        return self._persons.find(named.name, start, end, chamber or named.chamber, organization_id)

    def described(self, spec: Spec, pseudo_id: str) -> Sequence[str] | None:
        described = self._described.get(spec.object_type)
        return described.ids(pseudo_id) if described else None

    def bills(self, session_id: Any, identifier: str) -> Sequence[str]:
        found = self._bills.get((session_id, identifier))
        if found is None:
            bills = Bill.objects.filter(legislative_session_id=session_id, identifier=identifier)
            return list(bills.values_list("id", flat=True)[:2])
        return found

    def location(self, described: dict[str, Any]) -> EventLocation | None:
        return self._locations.get(described)

    # -- reading --------------------------------------------------------------------------------

    def _load_sessions(self, identifiers: set[str]) -> None:
        unknown = identifiers - self._sessions.keys()
        found: dict[str, list[LegislativeSession]] = {one: [] for one in unknown}
        if unknown:
            for session in LegislativeSession.objects.filter(
                identifier__in=unknown, jurisdiction_id=self.jurisdiction_id
            ):
                found[session.identifier].append(session)
        # Read again with the next batch, which may come after the file that brings one.
        self._absent_sessions = {one for one, sessions in found.items() if not sessions}
        self._sessions.update((one, s[0]) for one, s in found.items() if len(s) == 1)

    def _load_described(
        self, importer: BaseImporter, spec: Spec, pseudo_ids: Iterable[Any]
    ) -> None:
        self._described[spec.object_type].load(pseudo_ids, importer.pseudo_id_cache)

    def _load_bills(self, calls: set[_Call]) -> None:
        self._bills = {call: [] for call in calls}
        if not calls:
            return
        for core_id, *call in Bill.objects.filter(
            legislative_session__in={session for session, _ in calls},
            identifier__in={identifier for _, identifier in calls},
        ).values_list("id", "legislative_session_id", "identifier"):
            self._bills.setdefault((call[0], call[1]), []).append(core_id)

    def _called(self, importer: VoteEvents, mentions: Mentions) -> set[_Call]:
        """The bills that vote events mean by identifier, since their scrape ids are unknown."""
        called = set()
        for scrape_id, text, identifier in mentions.named_bills:
            if not all(map(is_storable, (scrape_id, text, identifier))) or not text:
                continue
            session = self._sessions.get(identifier)
            if session is None or scrape_id.startswith("~") or importer.bill_of(scrape_id):
                continue
            called.add((session.id, as_stored(text)))
        return called


def _on_agenda(importer: Events, mentions: Mentions) -> set[_Call]:
    called = set()
    for pseudo_id, date in mentions.agenda:
        if not (is_storable(pseudo_id) and is_storable(date)):
            continue
        query = spec_of(pseudo_id)
        try:
            if query and is_storable(query["identifier"]):
                identifier = as_stored(query["identifier"])
                for session in sessions_on(date, importer.get_all_sessions()):
                    called.add((session.id, identifier))
        except _MALFORMED:
            continue
    return called


def _pseudo_id_as_stored(pseudo_id: Any) -> str | None:
    """A bill's pseudo id as core's importer of vote events passes it on."""
    query = spec_of(pseudo_id) if is_storable(pseudo_id) else None
    try:
        if query and "identifier" in query:
            query["identifier"] = as_stored(query["identifier"])
        return _make_pseudo_id(**query) if query else None
    except _MALFORMED:
        return None
