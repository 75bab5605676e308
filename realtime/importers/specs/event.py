"""Legislative events, and which bill an agenda means."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from openstates.data.models import Event, LegislativeSession

from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.lookup_keys import about_event
from realtime.importers.specs.spec import MEMBERS, Mentions, Spec, Way, name_all


class EventSpec(Spec):
    """An event waits for nothing: what its agenda names and has not come stays empty."""

    object_type = "event"
    model = Event
    ways = (
        Way("dedupe key", ("jurisdiction_id", "dedupe_key"), needs=("dedupe_key",)),
        Way(
            "fields",
            ("jurisdiction_id", "name", "description", "start_date", "end_date"),
            read_by=("jurisdiction_id", "start_date", "name"),
        ),
    )

    def mention(self, data: dict[str, Any], mentions: Mentions) -> None:
        location = data["location"]
        mentions.places.add((location["name"], location.get("url", "")))
        for participant in data["participants"]:
            mentions.people.add(participant.get("person_id"))
            mentions.people.add(participant.get("legislator_id"))
        for item in data["agenda"]:
            for entity in item["related_entities"]:
                mentions.people.add(entity.get("person_id"))
                mentions.vote_events.add(entity.get("vote_event_id"))
                mentions.agenda.add((entity.get("bill_id"), data["start_date"]))

    def resolved(self, item: Item, history: History) -> None:
        name_all(item.data["participants"], MEMBERS)
        for agenda_item in item.data["agenda"]:
            name_all(agenda_item["related_entities"], (*MEMBERS, "bill_id", "vote_event_id"))
        # A straggler of a run before one that has said which events there are.
        item.data["deleted"] = history.events_authoritative(item.order)
        item.about = about_event(item.data)


def session_on(date: str, sessions: Sequence[LegislativeSession]) -> LegislativeSession | None:
    """The session whose bill an agenda of that day means, of `sessions`, the newest first.

    Core's rule (`BaseImporter.resolve_bill`): the only one that was on, else the newest; None
    where there is none.
    """
    day = datetime.fromisoformat(date).strftime("%Y-%m-%d")
    on = [
        session
        for session in sessions
        if session.start_date <= day and (not session.end_date or day <= session.end_date)
    ]
    if len(on) == 1:
        return on[0]
    return sessions[0] if sessions else None
