"""Links between rows that may arrive in either order, made as soon as both are there."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from django.db import connection
from django.utils import timezone
from openstates.data.models import BillAction, VoteEvent

from realtime.domain.results import NamedAction

_VOTE = ("id", "bill_id", "bill_action_id")
_ACTION = ("bill_id", "description", "date", "organization_id")


def bills_of_tied_votes(vote_event_ids: Sequence[str]) -> set[str]:
    """The bills of those of these vote events that are tied to an action."""
    if not vote_event_ids:
        return set()
    tied = VoteEvent.objects.filter(id__in=vote_event_ids, bill_action__isnull=False)
    return {str(bill) for bill in tied.values_list("bill_id", flat=True)}


def link_votes(
    bill_ids: Collection[str],
    named: Sequence[NamedAction],
    authoritative: Collection[str],
    tied: Sequence[NamedAction] = (),
) -> dict[str, str]:
    """Tie the vote events of these bills to the actions that `named`, in scrape order, says.

    Core's rule: the one action of that bill, description, date and organization, first come first
    served. Vote events that `named` knows nothing of keep the action they have and bar others from
    it, but not those of the bills in `authoritative`. Only rows whose link changes are written.

    Returns the bill of each vote event that has another action than before, or none any more;
    `tied` are those of before the transaction whose bills it has changed.
    """
    votes = VoteEvent.objects.filter(bill_id__in=bill_ids)
    rows = {vote: (bill, action) for vote, bill, action in votes.values_list(*_VOTE)}
    if not rows:
        return {}
    candidates: dict[tuple[str, ...], list[UUID]] = defaultdict(list)
    described: dict[UUID | None, tuple[str, ...]] = {}
    actions = BillAction.objects.filter(bill_id__in=bill_ids)
    for action_id, *words in actions.values_list("id", *_ACTION):
        described[action_id] = tuple(words)
        candidates[tuple(words)].append(action_id)
    known = {one.vote_event_id for one in named}
    links: dict[str, UUID | None] = {
        vote: None if vote in known or bill in authoritative else action
        for vote, (bill, action) in rows.items()
    }
    taken = set(links.values())
    for one in named:
        fitting = candidates[one.bill_id, one.action, one.date, one.organization_id]
        is_it = one.action and one.vote_event_id in rows and len(fitting) == 1
        if is_it and fitting[0] not in taken:
            taken.add(fitting[0])
            links[one.vote_event_id] = fitting[0]
    changed = {vote: action for vote, action in links.items() if action != rows[vote][1]}
    _relink(changed, [vote for vote in changed if rows[vote][1]])
    # An action that was replaced by an equal one is the same to readers.
    before = {
        # One that is not of these bills: the vote event has moved to another bill.
        vote: described.get(action, (str(action),)) if action else None
        for vote, (_, action) in rows.items()
    }
    before |= {one.vote_event_id: tuple(one[1:]) for one in tied}
    return {
        vote: bill
        for vote, (bill, _) in rows.items()
        if described.get(links[vote]) != before.get(vote)
    }


def related_counts(vote_event_ids: Collection[str]) -> dict[str, dict[str, int]]:
    """How many related rows of each kind these vote events have."""
    if not vote_event_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_RELATED_COUNTS, [list(vote_event_ids)])
        return {
            vote: {"counts": counts, "sources": sources, "votes": votes}
            for vote, counts, sources, votes in cursor.fetchall()
        }


def _relink(changed: Mapping[str, UUID | None], tied: Sequence[str]) -> None:
    now = timezone.now()
    # First all undone: an action has one vote event at the most, at every moment.
    if tied:
        VoteEvent.objects.filter(id__in=tied).update(bill_action=None, updated_at=now)
    linked = {vote: action for vote, action in changed.items() if action}
    if linked:
        with connection.cursor() as cursor:
            cursor.execute(_TIE, [list(linked), list(map(str, linked.values())), now])


_TIE = """
    UPDATE opencivicdata_voteevent AS vote SET bill_action_id = tie.action, updated_at = tie.now
    FROM (SELECT unnest(%s::text[]) AS id, unnest(%s::uuid[]) AS action, %s AS now) AS tie
    WHERE vote.id = tie.id
"""

_RELATED_COUNTS = """
    SELECT vote.id,
           (SELECT count(*) FROM opencivicdata_votecount WHERE vote_event_id = vote.id),
           (SELECT count(*) FROM opencivicdata_votesource WHERE vote_event_id = vote.id),
           (SELECT count(*) FROM opencivicdata_personvote WHERE vote_event_id = vote.id)
    FROM opencivicdata_voteevent AS vote WHERE vote.id = ANY(%s) ORDER BY vote.id
"""

_RESOLVE_RELATED_BILLS = """
    UPDATE opencivicdata_relatedbill AS related SET related_bill_id = named.id
    FROM opencivicdata_bill AS naming
    JOIN opencivicdata_legislativesession AS naming_session
      ON naming_session.id = naming.legislative_session_id,
      opencivicdata_bill AS named
    JOIN opencivicdata_legislativesession AS session ON session.id = named.legislative_session_id
    WHERE related.related_bill_id IS NULL
      AND naming.id = related.bill_id
      AND naming_session.jurisdiction_id = %(jurisdiction)s
      AND session.jurisdiction_id = %(jurisdiction)s
      AND session.identifier = related.legislative_session
      AND named.identifier = related.identifier
"""


def link_all_related_bills(jurisdiction_id: str) -> None:
    """Resolve the relationships of all bills of the jurisdiction, as core does after an import."""
    _resolve(_RESOLVE_RELATED_BILLS, jurisdiction_id)


def link_related_bills(
    jurisdiction_id: str, changed: Collection[str], new: Collection[str]
) -> None:
    """Resolve the relationships of `changed` bills, and those of others that name `new` ones."""
    # Two statements: no index would serve one condition or the other.
    if changed:
        only = " AND related.bill_id = ANY(%(bills)s)"
        _resolve(_RESOLVE_RELATED_BILLS + only, jurisdiction_id, changed)
    if new:
        _resolve(_RESOLVE_RELATED_BILLS + " AND named.id = ANY(%(bills)s)", jurisdiction_id, new)


def _resolve(statement: str, jurisdiction_id: str, bills: Collection[str] = ()) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"jurisdiction": jurisdiction_id, "bills": list(bills)})
