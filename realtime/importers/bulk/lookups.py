"""What objects refer to: sessions, organizations and people, asked for once a batch."""

from collections.abc import Iterator, Sequence
from typing import Any

from openstates.data.models import LegislativeSession
from openstates.importers.base import BaseImporter

from realtime.domain.text import is_storable
from realtime.importers.bulk.items import Item
from realtime.importers.bulk.organizations import Organizations
from realtime.importers.bulk.persons import Persons


class Lookups(BaseImporter):  # type: ignore[misc]
    """Mix in before an importer. What `preload` did not ask for is asked for one by one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.org_importer = Organizations(self.jurisdiction_id)
        self.persons = Persons(self.jurisdiction_id)
        self._sessions: dict[str, LegislativeSession] = {}
        for other in args:
            # What one importer of a set has looked up, the next need not ask again.
            if isinstance(other, Lookups) and other.jurisdiction_id == self.jurisdiction_id:
                self.org_importer = Organizations(self.jurisdiction_id, other.org_importer)
                self.persons, self._sessions = other.persons, other._sessions
        self._absent_sessions: set[str] = set()
        self._person_caches: dict[Any, Any] = {}

    def people_named(self, data: dict[str, Any]) -> Iterator[Any]:
        """The pseudo ids of people in an object that nobody has checked."""
        return iter(())

    def preload(self, items: Sequence[Item]) -> None:
        """Ask at once for what these objects, which nobody has checked, refer to."""
        self.org_importer.refresh()
        self._preload_sessions({item.data.get("legislative_session") for item in items
                                if is_storable(item.data.get("legislative_session"))})  # fmt: skip
        named: set[Any] = set()
        for item in items:
            try:
                named.update(filter(is_storable, self.people_named(item.data)))
            except (AttributeError, KeyError, TypeError):
                continue  # preparing it will say what is wrong
        self.persons.load(named)

    def _preload_sessions(self, identifiers: set[Any]) -> None:
        unknown = identifiers - self._sessions.keys()
        found: dict[str, list[LegislativeSession]] = {one: [] for one in unknown}
        if unknown:
            for session in LegislativeSession.objects.filter(
                identifier__in=unknown, jurisdiction_id=self.jurisdiction_id
            ):
                found[session.identifier].append(session)
        self._absent_sessions = {one for one, sessions in found.items() if not sessions}
        self._sessions.update((one, s[0]) for one, s in found.items() if len(s) == 1)
        for one in identifiers & self._sessions.keys():
            self.session_cache[one] = self._sessions[one]

    def get_session(self, identifier: str) -> LegislativeSession:
        if identifier in self._absent_sessions:
            raise LegislativeSession.DoesNotExist(
                "LegislativeSession matching query does not exist."
            )
        return super().get_session(identifier)

    def resolve_person(
        self,
        psuedo_person_id: str,  # core's spelling, which callers may use as a keyword
        start_date: str | None = None,
        end_date: str | None = None,
        org_classification: str | None = None,
    ) -> str | None:
        key = psuedo_person_id, start_date, end_date
        # Core's cache forgets the chamber, so that the first of two namesakes votes in both.
        cache = self._person_caches.setdefault(org_classification, {})
        if key not in cache:
            cache[key] = self._person(psuedo_person_id, start_date, end_date, org_classification)
        person: str | None = cache[key]
        return person

    def _person(self, pseudo_id: str, start: Any, end: Any, chamber: Any) -> Any:
        named = self.persons.described(pseudo_id)
        # Core can make nothing of a chamber that is said twice.
        if named and not (named.says_chamber and chamber is not None):
            found = self.persons.find(named.name, start, end, chamber or named.chamber)
            if found is not None:
                for people in found:
                    if len(people) == 1:
                        return next(iter(people))
                some = "multiple" if found[0] else "no"
                self.error(f"{some} people returned for spec")
                return None
        self.person_cache: dict[Any, Any] = {}
        return super().resolve_person(pseudo_id, start, end, chamber)
