"""The set-based importers, adapted to receive a scrape in pieces.

They do for a batch what `pieces` does with core's importers for one object at a time.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from openstates.data.models import Bill, LegislativeSession, VoteEvent
from openstates.exceptions import UnresolvedIdError
from openstates.utils import get_pseudo_id

from realtime.domain.errors import Superseded, Unresolved, WaitingFor
from realtime.domain.results import About
from realtime.domain.scraped_object import ScrapeOrder
from realtime.domain.text import is_storable
from realtime.importers.adapting import (
    about_event,
    about_vote,
    name_references_of_bill,
    name_references_of_event,
    require_name,
    take_action,
)
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.bills import BillImporter
from realtime.importers.bulk.events import EventImporter
from realtime.importers.bulk.importer import BulkImporter
from realtime.importers.bulk.items import Item
from realtime.importers.bulk.votes import VoteEventImporter
from realtime.importers.history import History

_NAMING_A_BILL = ("bill", "bill_identifier", "legislative_session")


@dataclass
class Context:
    """What goes with an item: its place in the scrape order, the row it was applied to before, and
    what is found out about it."""

    order: ScrapeOrder
    known_core_id: str = ""
    action: str = ""
    about: About = field(default_factory=About)


class _InPieces(BulkImporter):
    """What every adapted importer does. One instance serves one batch of one jurisdiction."""

    keep_links = True

    def __init__(self, jurisdiction_id: str, *args: Any, history: History) -> None:
        super().__init__(jurisdiction_id, *args, do_postimport=False)
        self.history = history
        self._there: set[str] = set()

    def get_session(self, identifier: str) -> LegislativeSession:
        require_name(identifier)
        try:
            return super().get_session(identifier)
        except LegislativeSession.DoesNotExist as exc:
            raise Unresolved(WaitingFor(session=str(identifier))) from exc

    def load(self, batch: Batch, items: Sequence[Item]) -> None:
        super().load(batch, items)
        if known := [item.context.known_core_id for item in items if item.context.known_core_id]:
            batch.read("t.id = ANY(%s)", [known])

    def candidates(self, batch: Batch, item: Item) -> list[Record]:
        # Where it was before, if that still is there, whatever other rows would fit by now.
        known = batch.records.get(item.context.known_core_id)
        return [known] if known else super().candidates(batch, item)

    def _load(self, batch: Batch, items: Sequence[Item]) -> None:
        super()._load(batch, items)
        self._there = set(batch.records)
        self.history.preload_newest(self._there)

    def find(self, batch: Batch, item: Item) -> Record | None:
        return batch.records.get(item.context.known_core_id) or super().find(batch, item)

    def get_object(self, data: dict[str, Any]) -> Any:
        if self._current is not None and self._current.context.known_core_id:
            row = self.model_class.objects.filter(id=self._current.context.known_core_id).first()
            if row is not None:
                return self.refused(row)
        return super().get_object(data)

    def found(self, core_id: str, item: Item) -> None:
        if self._current is None and core_id not in self._there:
            return  # a row of this batch, which is in scrape order
        newest = self.history.newest(core_id)
        if newest is not None and newest > item.context.order:
            raise Superseded(core_id)

    def recall(self, object_type: str, json_id: str) -> None:
        """Let core find, by scrape `_id`, what an earlier batch imported."""
        if json_id and not json_id.startswith("~") and json_id not in self.json_to_db_id:
            core_id = self.history.row_of(object_type, json_id)
            if core_id:
                self.json_to_db_id[json_id] = core_id


class BillsInBulk(_InPieces, BillImporter):
    """Bills; also resolves, for the other importers, the bill that a scrape `_id` names."""

    def prepared(self, item: Item) -> None:
        name_references_of_bill(item.data)

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        self.recall("bill", json_id)
        return super().resolve_json_id(json_id, allow_no_match)

    def identifier(self, text: str) -> str:
        """A bill identifier as core stores it."""
        transformed: str = self.apply_transformers({"identifier": text})["identifier"]
        return transformed

    def is_described(self, pseudo_id: str) -> bool:
        """Whether any bill answers to a description."""
        if pseudo_id in self._described:
            return bool(self._described[pseudo_id])
        spec = self.limit_spec(get_pseudo_id(pseudo_id))
        return bool(Bill.objects.filter(**spec).exists())


class VotesInBulk(_InPieces, VoteEventImporter):
    """Vote events, parked until their bill is there. `link_votes` ties them to their actions."""

    bill_importer: BillsInBulk

    def __init__(self, *args: Any, history: History) -> None:
        super().__init__(*args, history=history)
        self._identified: dict[tuple[str, str], list[str]] = {}

    def preload(self, items: Sequence[Item]) -> None:
        super().preload(items)
        wanted: dict[str, set[str]] = defaultdict(set)
        for item in items:
            words = [item.data.get(name) for name in _NAMING_A_BILL]
            if not all(map(is_storable, words)):
                continue  # preparing it will say what is wrong, if anything
            named, text, session = map(str, words)
            if not named.startswith("~"):
                self.bill_importer.recall("bill", named)
                if text and named not in self.bill_importer.json_to_db_id:
                    wanted[session].add(self.bill_importer.identifier(text))
        self._identified = {(s, name): [] for s, names in wanted.items() for name in names}
        for session, identifiers in wanted.items():
            for core_id, identifier in Bill.objects.filter(
                legislative_session__jurisdiction_id=self.jurisdiction_id,
                legislative_session__identifier=session,
                identifier__in=identifiers,
            ).values_list("id", "identifier"):
                self._identified[session, identifier].append(core_id)

    def _prepare(self, item: Item) -> None:
        item.context.action = take_action(item.data)
        self._require_bill(item.data)
        super()._prepare(item)

    def prepared(self, item: Item) -> None:
        item.context.about = about_vote(item.data, item.context.action)

    def find(self, batch: Batch, item: Item) -> Record | None:
        record = super().find(batch, item)
        if record is None:
            self._refuse_stragglers(item)
        return record

    def get_object(self, data: dict[str, Any]) -> VoteEvent:
        try:
            return super().get_object(data)
        except VoteEvent.DoesNotExist:
            if self._current is not None:
                self._refuse_stragglers(self._current)
            raise

    def _refuse_stragglers(self, item: Item) -> None:
        if self.history.covered(item.data["bill_id"], item.context.order):
            raise Superseded("")

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        self.recall("vote_event", json_id)
        return super().resolve_json_id(json_id, allow_no_match)

    def _require_bill(self, data: dict[str, Any]) -> None:
        named = data.get("bill")
        if not named:
            return
        self.get_session(data["legislative_session"])
        if named.startswith("~"):
            self._require_described(named, data)
            return
        try:
            self.bill_importer.resolve_json_id(named)
        except UnresolvedIdError:
            self.bill_importer.json_to_db_id[named] = self._by_identifier(named, data)

    def _require_described(self, named: str, data: dict[str, Any]) -> None:
        spec = get_pseudo_id(named)
        if not isinstance(spec.get("identifier"), str):
            return  # core knows best what to make of a description without an identifier
        described = self._bill_described(named)
        if described is not None and not self.bill_importer.is_described(described):
            identifier = self.bill_importer.identifier(spec["identifier"])
            session = spec.get("legislative_session__identifier", data["legislative_session"])
            raise Unresolved(WaitingFor(str(session), bill_identifier=identifier))

    def _by_identifier(self, named: str, data: dict[str, Any]) -> str:
        # Provisional: a link by identifier is settled when the run is final.
        session, text = data["legislative_session"], data.get("bill_identifier")
        if not isinstance(text, str) or not text:
            raise Unresolved(WaitingFor(session, bill_scrape_id=named))
        identifier = self.bill_importer.identifier(text)
        rows = self._identified.get((session, identifier), [])
        if len(rows) != 1:
            raise Unresolved(WaitingFor(session, bill_scrape_id=named, bill_identifier=identifier))
        return rows[0]


class EventsInBulk(_InPieces, EventImporter):
    """Legislative events."""

    def prepared(self, item: Item) -> None:
        name_references_of_event(item.data)
        item.data["deleted"] = self.history.events_authoritative(item.context.order)
        item.context.about = about_event(item.data)
