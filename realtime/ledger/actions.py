"""Operators' actions in the ledger: proposed, confirmed, worked on, and what came of them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from realtime.backends.postgres.locks import lock_actions
from realtime.domain.text import sanitized
from realtime.ledger.files import database_now
from realtime.models import ActionItem, OperatorAction, Result, Verb

# Most items of one action.
MOST = 100_000
# Of one request: seconds after which another may go on, because this one was killed.
_LEASE = 120
# These work on the whole ledger or store: one action at a time.
ALONE = (Verb.ANNOUNCE, Verb.ARCHIVE, Verb.PRUNE)
# What is still to be done.
OPEN = (Result.LEFT, Result.LATER)
# Of what `became` tells: what is still to be done.
STILL = (*OPEN, "unsent")

_ITEMS = """
    INSERT INTO realtime_action_item (action_id, target_id, result, why)
    SELECT %(action)s, id, '', '' FROM unnest(%(ids)s::bigint[]) AS id
"""
_TAKE = """
    UPDATE realtime_action AS action
    SET working_until = clock_timestamp() + %(seconds)s * interval '1 second', error = ''
    WHERE id = %(id)s AND confirmed_at IS NOT NULL AND NOT is_done AND NOT EXISTS (
      SELECT 1 FROM realtime_action AS other
      WHERE (other.id = action.id OR other.verb = action.verb AND other.verb = ANY(%(alone)s))
        AND other.working_until > clock_timestamp())
"""
# What became of a file that was sent again is what the ledger says of it now, whatever happened to
# the request that sent it.
_RETRIED = """
    SELECT CASE
      WHEN file.id IS NULL THEN 'pruned'
      WHEN item.result <> 'done' AND (file.retried_at IS NULL OR file.retried_at < %(since)s)
        THEN item.result
      WHEN file.outcome IN ('inserted', 'updated', 'unchanged') THEN 'imported'
      WHEN file.outcome = 'failed' THEN 'failed'
      WHEN file.outcome <> 'deferred' THEN 'superseded'
      WHEN file.reason = '' THEN 'parked'
      WHEN item.result = 'done' THEN 'waiting'
      ELSE 'unsent' END AS became, count(*)
    FROM realtime_action_item AS item LEFT JOIN realtime_file AS file ON file.id = item.target_id
    WHERE item.action_id = %(id)s GROUP BY 1
"""
# What an action decided has its time, to the microsecond, and its name: what another has decided
# since is not its own.
_DECIDED = """
    SELECT CASE WHEN row.id IS NULL THEN 'pruned'
                WHEN item.result = 'done' AND NOT {own} THEN 'undone'
                ELSE item.result END AS became, count(*)
    FROM realtime_action_item AS item LEFT JOIN {table} AS row ON row.id = item.target_id
    WHERE item.action_id = %(id)s GROUP BY 1
"""
_OWN = """
    SELECT row.id FROM realtime_action_item AS item JOIN {table} AS row ON row.id = item.target_id
    WHERE item.action_id = %(id)s AND item.result = 'done' AND {own} ORDER BY row.id
"""
_DISCARDED = {
    "table": "realtime_file",
    "own": "(row.discarded_at IS NOT DISTINCT FROM %(since)s AND row.discarded_by = %(by)s)",
}
_RESOLVED = {
    "table": "realtime_flag",
    "own": "(row.resolved_at IS NOT DISTINCT FROM %(since)s AND row.resolved_by = %(by)s)",
}
_PLAIN = """
    SELECT result, count(*) FROM realtime_action_item WHERE action_id = %(id)s GROUP BY 1
