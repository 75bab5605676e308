"""Rows that a finalization deletes, and the record of them."""

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Count
from openstates.data.models import Event, VoteEvent

from realtime.domain.changes import Difference, RowChange
from realtime.ledger import changes, flags
from realtime.ledger.files import database_now

_TYPES = {VoteEvent: "vote_event", Event: "event"}
_COUNTED = {VoteEvent: ("counts", "sources", "votes"), Event: ("agenda", "participants", "sources")}


def delete_rows(
    model: type[VoteEvent] | type[Event],
    core_ids: Sequence[str],
    jurisdiction_id: str,
    run_id: UUID | None,
) -> None:
    """Delete rows of core's, log each with what it had, and resolve its flags.

    Runs in the caller's transaction.
    """
    if not core_ids:
        return
    now, rows = database_now(), model.objects.filter(id__in=core_ids)
    had: dict[str, dict[str, int]] = {core_id: {} for core_id in core_ids}
    for kind in _COUNTED[model]:
        for core_id, count in rows.values_list("id").annotate(Count(kind)):
            had[core_id][kind] = count
    changes.log(
        jurisdiction_id,
        [
            RowChange(_TYPES[model], "deleted", core_id, Difference.of(set(), counts, {}), run_id)
            for core_id, counts in had.items()
        ],
        now,
    )
    flags.resolve_deleted(core_ids, now)
    rows.delete()
