"""Core's importer of each type, hooked."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from openstates import importers as core
from openstates.data.models import LegislativeSession
from openstates.exceptions import UnresolvedIdError
from openstates.utils import _make_pseudo_id

from realtime.domain.bill_identifiers import as_stored
from realtime.domain.changes import NO_DIFFERENCE, Difference
from realtime.domain.flags import Flag
from realtime.domain.results import LookupKeys
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.core.hooked import Hooked
from realtime.importers.items import Item
from realtime.importers.persons import CHAMBERS
from realtime.importers.specs.bill import BillSpec
from realtime.importers.specs.event import EventSpec, sessions_on
from realtime.importers.specs.jurisdiction import JurisdictionSpec
from realtime.importers.specs.lookup_keys import session_key
from realtime.importers.specs.vote_event import VoteEventSpec


class Jurisdictions(Hooked, core.JurisdictionImporter):  # type: ignore[misc]
    """Jurisdictions, and the legislative sessions they bring."""

    spec = JurisdictionSpec()

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        # By session key, the newest of the files of this batch that import_sessions has seen.
        self._named: dict[str, ScrapeOrder] = {}

    def import_sessions(
        self, core_id: str, item: Item, newest_naming: Mapping[str, ScrapeOrder]
    ) -> Difference:
        """Import the sessions of an older file that no newer one names; returns what changed.

        `newest_naming` says by session key which of the files that are in does, and under the
        empty key which of those whose sessions are unknown is the newest. A session that is there
        though no file names it stays as it is, and the ledger will not say that this one named it.
        """
        known = {
            session.identifier: session
            for session in LegislativeSession.objects.filter(jurisdiction_id=core_id)
        }
        before, changed = len(known), False
        named = set[str]()
        for columns in item.data["legislative_sessions"]:
            identifier = columns.get("identifier", "")
            key = session_key(identifier)
            orders = (newest_naming.get(key), newest_naming.get(""), self._named.get(key))
            newest = max(filter(None, orders), default=None)
            session = known.get(identifier)
            if session is not None and newest is None:
                continue
            named.add(key)
            if session is not None and newest is not None and newest > item.order:
                continue
            self._named[key] = item.order
            session = session or LegislativeSession(jurisdiction_id=core_id)
            if any(getattr(session, name) != value for name, value in columns.items()):
                for name, value in columns.items():
                    setattr(session, name, value)
                session.save()
                known[identifier], changed = session, True
        item.about = LookupKeys(keys=tuple(key for key in item.about.keys if key in named))
        if not changed:
            return NO_DIFFERENCE
        kind = "legislative_sessions"
        return Difference.of({kind}, {kind: before}, {kind: len(known)})


class Bills(Hooked, core.BillImporter):  # type: ignore[misc]
    """Bills; also resolves, for the other importers, the bill that a scrape `_id` names."""

    spec = BillSpec()

    def columns_of(self, data: dict[str, Any]) -> dict[str, Any]:
        """As core's, but an action's committee that does not resolve is null, where core gives the
        bill up unless something before it asked for the same committee. Identifiers of related
        bills are written as bills' own."""
        said = data["legislative_session"]
        entities = [action["related_entities"] for action in data["actions"]]
        for action in data["actions"]:
            action["related_entities"] = []
        columns = super().columns_of(data)
        session = self.get_session(said)
        for action, of_action in zip(columns["actions"], entities, strict=True):
            for entity in of_action:
                self._resolve_entity(entity, session)
            action["related_entities"] = of_action
        for related in columns["related_bills"]:
            related["identifier"] = as_stored(related["identifier"])
        return columns

    def _resolve_entity(self, entity: dict[str, Any], session: LegislativeSession) -> None:
        if "organization_id" in entity:
            try:
                entity["organization_id"] = self.org_importer.resolve_json_id(
                    entity["organization_id"], allow_no_match=True
                )
            except UnresolvedIdError as exc:
                self.org_importer.tell(entity["organization_id"], str(exc))
                entity["organization_id"] = None
        elif "person_id" in entity:
            entity["person_id"] = self.resolve_person(
                entity["person_id"], session.start_date, session.end_date
            )

    def described(self, query: dict[str, Any]) -> Sequence[str]:
        """The rows of the bills that answer to the query of a pseudo id, two at the most."""
        found = self.lookups.described(self.spec, _make_pseudo_id(**query))
        if found is not None:
            return found[:2]
        bills = self.model_class.objects.filter(**self.limit_spec(dict(query)))
        return list(bills.values_list("id", flat=True).distinct()[:2])


class VoteEvents(Hooked, core.VoteEventImporter):  # type: ignore[misc]
    """Vote events. Answers what their rules ask about bills."""

    spec = VoteEventSpec()

    def columns_of(self, data: dict[str, Any]) -> dict[str, Any]:
        votes, organization, said = data["votes"], data["organization"], data["legislative_session"]
        # Core parses the chamber again for each voter: up to a tenth of a batch's CPU.
        data["votes"] = []
        columns = super().columns_of(data)
        if votes:
            session = self.get_session(said)
            dates = session.start_date, session.end_date
            committee, chamber = columns["organization_id"], _classification(organization)
            if chamber not in CHAMBERS and self.kind_of(committee).classification not in CHAMBERS:
                for vote in votes:
                    vote["voter_id"] = self.resolve_member(vote["voter_id"], *dates, committee)
            else:
                known = self.people_known(chamber)
                for vote in votes:
                    asked = vote["voter_id"], *dates
                    # Most have been asked for before: a call for each would cost a hundredth.
                    vote["voter_id"] = known.get(asked) or self.resolve_person(*asked, chamber)
        columns["votes"] = votes
        return columns

    def bill_of(self, scrape_id: str) -> str | None:
        try:
            row: str | None = self.bill_importer.resolve_json_id(scrape_id)
        except UnresolvedIdError:
            return None
        return row

    def bills_called(self, session: LegislativeSession, identifier: str) -> Sequence[str]:
        return self.lookups.bills(session.id, identifier)

    def bills_described(self, described: dict[str, Any]) -> Sequence[str]:
        found: Sequence[str] = self.bill_importer.described(described)
        return found

    def take_for_bill(self, scrape_id: str, core_id: str) -> None:
        self.bill_importer.json_to_db_id[scrape_id] = core_id


def _classification(organization: str) -> str | None:
    found: str | None = json.loads(organization[1:]).get("classification")
    return found


class Events(Hooked, core.EventImporter):  # type: ignore[misc]
    """Legislative events."""

    spec = EventSpec()

    def get_location(self, location_data: dict[str, Any]) -> Any:
        found = self.lookups.location(location_data)
        return found if found is not None else super().get_location(location_data)

    def resolve_bill(self, bill_id: str, *, date: str) -> str | None:
        identifier = as_stored(bill_id)
        found = {
            bill
            for session in sessions_on(date, self.get_all_sessions())
            for bill in self.lookups.bills(session.id, identifier)
        }
        if self.importing is not None:
            self.importing.agenda[str(identifier)] = sorted(found)
        if len(found) == 1:
            return next(iter(found))
        if found and self.importing is not None:
            self.importing.flags.append(
                Flag("ambiguous", detail={"bill": identifier, "date": date, "rows": sorted(found)})
            )
        self.error(f"could not resolve bill id {identifier}, {date}, {len(found)} matches")
        return None