"""
_BECAME = {
    Verb.RETRY: _RETRIED,
    Verb.DISCARD: _DECIDED.format(**_DISCARDED),
    Verb.RESOLVE: _DECIDED.format(**_RESOLVED),
}
_STILL_OWN = {
    Verb.DISCARD: _OWN.format(**_DISCARDED),
    Verb.RESOLVE: _OWN.format(**_RESOLVED),
}


@transaction.atomic
def propose(
    verb: Verb,
    by: str,
    what: str,
    ids: Collection[int] = (),
    scope: Mapping[str, Any] | None = None,
) -> OperatorAction:
    """Record what somebody may want to do: to exactly these files or flags, at most MOST of them.

    `what` says in words to what. `scope` is the group that they were, if they were one. Nothing
    happens until it is confirmed.
    """
    ids = sorted(set(ids))[:MOST]
    action = OperatorAction.objects.create(
        verb=verb,
        by=sanitized(by),
        what=sanitized(what),
        scope=scope or {},
        size=len(ids),
        proposed_at=database_now(),
    )
    with connection.cursor() as cursor:
        cursor.execute(_ITEMS, {"action": action.pk, "ids": ids})
    return action


def confirm(action: OperatorAction, by: str, note: str) -> bool:
    """Let the action be worked on; `note` says why. False when it was confirmed before."""
    proposed = OperatorAction.objects.filter(pk=action.pk, confirmed_at=None)
    return bool(
        proposed.update(confirmed_at=database_now(), by=sanitized(by), note=sanitized(note))
    )


@transaction.atomic
def take(action: OperatorAction) -> bool:
    """Take a confirmed action in hand for two minutes. False when another request has it, when it
    is done, or, for what is done to the whole, when another action of its kind is worked on."""
    lock_actions()
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE, {"id": action.pk, "seconds": _LEASE, "alone": [str(verb) for verb in ALONE]}
        )
        return bool(cursor.rowcount)


def left(action: OperatorAction, after: int, limit: int) -> list[int]:
    """The next files or flags that are still to be done, in the order of their ids."""
    items = ActionItem.objects.filter(action=action, result__in=OPEN, target_id__gt=after)
    return list(items.order_by("target_id").values_list("target_id", flat=True)[:limit])


@transaction.atomic
def record(action: OperatorAction, results: Mapping[int, tuple[Result, str]]) -> None:
    """Record what was done to these items, and why not, and keep the action in hand."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE realtime_action_item AS item SET result = new.result, why = new.why"
            " FROM unnest(%s::bigint[], %s::text[], %s::text[]) AS new (id, result, why)"
            " WHERE item.action_id = %s AND item.target_id = new.id",
            [
                list(results),
                [str(result) for result, _ in results.values()],
                [sanitized(why)[:500] for _, why in results.values()],
                action.pk,
            ],
        )
        cursor.execute(
            "UPDATE realtime_action SET working_until = clock_timestamp() + %s * interval '1 s'"
            " WHERE id = %s",
            [_LEASE, action.pk],
        )


def let_go(
    action: OperatorAction, error: str, counts: Mapping[str, int], is_complete: bool
) -> None:
    """The request ends. `error` says why it stopped, `counts` what it did besides the items. The
    action is done once that is complete and no item is left."""
    open_items = ActionItem.objects.filter(action=action, result__in=OPEN)
    action.refresh_from_db(fields=["counts"])
    OperatorAction.objects.filter(pk=action.pk).update(
        working_until=None,
        error=sanitized(error),
        counts={name: n + action.counts.get(name, 0) for name, n in counts.items()}
        | {name: n for name, n in action.counts.items() if name not in counts},
        is_done=is_complete and not open_items.exists(),
    )


def became(action: OperatorAction) -> dict[str, int]:
    """How many items of the action became what, by the ledger as it is now.

    A Result; for files that were sent again instead of `done`: `imported`, `superseded`, `failed`
    (again), `parked`, `waiting` (for the next import run) and `unsent` (put back, but no message
    was sent); `pruned` where the ledger has forgotten the file or flag; `undone` where somebody has
    taken the discarding or resolving back, whatever was decided after that.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BECAME.get(Verb(action.verb), _PLAIN), _about(action))
        return dict(cursor.fetchall())


def decided(action: OperatorAction) -> Sequence[int]:
    """The files or flags that are discarded or resolved because this action decided so, and nobody
    else since."""
    with connection.cursor() as cursor:
        cursor.execute(_STILL_OWN[Verb(action.verb)], _about(action))
        return [id for (id,) in cursor.fetchall()]


def _about(action: OperatorAction) -> dict[str, Any]:
    return {"id": action.pk, "since": action.confirmed_at, "by": action.by}


def not_done(action: OperatorAction, limit: int) -> list[ActionItem]:
    """Items with why they were not done, by id."""
    items = ActionItem.objects.filter(Q(action=action) & ~Q(why=""))
    return list(items.order_by("target_id")[:limit])
