"""Bills: one for each session and identifier."""

from typing import Any

from openstates import settings
from openstates.data.models import Bill

from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.spec import (
    MEMBERS,
    Mentions,
    References,
    Spec,
    Way,
    name_all,
    require_session,
)
from realtime.importers.specs.suspicious import odd_identifier


def as_stored(identifier: Any) -> Any:
    """A bill's identifier as core stores it, by `IMPORT_TRANSFORMERS` of core's settings."""
    transformers = settings.IMPORT_TRANSFORMERS.get("bill", {}).get("identifier") or []
    for transform in transformers if isinstance(transformers, list) else [transformers]:
        identifier = transform(identifier)
    return identifier


class BillSpec(Spec):
    """A bill waits for its legislative session."""

    object_type = "bill"
    model = Bill
    ways = (Way("identifier", ("legislative_session_id", "identifier")),)
    described_by = (
        "identifier",
        "legislative_session__identifier",
        "from_organization__classification",
    )
    prefetched = ("actions__related_entities", "versions__links", "documents__links")

    def mention(self, data: dict[str, Any], mentions: Mentions) -> None:
        mentions.sessions.add(data.get("legislative_session"))
        mentions.people.update(sponsor.get("person_id") for sponsor in data["sponsorships"])
        for action in data["actions"]:
            mentions.people.update(one.get("person_id") for one in action["related_entities"])

    def require(self, item: Item, references: References) -> None:
        if "legislative_session" in item.data:  # else core says that it is missing
            require_session(item.data["legislative_session"], references)

    def resolved(self, item: Item, history: History) -> None:
        item.flags += odd_identifier(item.data["identifier"])
        for action in item.data["actions"]:
            name_all(action["related_entities"], MEMBERS)
