"""Core's importers, adapted to receive a scrape in pieces.

Core resolves what an object names among the objects of the same import. Here the rest of the
scrape came in other runs, so scrape ids are looked up in the ledger as well, what is missing is
named instead of being skipped, and what is older than the row it would change is refused.
"""

from collections import defaultdict
from typing import Any

from django.core.exceptions import MultipleObjectsReturned
from openstates import importers as core
from openstates.data.models import Bill, Jurisdiction, LegislativeSession, VoteEvent
from openstates.exceptions import UnresolvedIdError
from openstates.importers.base import BaseImporter
from openstates.utils import get_pseudo_id

from realtime.domain.errors import PoisonMessage, Superseded, Unresolved, WaitingFor
from realtime.domain.results import About
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.adapting import (
    about_event,
    about_vote,
    name_references_of_bill,
    name_references_of_event,
    require_name,
    take_action,
)
from realtime.importers.history import History

PersonCache = dict[Any, str | None]


class _InPieces(BaseImporter):  # type: ignore[misc]
    """What every adapted importer does. One instance serves one batch of one jurisdiction.

    `about` is what the ledger must remember of the object that was applied last.
    """

    def __init__(self, jurisdiction_id: str, *args: Any, history: History) -> None:
        super().__init__(jurisdiction_id, *args, do_postimport=False)
        self.history = history
        self.about = About()
        self._order = ScrapeOrder(0, "", 0)
        self._known_core_id = ""
        self._unresolved: UnresolvedIdError | None = None
        self._person_caches: dict[str | None, PersonCache] = defaultdict(dict)

    def apply(
        self, data: dict[str, Any], order: ScrapeOrder, known_core_id: str = ""
    ) -> tuple[str, str]:
        """Import one object; returns its row and core's word for what was done.

        A vote event or event that was imported before goes to its `known_core_id`, if that still is
        there, whatever other rows would fit by now.

        Raises Superseded, Unresolved (what has not arrived), PoisonMessage (`unresolved`: what
        core would skip; `ambiguous`: several rows could be meant) and whatever core raises. `data`
        is changed.
        """
        scrape_id = data["_id"]
        self._order, self._unresolved, self.about = order, None, About()
        self._known_core_id = known_core_id
        try:
            core_id, what = self.import_item(data, allow_duplicates=True)
        except MultipleObjectsReturned as exc:
            raise PoisonMessage("ambiguous", f"it may be any of several rows: {exc}") from exc
        if not core_id:
            raise PoisonMessage("unresolved", str(self._unresolved or "core skipped the object"))
        self.json_to_db_id[scrape_id] = core_id
        return core_id, what

    def forget(self, scrape_id: str) -> None:
        """Drop what was resolved for this object: it has been rolled back."""
        self.pseudo_id_cache.clear()
        self.json_to_db_id.pop(scrape_id, None)

    def get_object(self, data: dict[str, Any]) -> Any:
        row = super().get_object(data)
        self._refuse_older(row)
        return row

    def _known(self) -> Any:
        row = self.model_class.objects.filter(id=self._known_core_id).first()
        if row is not None:
            self._refuse_older(row)
        return row

    def _refuse_older(self, row: Any) -> None:
        newest = self.history.newest(row.id)
        if newest is not None and newest > self._order:
            raise Superseded(row.id)

    def get_session(self, identifier: str) -> LegislativeSession:
        require_name(identifier)
        try:
            return super().get_session(identifier)
        except LegislativeSession.DoesNotExist as exc:
            raise Unresolved(WaitingFor(session=str(identifier))) from exc

    def prepare_for_db(self, data: dict[str, Any]) -> dict[str, Any]:
        try:
            prepared: dict[str, Any] = super().prepare_for_db(data)
        except UnresolvedIdError as exc:
            self._unresolved = exc
            raise
        return prepared

    def resolve_person(
        self,
        psuedo_person_id: str,  # core's spelling, which callers may use as a keyword
        start_date: str | None = None,
        end_date: str | None = None,
        org_classification: str | None = None,
    ) -> str | None:
        # Core's cache forgets the chamber, so that the first of two namesakes votes in both.
        self.person_cache = self._person_caches[org_classification]
        person: str | None = super().resolve_person(
            psuedo_person_id, start_date, end_date, org_classification
        )
        return person


class JurisdictionInPieces(_InPieces, core.JurisdictionImporter):  # type: ignore[misc]
    """Jurisdictions, and the legislative sessions they bring."""

    def get_object(self, data: dict[str, Any]) -> Any:
        try:
            row = super().get_object(data)
        except Jurisdiction.DoesNotExist as exc:
            raise PoisonMessage(
                "wrong-jurisdiction",
                f"division_id and classification are not those of {self.jurisdiction_id}",
                "division_id",
            ) from exc
        # Core finds the row by its division and would give it the file's id.
        if row.id != self.jurisdiction_id:
            raise PoisonMessage(
                "wrong-jurisdiction", f"division_id is that of {row.id}", "division_id"
            )
        return row

    def add_missing_sessions(self, core_id: str, data: dict[str, Any]) -> None:
        """Add the sessions of an older file that no newer one has named."""
        known = set(
            LegislativeSession.objects.filter(jurisdiction_id=core_id).values_list(
                "identifier", flat=True
            )
        )
        sessions = self.prepare_for_db(data)["legislative_sessions"]
        missing = [session for session in sessions if session["identifier"] not in known]
        LegislativeSession.objects.bulk_create(
            LegislativeSession(jurisdiction_id=core_id, **session) for session in missing
        )


