"""Vote events: whose they are, what they wait for, and which row is theirs."""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from openstates.data.models import LegislativeSession, VoteEvent
from openstates.exceptions import InvalidVoteEventError
from openstates.utils import _make_pseudo_id, get_pseudo_id

from realtime.domain.bill_identifiers import as_stored
from realtime.domain.errors import PoisonMessage, Superseded, Unresolved, WaitingFor
from realtime.domain.flags import Flag
from realtime.domain.results import Claim, LookupKeys
from realtime.domain.text import is_storable
from realtime.importers.history import History
from realtime.importers.items import FIRST, Item
from realtime.importers.pseudo_ids import spec_of
from realtime.importers.specs.lookup_keys import about_vote, counts_of, sources_of
from realtime.importers.specs.spec import (
    Claims,
    Mentions,
    References,
    Spec,
    StoredRow,
    Way,
    require_session,
    urls_of,
)
from realtime.importers.specs.suspicious import odd_roll

_Row = TypeVar("_Row", str, int)
_SESSION = "legislative_session"
_OF_BILL = ("bill_id", "legislative_session_id")


class VoteEventSpec(Spec):
    """A vote event waits for its legislative session and its bill.

    Core's lookup: by dedupe key, else by identifier, else by motion, date and organization. But
    only among the vote events of its own bill and session, or, without a bill, among those without
    one of its session: core looks a dedupe key up everywhere, and real keys collide.

    Files of one run that this finds to be one row are two vote events all the same when they
    differ in sources, counts or roll, or when the newer has a key that the older lacks (`alike`).
    """

    object_type = "vote_event"
    model = VoteEvent
    ways = (
        Way(
            "dedupe key",
            (*_OF_BILL, "dedupe_key"),
            needs=("dedupe_key", "bill_id"),
            read_by=("bill_id",),
        ),
        Way(
            "dedupe key without a bill",
            (*_OF_BILL, "dedupe_key"),
            needs=("dedupe_key",),
            read_by=("legislative_session_id", "dedupe_key"),
        ),
        Way(
            "identifier",
            (*_OF_BILL, "identifier"),
            needs=("identifier", "bill_id"),
            read_by=("bill_id",),
        ),
        Way(
            "identifier without a bill",
            (*_OF_BILL, "identifier"),
            needs=("identifier",),
            read_by=("legislative_session_id", "identifier"),
        ),
        Way(
            "motion",
            (*_OF_BILL, "motion_text", "start_date", "organization_id"),
            needs=("bill_id",),
            read_by=("bill_id",),
        ),
    )
    described_by = ("identifier",)
    competes = True
    not_imported = (*Spec.not_imported, "bill_identifier")

    def way(self, data: dict[str, Any]) -> Way:
        if not data["identifier"] and not data["bill_id"]:
            raise InvalidVoteEventError(
                "a vote event needs an identifier or a bill to be told from others"
            )
        return super().way(data)

    def choose(
        self, item: Item, known: StoredRow | None, rows: Sequence[StoredRow], claims: Claims
    ) -> StoredRow | None:
        """The row that holds the same vote of this run, else one that the run has not used: by
        sources, then counts, then scrape order; None where each holds another vote of the run.

        The row that it was applied to before stays its row, if that is of the vote event's bill.
        One that is nobody's but this file's moves to the bill that the file is now known to mean.
        """
        row = None
        if known and (self._own(item, known) or claims.sole(known.id, item.order)):
            row = known
        elif rows:
            row = self._choose(item, rows, claims)
        others = [one for one in rows if row is None or one.id != row.id]
        if others:
            item.flags.append(_shared_key(item, others[0], claims))
        return row

    def _own(self, item: Item, row: StoredRow) -> bool:
        return all(row.value(name) == item.data[name] for name in _OF_BILL)

    def _choose(self, item: Item, rows: Sequence[StoredRow], claims: Claims) -> StoredRow | None:
        claimed = {row.id: claims.claim(row.id, item.run_id) for row in rows}
        taken = {core_id: claim for core_id, claim in claimed.items() if claim is not None}
        own = Claim.of(item.about.content, item.about.keys, item.order)
        if (core_id := alike(own, taken)) is not None:
            return next(row for row in rows if row.id == core_id)
        free = [row for row in rows if row.id not in taken]
        if len(free) < 2:
            return free[0] if free else None
        sources, counts = sources_of(item.data["sources"]), counts_of(item.data["counts"])

        def distance(row: StoredRow) -> Any:
            return (
                sources_of(row.related("sources")) != sources,
                counts_of(row.related("counts")) != counts,
                claims.newest(row.id) or FIRST,
                # Core imports a scrape in its order.
                row.value("created_at"),
            )

        return min(free, key=distance)

    def mention(self, data: dict[str, Any], mentions: Mentions) -> None:
        session, bill = data.get("legislative_session"), described_bill(data)
        mentions.sessions.add(session)
        mentions.bills.add(bill)
        mentions.named_bills.add((bill, data.get("bill_identifier"), session))
        mentions.people.update(vote["voter_id"] for vote in data["votes"])

    # -- what it waits for --------------------------------------------------------------------

    def require(self, item: Item, references: References) -> None:
        try:
            if {
                "bill",
                "legislative_session",
            } <= item.data.keys():  # else core says what is missing
                item.data["bill"] = described_bill(item.data)
                _require_bill(item, references)
        finally:
            # A wrong one is told at once: to wait for the bill would only put the failure off.
            item.action = take_action(item.data)

    def resolved(self, item: Item, history: History) -> None:
        item.about = about_vote(item.data, item.action)
        item.flags += odd_roll(item.data)

    def require_new(self, item: Item, jurisdiction_id: str, history: History) -> None:
        """Raises Superseded for a straggler: a final run that began later scraped the votes of its
        bill, and did not have this one."""
        if history.covered(item.data["bill_id"], item.order):
            raise Superseded("")


