"""The bill actions that votes name, and which of them are taken."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from realtime.domain.text import is_storable
from realtime.importers.bulk.items import Item


class Actions:
    """What a batch of votes may be tied to, as the votes before each one left it."""

    def __init__(self) -> None:
        self.taken: set[UUID] = set()
        self._matching: dict[tuple[Any, ...], list[UUID]] = defaultdict(list)
        self._votes: dict[UUID, set[str]] = defaultdict(set)
        self._action: dict[str, UUID | None] = {}

    def load(self, items: Sequence[Item]) -> None:
        """Read, in one statement, what prepared vote events name, and who is tied to that."""
        naming = [item for item in items if is_storable(item.dropped["bill_action"])]
        bills = [item.data["bill_id"] for item in naming if item.data["bill_id"]]
        if not bills:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT a.id, a.bill_id, a.description, a.date, a.organization_id, v.id"
                " FROM opencivicdata_billaction a"
                " LEFT JOIN opencivicdata_voteevent v ON v.bill_action_id = a.id"
                " WHERE a.bill_id = ANY(%s) AND a.description = ANY(%s)",
                [bills, [item.dropped["bill_action"] for item in naming]],
            )
            for action, *named, vote in cursor.fetchall():
                self._matching[tuple(named)].append(action)
                if vote:
                    self.linked(vote, action)

    def matching(self, item: Item) -> list[UUID]:
        """The actions that have what the vote event says of its own."""
        data = item.data
        return self._matching.get(
            (
                data["bill_id"],
                item.dropped["bill_action"],
                data["start_date"],
                data["organization_id"],
            ),
            [],
        )

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