class BillInPieces(_InPieces, core.BillImporter):  # type: ignore[misc]
    """Bills; also resolves, for the other importers, the bill that a scrape `_id` names."""

    def prepare_for_db(self, data: dict[str, Any]) -> dict[str, Any]:
        prepared = super().prepare_for_db(data)
        name_references_of_bill(prepared)
        return prepared

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        _recall(self, "bill", json_id)
        row: str | None = super().resolve_json_id(json_id, allow_no_match)
        return row

    def identifier(self, text: str) -> str:
        """A bill identifier as core stores it."""
        transformed: str = self.apply_transformers({"identifier": text})["identifier"]
        return transformed


class VoteEventInPieces(_InPieces, core.VoteEventImporter):  # type: ignore[misc]
    """Vote events, parked until their bill is there. `link_votes` ties them to their actions."""

    def __init__(self, *args: Any, history: History) -> None:
        super().__init__(*args, history=history)
        self._action = ""

    def apply(
        self, data: dict[str, Any], order: ScrapeOrder, known_core_id: str = ""
    ) -> tuple[str, str]:
        self._action = take_action(data)
        self._require_bill(data)
        return super().apply(data, order, known_core_id)

    def get_object(self, data: dict[str, Any]) -> Any:
        self.about = about_vote(data, self._action)
        try:
            return self._known() or self._find(data)
        except VoteEvent.DoesNotExist:
            if self.history.covered(data["bill_id"], self._order):
                raise Superseded("") from None
            raise

    def _find(self, data: dict[str, Any]) -> Any:
        # Core looks a dedupe key up over all jurisdictions, and real keys collide.
        if data.get("dedupe_key") and (data["identifier"] or data["bill_id"]):
            row = VoteEvent.objects.get(
                dedupe_key=data["dedupe_key"],
                legislative_session__jurisdiction_id=self.jurisdiction_id,
            )
            self._refuse_older(row)
            return row
        return super().get_object(data)

    def resolve_json_id(self, json_id: str, allow_no_match: bool = False) -> str | None:
        _recall(self, "vote_event", json_id)
        row: str | None = super().resolve_json_id(json_id, allow_no_match)
        return row

    def _require_bill(self, data: dict[str, Any]) -> None:
        named = data.get("bill")
        if not named:
            return
        self.get_session(data["legislative_session"])
        bills: BillInPieces = self.bill_importer
        if named.startswith("~"):
            self._require_described(get_pseudo_id(named), data, bills)
            return
        try:
            bills.resolve_json_id(named)
        except UnresolvedIdError:
            bills.json_to_db_id[named] = self._bill_by_identifier(named, data, bills)

    def _require_described(
        self, spec: dict[str, Any], data: dict[str, Any], bills: BillInPieces
    ) -> None:
        identifier = spec.get("identifier")
        if not isinstance(identifier, str):
            return  # core knows best what to make of a description without an identifier
        spec["identifier"] = bills.identifier(identifier)
        rows = Bill.objects.filter(**bills.limit_spec(dict(spec))).values_list("id", flat=True)[:2]
        if not rows:
            session = spec.get("legislative_session__identifier", data["legislative_session"])
            raise Unresolved(WaitingFor(str(session), bill_identifier=spec["identifier"]))

    def _bill_by_identifier(self, named: str, data: dict[str, Any], bills: BillInPieces) -> str:
        # Provisional: a link by identifier is settled when the run is final.
        session = data["legislative_session"]
        text = data.get("bill_identifier")
        if not isinstance(text, str) or not text:
            raise Unresolved(WaitingFor(session, bill_scrape_id=named))
        identifier = bills.identifier(text)
        rows = Bill.objects.filter(
            legislative_session=self.get_session(session), identifier=identifier
        ).values_list("id", flat=True)[:2]
        if len(rows) == 1:
            row: str = rows[0]
            return row
        raise Unresolved(WaitingFor(session, bill_scrape_id=named, bill_identifier=identifier))


class EventInPieces(_InPieces, core.EventImporter):  # type: ignore[misc]
    """Legislative events."""

    def prepare_for_db(self, data: dict[str, Any]) -> dict[str, Any]:
        prepared = super().prepare_for_db(data)
        name_references_of_event(prepared)
        prepared["deleted"] = self.history.events_authoritative(self._order)
        return prepared

    def get_object(self, data: dict[str, Any]) -> Any:
        self.about = about_event(data)
        return self._known() or super().get_object(data)


def _recall(importer: _InPieces, object_type: str, json_id: str) -> None:
    """Let core find, by scrape `_id`, what an earlier batch imported."""
    if json_id and not json_id.startswith("~") and json_id not in importer.json_to_db_id:
        core_id = importer.history.row_of(object_type, json_id)
        if core_id:
            importer.json_to_db_id[json_id] = core_id
