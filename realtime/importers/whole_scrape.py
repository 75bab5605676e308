"""What only an import of a whole scrape does: tie vote events to actions as they come.

Core's rules, for the drop-in classes. In a scrape that comes in pieces `linking` does it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import connection
from openstates.data.models import VoteEvent
from openstates.importers import VoteEventImporter as CoreVoteEventImporter

from realtime.importers.items import Item
from realtime.importers.rules import Rules
from realtime.importers.specs.spec import References


class TyingActions(Rules):
    """The rules of vote events. Also notes, for core's `postimport`, which ones were there."""

    def __init__(self) -> None:
        self.importer: CoreVoteEventImporter
        self._actions = _Actions()

    def require(self, item: Item, references: References) -> None:
        # Matched once the votes before this one are in; core would ask for it here.
        if "bill_action" in item.data:
            item.action, item.data["bill_action"] = item.data["bill_action"], None

    def resolved(self, item: Item) -> None:
        """Raises ValueError, as core does, where no query could ask for the action."""
        item.action = str(item.action or "")
        item.action.encode()
        if "\0" in item.action:
            raise ValueError("bill_action contains NUL")

    def loaded(self, items: Sequence[Item], records: Mapping[str, Any] | None) -> None:
        self._note_votes(items, records)
        self._actions = _Actions()
        self._actions.load(items)

    def _note_votes(self, items: Sequence[Item], records: Mapping[str, Any] | None) -> None:
        """Note the vote events of bills that are seen for the first time."""
        seen = self.importer.seen_bill_ids
        new = {item.data["bill_id"] for item in items if item.data["bill_id"]} - seen
        # All votes of a bill are read for any of its votes, unless a dedupe key names the row.
        unread = {
            item.data["bill_id"] for item in items if records is None or item.data.get("dedupe_key")
        } & new
        stale = self.importer.vote_events_to_delete
        if unread:
            votes = VoteEvent.objects.filter(bill_id__in=unread)
            stale.update(votes.values_list("id", flat=True))
        for record in (records or {}).values():
            if record.values["bill_id"] in new:
                stale.add(record.id)
        seen |= new

    def deciding(self, item: Item) -> None:
        """Tie the vote to the action it names: the only one there, first come first served."""
        item.data.pop("bill_action_id", None)
        if not item.action:
            return
        found = self._actions.matching(item)
        if len(found) != 1:
            self.importer.warning(
                "could not match VoteEvent to %s: %s actions", item.action, len(found)
            )
        elif found[0] in self.importer.seen_action_ids or not self._actions.take(found[0]):
            self.importer.warning("can not match two VoteEvents to %s: %s", found[0], item.action)
        else:
            item.data["bill_action_id"] = found[0]

    def entered(self, core_id: str, values: Mapping[str, Any]) -> None:
        self._actions.linked(core_id, values["bill_action_id"])

    def wrote(self) -> None:
        self.importer.seen_action_ids.update(self._actions.taken)


class _Actions:
    """What a batch of votes may be tied to, as the votes before each one left it."""

    def __init__(self) -> None:
        self.taken: set[UUID] = set()
        self._matching: dict[tuple[Any, ...], list[UUID]] = defaultdict(list)
        self._votes: dict[UUID, set[str]] = defaultdict(set)
        self._action: dict[str, UUID | None] = {}

    def load(self, items: Sequence[Item]) -> None:
        """Read, in one statement, what resolved vote events name, and who is tied to that."""
        naming = [item for item in items if item.action and item.data["bill_id"]]
        if not naming:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT a.id, a.bill_id, a.description, a.date, a.organization_id, v.id"
                " FROM opencivicdata_billaction a"
                " LEFT JOIN opencivicdata_voteevent v ON v.bill_action_id = a.id"
                " WHERE a.bill_id = ANY(%s) AND a.description = ANY(%s)",
                [[item.data["bill_id"] for item in naming], [item.action for item in naming]],
            )
            for action, *named, vote in cursor.fetchall():
                self._matching[tuple(named)].append(action)
                if vote:
                    self.linked(vote, action)

    def matching(self, item: Item) -> list[UUID]:
        """The actions that have what the vote event says of its own."""
        data = item.data
        key = data["bill_id"], item.action, data["start_date"], data["organization_id"]
        return self._matching.get(key, [])

    def take(self, action: UUID) -> bool:
        """Reserve the action for a vote; False when a vote is or will be tied to it already."""
        if action in self.taken or self._votes[action]:
            return False
        self.taken.add(action)
        return True

    def linked(self, vote: str, action: UUID | None) -> None:
        """A vote event is now tied to this action, and to no other."""
        former = self._action.get(vote)
        if former:
            self._votes[former].discard(vote)
        self._action[vote] = action
        if action:
            self._votes[action].add(vote)
