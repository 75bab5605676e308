"""What follows from change events alone, to compare with the database."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count
from openstates.data.models import Bill, Event, VoteEvent
from openstates.importers import BillImporter, EventImporter, VoteEventImporter

from tests.change_events import valid

_TYPES: dict[str, tuple[Any, Any]] = {
    "bill": (Bill, BillImporter),
    "vote_event": (VoteEvent, VoteEventImporter),
    "event": (Event, EventImporter),
}

# The related rows of each row, by kind; rows by type and core's id. Kinds without any are left out.
Rows = dict[tuple[str, str], dict[str, int]]


class Rebuilt:
    """Core's rows, as change events say. Asserts of each that it fits those before it."""

    def __init__(self, events: Iterable[dict[str, Any]]) -> None:
        self.rows: Rows = {}
        self.marked: set[str] = set()
        self.ids: list[str] = []
        for event in events:
            self._apply(valid(event))
        assert len(set(self.ids)) == len(self.ids), "an event came twice"

    def _apply(self, event: dict[str, Any]) -> None:
        self.ids.append(event["id"])
        object_type, verb = event["type"].split(".")[-2:]
        data, row = event["data"], (object_type, event["data"]["id"])
        if object_type not in _TYPES:
            return
        if verb == "inserted":
            assert row not in self.rows, f"{event} is not its first"
            self.rows[row] = data["after"]
        elif verb == "updated":
            assert self.rows[row] == data["before"], event
            self.rows[row] = data["after"]
            if "deleted" in data["fields"]:
                self.marked.discard(row[1])
        elif verb == "marked":
            assert row in self.rows
            self.marked.add(row[1])
        else:
            had = self.rows.pop(row)
            assert data["before"].items() <= had.items(), event


def stored() -> tuple[Rows, set[str]]:
    """The same from the database: the rows, and which events are marked as deleted."""
    found: Rows = {}
    for object_type, (model, importer) in _TYPES.items():
        for core_id in model.objects.values_list("id", flat=True):
            found[object_type, core_id] = {}
        for kind in importer.related_models:
            counted = model.objects.values_list("id").annotate(Count(kind, distinct=True))
            for core_id, count in counted.order_by():
                if count:
                    found[object_type, core_id][kind] = count
    return found, set(Event.objects.filter(deleted=True).values_list("id", flat=True))


def once(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events without those that came before, as a consumer keeps them: by `id`."""
    return list({event["id"]: event for event in events}.values())