def _shared_key(item: Item, other: StoredRow, claims: Claims) -> Flag:
    """That another vote event has the same key: one flag a key."""
    last = claims.newest(other.id)
    return Flag(
        "collision",
        subject=item.about.keys[0],
        other_scrape_id=last.scrape_id if last else "",
        detail={
            "motions": [other.value("motion_text"), item.data["motion_text"]],
            "sources": [urls_of(other.related("sources")), urls_of(item.data["sources"])],
        },
    )


def alike(own: Claim, taken: Mapping[_Row, Claim]) -> _Row | None:
    """Which of the rows that files of the same run have taken holds the same vote as the file
    whose claim is `own`.

    The same vote: the newer would have found the row that the older made, and sources, counts and
    roll are the same, or one has neither counts nor roll. Of several rows, one of just that
    content; of those, the last in scrape order.
    """

    def same(claim: Claim) -> bool:
        older, newer = sorted([own, claim], key=attrgetter("last"))
        told_apart = own.contents and not claim.contents <= own.contents
        return not told_apart and newer.lookup in older.keys

    return max(
        (row for row, claim in taken.items() if same(claim)),
        key=lambda row: (own.contents == taken[row].contents, taken[row].last),
        default=None,
    )


def described_bill(data: dict[str, Any]) -> Any:
    """What a vote event calls its bill; a description means a bill of the vote event's session
    unless it says another."""
    named = data.get("bill")
    if (query := spec_of(named)) is None or any(name.startswith(_SESSION) for name in query):
        return named
    query[f"{_SESSION}__identifier"] = data.get("legislative_session")
    return _make_pseudo_id(**query)


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


def _require_bill(item: Item, references: References) -> None:
    session = require_session(item.data["legislative_session"], references)
    if named := item.data["bill"]:
        row = _bill_of(named, session, item, references)
        # The ledger knows whose vote event the file has, even if it fails from here on.
        item.about = LookupKeys(bill_id=row or "")


def _bill_of(
    named: str, session: LegislativeSession, item: Item, references: References
) -> str | None:
    """The row of the bill that a vote event means; None when only core can tell.

    Raises Unresolved when it has not arrived.
    """
    if named.startswith("~"):
        described = get_pseudo_id(named)
        if not isinstance(described.get("identifier"), str):
            return None  # core knows best what to make of a description without an identifier
        described["identifier"] = as_stored(described["identifier"])
        rows = references.bills_described(described)
        if rows:
            return rows[0] if len(rows) == 1 else None
        said = described.get(f"{_SESSION}__identifier", item.data["legislative_session"])
        raise Unresolved(WaitingFor(str(said), bill_identifier=described["identifier"]))
    row = references.bill_of(named)
    if row is None:
        row = _bill_by_identifier(named, session, item, references)
        references.take_for_bill(named, row)
    return row


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
