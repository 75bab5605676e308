"""Messages and parked files whose import may kill the process or hang, and how often it was tried.

They are tried together, then by halves, down to one alone: the others of a batch get their outcome
on the way.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import connection

from realtime.domain.errors import PoisonMessage
from realtime.domain.text import sanitized
from realtime.models import Suspect

# Attempts alone without any result after which a message fails.
ATTEMPTS = 3
KILLS = PoisonMessage(
    "kills-the-import", f"{ATTEMPTS} attempts to import it alone ended without any result"
)

T = TypeVar("T")

_START = """
    INSERT INTO realtime_suspect AS known (message_id, body, attempts, together, attempted_at)
    SELECT message_id, body, %(alone)s, %(together)s, now()
    FROM unnest(%(ids)s::text[], %(bodies)s::text[]) AS tried (message_id, body)
    ON CONFLICT (message_id) DO UPDATE
      SET attempts = known.attempts + excluded.attempts, together = excluded.together,
          attempted_at = excluded.attempted_at
      WHERE known.attempts < %(most)s
    RETURNING message_id
"""
_SETTLE = """
    INSERT INTO realtime_suspect AS known (message_id, body, attempts, together, attempted_at)
    SELECT message_id, body, attempts, together, now()
    FROM unnest(%(ids)s::text[], %(bodies)s::text[], %(attempts)s::int[], %(together)s::int[])
      AS tried (message_id, body, attempts, together)
    ON CONFLICT (message_id) DO UPDATE
      SET attempts = excluded.attempts, together = excluded.together
"""


@dataclass(frozen=True)
class Suspicion:
    """How a message was tried without any result: so many attempts alone, the last attempt of all
    `together` with others (1: alone)."""

    attempts: int
    together: int


def known(ids: Collection[str]) -> dict[str, Suspicion]:
    """What is known of those of these messages that are suspect."""
    if not ids:
        return {}
    rows = Suspect.objects.filter(message_id__in=ids)
    return {row.message_id: Suspicion(row.attempts, row.together) for row in rows}


def in_groups(
    items: Sequence[T], id_of: Callable[[T], str], known: Mapping[str, Suspicion], most: int
) -> list[list[T]]:
    """The groups in which to try these next, the largest first: of those tried before, half as many
    as then; of others, `most`."""

    def size(item: T) -> int:
        before = known.get(id_of(item))
        return max(before.together // 2, 1) if before else most

    sizes = sorted({size(item) for item in items}, reverse=True)
    alike = [(one, [item for item in items if size(item) == one]) for one in sizes]
    return [group[at : at + one] for one, group in alike for at in range(0, len(group), one)]


def start_attempts(bodies: Mapping[str, str]) -> set[str]:
    """Record, in a transaction of its own, an attempt to import these messages together.

    `bodies` are theirs by id. Returns those that must not be tried: ATTEMPTS attempts alone have
    ended without a result.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _START,
            {
                "ids": list(bodies),
                "bodies": [sanitized(body) for body in bodies.values()],
                "alone": int(len(bodies) == 1),
                "together": len(bodies),
                "most": ATTEMPTS,
            },
        )
        return set(bodies) - {message_id for (message_id,) in cursor.fetchall()}


def note(bodies: Mapping[str, str], now: Mapping[str, Suspicion | None]) -> None:
    """Record what is known of these messages after an attempt that the process survived; None: they
    are suspect no longer."""
    still = {id: suspicion for id, suspicion in now.items() if suspicion}
    cleared = now.keys() - still.keys()
    if cleared:
        Suspect.objects.filter(message_id__in=cleared).delete()
    if still:
        with connection.cursor() as cursor:
            cursor.execute(
                _SETTLE,
                {
                    "ids": list(still),
                    "bodies": [sanitized(bodies[id]) for id in still],
                    "attempts": [suspicion.attempts for suspicion in still.values()],
                    "together": [suspicion.together for suspicion in still.values()],
                },
            )
