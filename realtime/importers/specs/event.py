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
        names_votes = any(
            "vote_event_id" in entity
            for agenda_item in item.data["agenda"]
            for entity in agenda_item["related_entities"]
        )
        for agenda_item in item.data["agenda"]:
            name_all(agenda_item["related_entities"], (*MEMBERS, "bill_id", "vote_event_id"))
        # A straggler of a run before one that has said which events there are.
        item.data["deleted"] = history.events_authoritative(item.order)
        item.about = about_event(item.data, None if names_votes else item.agenda)


def sessions_on(date: str, sessions: Sequence[LegislativeSession]) -> list[LegislativeSession]:
    """The sessions of which an agenda of that day may mean a bill, of all `sessions`.

    Those that were on that day, else what last began before it: core takes the newest session
    where it is not sure, even one that begins later.
    """
    day = datetime.fromisoformat(date).strftime("%Y-%m-%d")
    begun = [session for session in sessions if session.start_date <= day]
    on = [one for one in begun if not one.end_date or day <= one.end_date]
    last = max((session.start_date for session in begun), default="")
    return on or [session for session in begun if session.start_date == last]
