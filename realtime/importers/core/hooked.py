"""Core's importers, asking our lookups and rules where they would ask the database.

One set of these serves both executors, and the drop-in classes; what differs is the lookups and
the rules they are given.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import MultipleObjectsReturned
from django.db.models import Model, Q
from openstates.data.models import LegislativeSession, Organization, Person
from openstates.exceptions import UnresolvedIdError
from openstates.importers.base import BaseImporter
from openstates.utils import _make_pseudo_id

from realtime.importers.items import Applied, Item
from realtime.importers.lookups import Committee, Lookups
from realtime.importers.pseudo_ids import require_plain, spec_of
from realtime.importers.rules import Rules
from realtime.importers.specs.spec import Spec, StoredRow


@dataclass(frozen=True)
class _Stored:
    """A row as a model of Django's, for the rules."""

    model: Model

    @property
    def id(self) -> str:
        core_id: str = self.model.pk
        return core_id

    def value(self, column: str) -> Any:
        return getattr(self.model, column)

    def related(self, name: str) -> Sequence[dict[str, Any]]:
        return list(getattr(self.model, name).values())


class Hooked(BaseImporter):  # type: ignore[misc]
    """Mix in before one of core's importers. One instance serves one batch of one jurisdiction.

    `importing` is the object on its way; without one, core's methods do what core's do.
    """

    spec: Spec

    def __init__(
        self, jurisdiction_id: str, *others: Any, lookups: Lookups, rules: Rules, **more: Any
    ) -> None:
        super().__init__(jurisdiction_id, *others, **more)
        self.lookups = lookups
        self.rules = rules
        self.org_importer = lookups.organizations()
        self.importing: Item | None = None
        # By chamber or committee.
        self._people: dict[str | None, dict[Any, str | None]] = defaultdict(dict)
        self._kinds: dict[str, Committee] = {}

    # -- one object's way ---------------------------------------------------------------------

    def strip(self, item: Item) -> None:
        """Take off what core does not import."""
        for name in self.spec.not_imported:
            value = item.data.pop(name, None)
            if name == "bill_identifier":
                item.bill_identifier = value

    def resolve(self, item: Item) -> None:
        """Make columns of what was scraped, as core's `import_item` begins.

        Raises UnresolvedIdError for what core would skip, and whatever core and the rules raise.
        """
        self.strip(item)
        self.importing = item
        try:
            item.data = self.prepare_for_db(self.apply_transformers(item.data))
        finally:
            self.importing = None

    def import_alone(self, item: Item, allow_duplicates: bool = True) -> Applied:
        """Have core import one object, resolved or not. Raises whatever core and the rules do."""
        self.importing = item
        try:
            core_id, what = super().import_item(item.data, allow_duplicates)
        finally:
            self.importing = None
        if not core_id:
            raise item.unresolved or UnresolvedIdError("core skipped the object")
        self.rules.applied(item, core_id)
        return Applied(core_id, what)

    def apply_transformers(self, data: Any, transformers: Any = None) -> Any:
        if transformers is None and self.importing is not None and self.importing.resolved:
            return data
        return super().apply_transformers(data, transformers)

    def prepare_for_db(self, data: dict[str, Any]) -> dict[str, Any]:
        item = self.importing
        if item is None:
            return self.columns_of(data)
        if item.resolved:
            return data
        item.data = data
        self.rules.require(item, self)
        try:
            item.data = self.columns_of(data)
        except UnresolvedIdError as exc:
            item.unresolved = exc  # core tells only that there was one
            raise
        self.rules.resolved(item)
        item.resolved = True
        return item.data

    def columns_of(self, data: dict[str, Any]) -> dict[str, Any]:
        """Core's own `prepare_for_db`."""
        columns: dict[str, Any] = super().prepare_for_db(data)
        return columns

    def get_object(self, data: dict[str, Any]) -> Model:
        item = self.importing or Item(None, data)
        self.rules.deciding(item)
        rows = self.model_class.objects.prefetch_related(*self.spec.prefetched)
        # Where it was before, if that still is there, whatever other rows would fit by now.
        known = rows.filter(id=item.core_id).first() if item.core_id else None
        row: StoredRow | None = _Stored(known) if known else None
        if row is None or not self.rules.keeps(item, row):
            found = rows.filter(**self.spec.way(data).conditions(data))
            try:
                row = self.rules.choose(item, [_Stored(one) for one in found])
            except MultipleObjectsReturned as exc:
                raise self.model_class.MultipleObjectsReturned(*exc.args) from exc
        if row is None:
            self.rules.not_found(item)
            raise self.model_class.DoesNotExist
        self.rules.found(item, row)
        assert isinstance(row, _Stored)
        return row.model

    # -- what objects refer to ------------------------------------------------------------------

    def get_session(self, identifier: Any) -> LegislativeSession:
        if identifier not in self.session_cache:
            session = self.lookups.session(identifier)
            if session is not None:
                self.session_cache[identifier] = session
        return super().get_session(identifier)

    def resolve_person(
        self,
        psuedo_person_id: str,  # core's spelling, which callers may use as a keyword
        start_date: str | None = None,
        end_date: str | None = None,
        org_classification: str | None = None,
    ) -> str | None:
        # Core's cache forgets the chamber, so that the first of two namesakes votes in both.
        cache = self._people[org_classification]
        key = psuedo_person_id, start_date, end_date
        if key not in cache:
            cache[key] = self._resolve_person(*key, org_classification)
        return cache[key]

    def _resolve_person(
        self, pseudo_id: str, start: str | None, end: str | None, chamber: str | None
    ) -> str | None:
        found = self.lookups.people(pseudo_id, start, end, chamber)
        if found is not None:
            return self._only(found)
        query = spec_of(pseudo_id) or {}
        if {"id", "name"} <= query.keys():
            by_id = self._people_identified(query.pop("id"))
            if len(by_id) == 1:
                return by_id[0]
            # The scraper's own id of someone is not always known here; the name may be enough.
            return self.resolve_person(_make_pseudo_id(**query), start, end, chamber)
        require_plain(pseudo_id, Person)
        self.person_cache.clear()
        person: str | None = super().resolve_person(pseudo_id, start, end, chamber)
        return person

    def kind_of(self, organization_id: str) -> Committee:
        """What kind of organization this is."""
        if organization_id not in self._kinds:
            kind = self.lookups.committee(organization_id)
            if kind is None:
                rows = Organization.objects.filter(id=organization_id)
                kind = Committee(*rows.values_list("classification", "parent__classification")[0])
            self._kinds[organization_id] = kind
        return self._kinds[organization_id]

    def _people_identified(self, identifier: Any) -> list[str]:
        """Members, past ones too, that have this id, core's or one that their file lists."""
        people = Person.objects.filter(
            Q(id=identifier) | Q(identifiers__identifier=identifier),
            memberships__organization__jurisdiction_id=self.jurisdiction_id,
        )
        return list(people.values_list("id", flat=True).distinct()[:2])

    def resolve_member(
        self, pseudo_id: str, start: str | None, end: str | None, committee_id: str
    ) -> str | None:
        """Who of a committee is meant: a member, else the only one called so in its chamber, else
        in the legislature. Core takes members of any committee."""
        key = pseudo_id, start, end
        cache = self._people[committee_id]
        if key not in cache:
            found = self.lookups.people(*key, None, committee_id)
            if found and found[0]:
                cache[key] = self._only(found)
            else:
                kind = self.kind_of(committee_id)
                of_chamber = kind.parent in ("upper", "lower")
                person = self.resolve_person(*key, kind.parent) if of_chamber else None
                cache[key] = person or self.resolve_person(*key)
        return cache[key]

    def _only(self, found: tuple[set[str], set[str]]) -> str | None:
        for people in found:
            if len(people) == 1:
                return next(iter(people))
        self.error(f"{'multiple' if found[0] else 'no'} people returned for spec")
        return None

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        if json_id and not json_id.startswith("~"):
            if json_id not in self.json_to_db_id and (row := self.rules.row_of(json_id)):
                self.json_to_db_id[json_id] = row
        elif json_id and json_id not in self.pseudo_id_cache:
            require_plain(json_id, self.model_class)
            found = self.lookups.described(self.spec, json_id)
            if found is not None:
                self._remember(json_id, found, allow_no_match)
        resolved: str | None = super().resolve_json_id(json_id, allow_no_match)
        return resolved

    def _remember(self, pseudo_id: str, found: Sequence[str], allow_no_match: bool) -> None:
        if len(found) == 1:
            self.pseudo_id_cache[pseudo_id] = found[0]
            return
        problem = f"{len(found) or 'no'} {self.model_class.__name__} rows answer to {pseudo_id}"
        if not allow_no_match:
            raise UnresolvedIdError(problem)
        self.error(problem)
        self.pseudo_id_cache[pseudo_id] = None
