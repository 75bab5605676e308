"""Vote events, imported as a set."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from django.db import DatabaseError
from openstates.data.models import LegislativeSession, VoteEvent
from openstates.exceptions import InvalidVoteEventError
from openstates.importers import VoteEventImporter as CoreVoteEventImporter
from openstates.utils import _make_pseudo_id

from realtime.backends.postgres.interruptions import raise_if_interrupted
from realtime.domain.text import is_storable
from realtime.importers.bulk import deleting, writing
from realtime.importers.bulk.actions import Actions
from realtime.importers.bulk.batch import Batch, Record
from realtime.importers.bulk.described import Described
from realtime.importers.bulk.importer import BulkImporter
from realtime.importers.bulk.items import Item
from realtime.importers.pseudo_ids import spec_of

_SESSIONS = LegislativeSession._meta.db_table


class VoteEventImporter(Described, BulkImporter, CoreVoteEventImporter):  # type: ignore[misc]
    """A drop-in for core's `VoteEventImporter`, but a `dedupe_key` is one of the jurisdiction."""

    not_imported = (*BulkImporter.not_imported, "bill_identifier")

    def people_named(self, data: dict[str, Any]) -> Iterator[Any]:
        for vote in data["votes"]:
            yield vote["voter_id"]

    def preload(self, items: Sequence[Item]) -> None:
        super().preload(items)
        if isinstance(self.bill_importer, Described):
            named = [self._bill_described(item.data.get("bill")) for item in items]
            self.bill_importer.preload_described(filter(None, named))

    def _bill_described(self, named: Any) -> str | None:
        if not is_storable(named):
            return None
        spec = spec_of(named)
        try:
            return str(_make_pseudo_id(**self.bill_importer.apply_transformers(spec)))
        except (AttributeError, RecursionError, TypeError, ValueError):
            return None  # resolving it will say what is wrong

    def resolve(self, data: dict[str, Any]) -> dict[str, Any]:
        organization, votes, action = data["organization"], data["votes"], data["bill_action"]
        # The action is matched once the votes before this one are known, and core would read the
        # chamber again for each voter.
        data["votes"], data["bill_action"] = [], None
        data = super().resolve(data)
        if votes:
            session = self.get_session_by_id(data["legislative_session_id"])
            chamber = json.loads(organization[1:]).get("classification")
            for vote in votes:
                vote["voter_id"] = self.resolve_person(
                    vote["voter_id"], session.start_date, session.end_date, chamber
                )
        data["votes"], data["bill_action"] = votes, action
        return data

    def get_session_by_id(self, core_id: Any) -> Any:
        return next(one for one in self.session_cache.values() if one.id == core_id)

    def _prepare(self, item: Item) -> None:
        super()._prepare(item)
        item.dropped["bill_action"] = _action_asked_for(item.data.pop("bill_action"))

    # -- which row ------------------------------------------------------------------------------

    def key(self, data: dict[str, Any]) -> tuple[Any, ...]:
        session, bill, identifier = (
            data["legislative_session_id"],
            data["bill_id"],
            data["identifier"],
        )
        if not identifier and not bill:
            raise InvalidVoteEventError(
                "a vote event needs an identifier or a bill to be told from others"
            )
        if data.get("dedupe_key"):
            return "dedupe_key", data["dedupe_key"]
        if identifier:
            return ("bill", bill, session, identifier) if bill else ("", session, identifier)
        return (
            "motion",
            bill,
            session,
            data["motion_text"],
            data["start_date"],
            data["organization_id"],
        )

    def keys(self, batch: Batch, record: Record) -> list[Any]:
        values = record.values
        session, bill, identifier = (
            values["legislative_session_id"],
            values["bill_id"],
            values["identifier"],
        )
        keys: list[Any] = [("", session, identifier)]
        if bill:
            motion = values["motion_text"], values["start_date"], values["organization_id"]
            keys += [
                ("votes of", bill),
                ("bill", bill, session, identifier),
                ("motion", bill, session, *motion),
            ]
        # One of another jurisdiction may have the same key.
        if values["dedupe_key"] and record.id in batch.state.here:
            keys.append(("dedupe_key", values["dedupe_key"]))
        return keys

    def load(self, batch: Batch, items: Sequence[Item]) -> None:
        batch.state = _Seen()
        keys = [item.key for item in items if item.key]
        texts: dict[str, set[str]] = defaultdict(set)
        for kind, *values in keys:
            texts[kind].add(values[-1 if kind == "" else 0])
        texts["bill"] |= texts["motion"] | {item.data["bill_id"] for item in items}
        if bills := list(filter(is_storable, texts["bill"])):
            batch.read("t.bill_id = ANY(%s)", [bills])
        if identifiers := list(filter(is_storable, texts[""])):
            sessions = list({values[0] for kind, *values in keys if kind == ""})
            batch.read(
                "t.legislative_session_id = ANY(%s) AND t.identifier = ANY(%s)",
                [sessions, identifiers],
            )
        if dedupe_keys := list(filter(is_storable, texts["dedupe_key"])):
            found = batch.read(
                "t.dedupe_key = ANY(%s) AND s.jurisdiction_id = %s",
                [dedupe_keys, self.jurisdiction_id],
                f" JOIN {_SESSIONS} s ON s.id = t.legislative_session_id",
            )
            batch.state.here.update(record.id for record in found)
        batch.state.actions.load(items)

    def find(self, batch: Batch, item: Item) -> Record | None:
        seen: _Seen = batch.state
        bill = item.data["bill_id"]
        if bill and bill not in self.seen_bill_ids and bill not in seen.bills:
            seen.bills.add(bill)
            seen.to_delete.update(record.id for record in batch.known(("votes of", bill)))
        record = super().find(batch, item)
        self._link(seen.actions, item)
        return record

    def entered(self, batch: Batch, record: Record) -> None:
        seen: _Seen = batch.state
        seen.here.add(record.id)
        seen.actions.linked(record.id, record.values["bill_action_id"])
        super().entered(batch, record)

    def wrote(self, batch: Batch, items: Sequence[Item]) -> None:
        seen: _Seen = batch.state
        self.seen_bill_ids |= seen.bills
        self.vote_events_to_delete |= seen.to_delete
        self.seen_action_ids |= seen.actions.taken

    def postimport(self) -> None:
        """Delete the vote events of the bills seen that were not seen themselves, as core does."""
        self.vote_events_to_delete.difference_update(self.json_to_db_id.values())
        if self.vote_events_to_delete:
            stale = list(self.vote_events_to_delete)
            writing.execute(deleting.delete(VoteEvent, stale))

    # -- which action -----------------------------------------------------------------------------

    def _link(self, actions: Actions, item: Item) -> None:
        """Tie the vote to the action it names: the only one there, first come first served."""
        item.data.pop("bill_action_id", None)
        named = item.dropped["bill_action"]
        if not named:
            return
        found = actions.matching(item)
        if len(found) != 1:
            self.warning("could not match VoteEvent to %s: %s actions", named, len(found))
        elif found[0] in self.seen_action_ids or not actions.take(found[0]):
            self.warning("can not match two VoteEvents to %s: %s", found[0], named)
        else:
            item.data["bill_action_id"] = found[0]

    def _import_alone(self, item: Item, allow_duplicates: bool, isolate: bool) -> None:
        actions = Actions()
        try:
            actions.load([item])
        except (DatabaseError, ValueError) as exc:
            if not isolate:
                raise
            raise_if_interrupted(exc)
            item.outcome = exc
            return
        self._link(actions, item)
        super()._import_alone(item, allow_duplicates, isolate)
        if isinstance(item.outcome, tuple):
            self.seen_action_ids |= actions.taken

    def get_object(self, data: dict[str, Any]) -> VoteEvent:
        bill = data["bill_id"]
        if not data.get("dedupe_key") or not (data["identifier"] or bill):
            return super().get_object(data)
        if bill and bill not in self.seen_bill_ids:
            self.seen_bill_ids.add(bill)
            votes = VoteEvent.objects.filter(bill_id=bill).values_list("id", flat=True)
            self.vote_events_to_delete.update(votes)
        # Core looks a dedupe key up over all jurisdictions, and real keys collide.
        here = VoteEvent.objects.filter(
            legislative_session__jurisdiction_id=self.jurisdiction_id
        ).get(dedupe_key=data["dedupe_key"])
        return self.refused(here)


def _action_asked_for(action: Any) -> str:
    """The text that core would ask for. Raises ValueError, as core does, where none could be."""
    text = str(action or "")
    text.encode()
    if "\0" in text:
        raise ValueError("bill_action contains NUL")
    return text


class _Seen:
    """What a batch of votes has seen, to be kept when the batch is written."""

    def __init__(self) -> None:
        self.bills: set[str] = set()
        self.to_delete: set[str] = set()
        self.here: set[str] = set()
        self.actions = Actions()
