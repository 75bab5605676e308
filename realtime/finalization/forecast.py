"""What finalizing a run would take from readers, before it is done."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from realtime.finalization import cleanup, people
from realtime.ledger.complete_runs import Step
from realtime.models import Closed, ScrapeRun


@dataclass(frozen=True)
class Losses:
    """By core's ids: vote events that would be deleted, events that would be marked as deleted, and
    people who would be merged into others."""

    vote_events: Sequence[str] = ()
    events: Sequence[str] = ()
    people: Sequence[str] = ()

    @classmethod
    def of_all(cls, losses: Iterable["Losses"]) -> "Losses":
        """Several together."""
        found = list(losses)
        return cls(
            [id for one in found for id in one.vote_events],
            [id for one in found for id in one.events],
            [id for one in found for id in one.people],
        )

    @property
    def all(self) -> list[str]:
        return [*self.vote_events, *self.events, *self.people]


def losses(steps: Iterable[Step]) -> list[tuple[Step, Losses]]:
    """What each of these steps would take if all were done now, one after the other.

    Only reads. Files that are imported again before that may change it.
    """
    taken: set[str] = set()
    found = []
    for step in steps:
        one = _losses(step.run, step.closed)
        left = {
            field.name: [id for id in getattr(one, field.name) if id not in taken]
            for field in fields(one)
        }
        taken.update(one.all)
        found.append((step, Losses(**left)))
    return found


def digest(found: Iterable[tuple[Step, Losses]]) -> str:
    """The same for what is the same: by which runs, and exactly which rows are taken."""
    told = [[str(step.run.run_id), step.closed, sorted(lost.all)] for step, lost in found]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _losses(run: ScrapeRun, closed: str) -> Losses:
    if closed in (Closed.UNFINISHED, Closed.INCOMPLETE):
        return Losses()
    if closed:
        return Losses(people=[] if people.may_be_unread(run) else people.would_merge(run))
    return Losses(
        cleanup.stale_vote_events(run), cleanup.missing_events(run), people.would_merge(run)
    )
