"""Bills: one for each session and identifier."""

from collections.abc import Mapping, Sequence
from typing import Any

from openstates.data.models import Bill

from realtime.domain.flags import Flag
from realtime.domain.results import Claim
from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.lookup_keys import about_bill
from realtime.importers.specs.spec import (
    MEMBERS,
    Claims,
    Mentions,
    References,
    Spec,
    StoredRow,
    Way,
    name_all,
    require_session,
    urls_of,
)
from realtime.importers.specs.suspicious import odd_identifier


class BillSpec(Spec):
    """A bill waits for its legislative session."""

    object_type = "bill"
    competes = True
    model = Bill
    ways = (Way("identifier", ("legislative_session_id", "identifier")),)
    described_by = (
        "identifier",
        "legislative_session__identifier",
        "from_organization__classification",
    )
    prefetched = ("actions__related_entities", "versions__links", "documents__links")

    def choose(
        self, item: Item, known: StoredRow | None, rows: Sequence[StoredRow], claims: Claims
    ) -> StoredRow | None:
        """As core. Another bill of this run that has the identifier too is flagged: of the two
        the newer wins."""
        row = super().choose(item, known, rows, claims)
        claim = claims.claim(row.id, item.run_id) if row else None
        if row and claim and claim.contents - {item.about.content}:
            title, sources = row.value("title"), row.related("sources")
            if about_bill(title, sources) != item.about:
                item.flags.append(_collision(item, title, sources, claim))
        return row

    def mention(self, data: dict[str, Any], mentions: Mentions) -> None:
        mentions.sessions.add(data.get("legislative_session"))
        mentions.people.update(sponsor.get("person_id") for sponsor in data["sponsorships"])
        for action in data["actions"]:
            mentions.people.update(one.get("person_id") for one in action["related_entities"])

    def require(self, item: Item, references: References) -> None:
        if "legislative_session" in item.data:  # else core says that it is missing
            require_session(item.data["legislative_session"], references)

    def resolved(self, item: Item, history: History) -> None:
        item.about = about_bill(item.data.get("title"), item.data["sources"])
        item.flags += odd_identifier(item.data["identifier"])
        for action in item.data["actions"]:
            name_all(action["related_entities"], MEMBERS)


def _collision(item: Item, title: Any, sources: Sequence[Mapping[str, Any]], claim: Claim) -> Flag:
    return Flag(
        "collision",
        other_scrape_id=claim.last.scrape_id,
        detail={
            "titles": [title, item.data["title"]],
            "sources": [urls_of(sources), urls_of(item.data["sources"])],
        },
    )
