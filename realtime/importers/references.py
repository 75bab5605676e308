"""Links between rows that may arrive in either order, settled as soon as both are there."""

from collections.abc import Collection

from django.db import connection
from openstates.data.models import BillAction, VoteEvent

from realtime.importers.history import History


def relink_votes(bill_ids: Collection[str], history: History) -> None:
    """Tie the unlinked vote events of these bills to the actions they name.

    Importing a changed bill recreates its actions, which unlinks its votes; and a vote may come
    before the action. Core's rule: the one action of that description, date and organization,
    first come first served in scrape order.
    """
    votes = {
        vote.id: vote for vote in VoteEvent.objects.filter(bill_id__in=bill_ids, bill_action=None)
    }
    if not votes:
        return
    taken: set[str] = set()
    for vote_id, description in history.vote_actions(list(votes)):
        vote = votes[vote_id]
        actions = BillAction.objects.filter(
            bill_id=vote.bill_id,
            description=description,
            date=vote.start_date,
            organization_id=vote.organization_id,
        ).values_list("id", "vote")[:2]
        if len(actions) == 1 and actions[0][1] is None and actions[0][0] not in taken:
            taken.add(actions[0][0])
            VoteEvent.objects.filter(id=vote_id).update(bill_action_id=actions[0][0])


def link_related_bills(jurisdiction_id: str, bill_ids: Collection[str]) -> None:
    """Resolve the relationships of these bills, and those of others that name them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE opencivicdata_relatedbill AS related SET related_bill_id = named.id
            FROM opencivicdata_bill AS named
            JOIN opencivicdata_legislativesession AS session
              ON session.id = named.legislative_session_id,
              opencivicdata_bill AS naming
            JOIN opencivicdata_legislativesession AS naming_session
              ON naming_session.id = naming.legislative_session_id
            WHERE related.related_bill_id IS NULL
              AND naming.id = related.bill_id
              AND naming_session.jurisdiction_id = %(jurisdiction)s
              AND session.jurisdiction_id = %(jurisdiction)s
              AND session.identifier = related.legislative_session
              AND named.identifier = related.identifier
              AND (related.bill_id = ANY(%(bills)s) OR named.id = ANY(%(bills)s))
            """,
            {"jurisdiction": jurisdiction_id, "bills": list(bill_ids)},
        )
