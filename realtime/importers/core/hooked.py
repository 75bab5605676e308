"""Core's importers, asking our lookups and rules where they would ask the database.

One set of these serves both executors, and the drop-in classes; what differs is the lookups and
the rules they are given.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import MultipleObjectsReturned
from django.db.models import Model, Q, prefetch_related_objects
from openstates.data.models import LegislativeSession, Organization, Person
from openstates.exceptions import UnresolvedIdError
from openstates.importers.base import BaseImporter
from openstates.utils import _make_pseudo_id

from realtime.domain.changes import NO_DIFFERENCE, Difference
from realtime.importers.items import Applied, Item
from realtime.importers.lookups import Committee, Lookups
from realtime.importers.name_matches import AskedOrganizations, Names, NamesFound, subjects
from realtime.importers.pseudo_ids import require_plain, spec_of
from realtime.importers.rules import Rules
from realtime.importers.specs.spec import Spec


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
        self.org_importer = AskedOrganizations(lookups.organizations(), self._no_organization)
        self.importing: Item | None = None
        self.error = self._heard
        self._asked_for_more = False
        self._problem = ""
        self._names = Names()
        self._difference = _Difference()
        self._people: dict[str | None, dict[Any, str | None]] = defaultdict(dict)
        self._members: dict[str, dict[Any, str | None]] = defaultdict(dict)
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
        self.rules.applied(item, core_id, new=what == "insert")
        return Applied(core_id, what, self._difference.of(what, self))

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
        found = rows.filter(**self.spec.way(data).conditions(data))
        try:
            row = self.rules.choose(item, known and _Stored(known), [_Stored(one) for one in found])
        except MultipleObjectsReturned as exc:
            raise self.model_class.MultipleObjectsReturned(*exc.args) from exc
        if row is None:
            self._difference = _Difference(data, self.related_models)
            self.rules.not_found(item)
            raise self.model_class.DoesNotExist
        assert isinstance(row, _Stored)
        self._difference = _Difference(data, self.related_models, row.model)
        self.rules.found(item, row)
        return row.model

    def _update_related(self, obj: Any, related: dict[str, Any], subfield_dict: Any) -> bool:
        if obj is not self._difference.row:
            updated: bool = super()._update_related(obj, related, subfield_dict)
            return updated
        for name, items in related.items():
            if super()._update_related(obj, {name: items}, subfield_dict):
                self._difference.fields.add(name)
        return not self._difference.fields.isdisjoint(related)

    # -- what objects refer to ------------------------------------------------------------------

    def names_found(self) -> NamesFound:
        """The names that objects of the batch have had so far."""
        members = ((self._chamber_of(one), cache) for one, cache in self._members.items())
        people = (
            (pseudo_id, chamber)
            for chamber, cache in (*self._people.items(), *members)
            for (pseudo_id, *_), person in cache.items()
            if person
        )
        organizations = ((pseudo_id, None) for pseudo_id in self.org_importer.found())
        matched = subjects("person", people) | subjects("organization", organizations)
        return NamesFound(matched, self._names.unmatched())

    @property
    def asked_for_more(self) -> bool:
        """As Applier has it."""
        return self._asked_for_more or self.org_importer.asked_for_more

    def _heard(self, message: str, *arguments: Any) -> None:
        """Core says only in its log whether nobody or several people have a name."""
        self._problem = message
        self.logger.error(message, *arguments)

    def _no_organization(self, pseudo_id: str, problem: str) -> None:
        self._names.unresolved(self.importing, "organization", pseudo_id, None, problem)

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
        self._problem = ""
        if key not in cache:
            cache[key] = self._ask_for_person(*key, org_classification)
        return self._noted(cache[key], psuedo_person_id, org_classification)

    def people_known(self, chamber: str | None) -> Mapping[Any, str | None]:
        """What `resolve_person` has answered for a chamber, by its first three arguments."""
        return self._people[chamber]

    def resolve_member(
        self, pseudo_id: str, start: str | None, end: str | None, committee_id: str
    ) -> str | None:
        """Who of a committee is meant: a member, else the only one called so in its chamber, else
        in the legislature. Core takes members of any committee."""
        key = pseudo_id, start, end
        cache, chamber = self._members[committee_id], self._chamber_of(committee_id)
        self._problem = ""
        if key not in cache:
            found = self.lookups.people(*key, None, committee_id)
            if found and found[0]:
                cache[key] = self._only(found)
            else:
                person = self._ask_for_person(*key, chamber) if chamber else None
                cache[key] = person or self._ask_for_person(*key, None)
        return self._noted(cache[key], pseudo_id, chamber)

    def _chamber_of(self, committee_id: str) -> str | None:
        parent = self.kind_of(committee_id).parent
        return parent if parent in ("upper", "lower") else None

    def _noted(self, person: str | None, pseudo_id: str, chamber: str | None) -> str | None:
        if person is None:
            self._names.unresolved(self.importing, "person", pseudo_id, chamber, self._problem)
        return person

    def _ask_for_person(
        self, pseudo_id: str, start: str | None, end: str | None, chamber: str | None
    ) -> str | None:
        found = self.lookups.people(pseudo_id, start, end, chamber)
        if found is not None:
            return self._only(found)
        query = spec_of(pseudo_id) or {}
        if query.keys() - {"name", "chamber"}:
            self._asked_for_more = True
        if {"id", "name"} <= query.keys():
            by_id = self._people_identified(query.pop("id"))
            if len(by_id) == 1:
                return by_id[0]
            # The scraper's own id of someone is not always known here; the name may be enough.
            return self._ask_for_person(_make_pseudo_id(**query), start, end, chamber)
        require_plain(query, Person)
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
            query = spec_of(json_id) or {}
            require_plain(query, self.model_class)
            if query.keys() - set(self.spec.described_by):
                self._asked_for_more = True
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


class _Difference:
    """What core is about to change in a row, found out while it compares."""

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        related: Collection[str] = (),
        row: Model | None = None,
    ) -> None:
        """`data` is the object as columns, with the `related` kinds; `row` is None for a new
        one."""
        self.row = row
        self.fields: set[str] = set()
        self._before: dict[str, int] = {}
        self._after = {name: len(data[name]) for name in related} if data else {}
        if row is not None and data is not None:
            # Core reads each kind to compare it; now it finds them read.
            prefetch_related_objects([row], *related)
            self._before = {name: len(getattr(row, name).all()) for name in related}
            self.fields = {
                name
                for name, value in data.items()
                if name not in related and getattr(row, name) != value
            }

    def of(self, what: str, importer: BaseImporter) -> Difference:
        """The difference, once core has done what it calls `what`.

        Core calls it `noop` when it only adds rows to those that it merges (sessions).
        """
        for name in importer.merge_related if self.row is not None else ():
            self._after[name] = getattr(self.row, name).order_by().count()
            if self._after[name] != self._before[name]:
                self.fields.add(name)
        if what == "noop" and not self.fields:
            return NO_DIFFERENCE
        return Difference.of(self.fields, self._before, self._after)
