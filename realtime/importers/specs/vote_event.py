"""Vote events: whose they are, what they wait for, and which row is theirs."""

from typing import Any

from openstates.data.models import LegislativeSession, VoteEvent
from openstates.exceptions import InvalidVoteEventError
from openstates.utils import get_pseudo_id

from realtime.domain.errors import PoisonMessage, Superseded, Unresolved, WaitingFor
from realtime.domain.text import is_storable
from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.bill import as_stored
from realtime.importers.specs.lookup_keys import about_vote
from realtime.importers.specs.spec import Mentions, References, Spec, Way, require_session
from realtime.importers.specs.suspicious import odd_roll

_OF_BILL = ("bill_id", "legislative_session_id")


class VoteEventSpec(Spec):
    """A vote event waits for its legislative session and its bill.

    Core's lookup: by dedupe key, else by identifier, else by motion, date and organization. Core
    looks a dedupe key up over all jurisdictions, and real keys collide: here it is the
    jurisdiction's.
    """

    object_type = "vote_event"
    model = VoteEvent
    ways = (
        Way("dedupe key", ("dedupe_key",), needs=("dedupe_key",), of_jurisdiction=True),
        Way(
            "identifier of the bill",
            (*_OF_BILL, "identifier"),
            needs=("identifier", "bill_id"),
            read_by=("bill_id",),
        ),
        Way(
            "identifier of the session",
            ("legislative_session_id", "identifier"),
            needs=("identifier",),
        ),
        Way(
            "motion",
            (*_OF_BILL, "motion_text", "start_date", "organization_id"),
            needs=("bill_id",),
            read_by=("bill_id",),
        ),
    )
    described_by = ("identifier",)
    not_imported = (*Spec.not_imported, "bill_identifier")

    def way(self, data: dict[str, Any]) -> Way:
        if not data["identifier"] and not data["bill_id"]:
            raise InvalidVoteEventError(
                "a vote event needs an identifier or a bill to be told from others"
            )
        return super().way(data)

    def mention(self, data: dict[str, Any], mentions: Mentions) -> None:
        session, bill = data.get("legislative_session"), data.get("bill")
        mentions.sessions.add(session)
        mentions.bills.add(bill)
        mentions.named_bills.add((bill, data.get("bill_identifier"), session))
        mentions.people.update(vote["voter_id"] for vote in data["votes"])

    # -- what it waits for --------------------------------------------------------------------

    def require(self, item: Item, references: References) -> None:
        item.action = take_action(item.data)
        if "legislative_session" not in item.data:
            return  # core says that it is missing
        session = require_session(item.data["legislative_session"], references)
        named = item.data.get("bill")
        if not named:
            return
        if named.startswith("~"):
            _require_described(named, item, references)
        elif references.bill_of(named) is None:
            row = _bill_by_identifier(named, session, item, references)
            references.take_for_bill(named, row)

    def resolved(self, item: Item, history: History) -> None:
        item.about = about_vote(item.data, item.action)
        item.flags += odd_roll(item.data)

    def require_new(self, item: Item, jurisdiction_id: str, history: History) -> None:
        """Raises Superseded for a straggler: a final run that began later scraped the votes of its
        bill, and did not have this one."""
        if history.covered(item.data["bill_id"], item.order):
            raise Superseded("")


def take_action(data: dict[str, Any]) -> str:
    """The action that a vote event names, which is taken out of `data`.

    Which action is whose depends on all votes of the bill: `link_votes` decides, after the batch.
    """
    if "bill_action" not in data:
        raise PoisonMessage("invalid", "bill_action is missing", "bill_action")
    action = data["bill_action"] or ""
    if not is_storable(action):
        raise PoisonMessage(
            "invalid", f"bill_action is no text: {ascii(action)[:100]}", "bill_action"
        )
    data["bill_action"] = None
    return str(action)


def _require_described(named: str, item: Item, references: References) -> None:
    described = get_pseudo_id(named)
    if not isinstance(described.get("identifier"), str):
        return  # core knows best what to make of a description without an identifier
    described["identifier"] = as_stored(described["identifier"])
    if not references.any_bill(described):
        session = described.get("legislative_session__identifier", item.data["legislative_session"])
        raise Unresolved(WaitingFor(str(session), bill_identifier=described["identifier"]))


def _bill_by_identifier(
    named: str, session: LegislativeSession, item: Item, references: References
) -> str:
    """The bill that a vote event means, of which no file with that scrape `_id` has come.

    Provisional: finalizing the run decides again. Raises Unresolved unless exactly one fits.
    """
    text, said = item.bill_identifier, item.data["legislative_session"]
    if not isinstance(text, str) or not text:
        raise Unresolved(WaitingFor(said, bill_scrape_id=named))
    identifier = as_stored(text)
    rows = references.bills_called(session, identifier)
    if len(rows) != 1:
        raise Unresolved(WaitingFor(said, bill_scrape_id=named, bill_identifier=identifier))
    return rows[0]
