"""How far scrape runs have come, as a person reads it."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from realtime.models import ScrapeRun
from realtime.monitoring.status.lead_time import Sooner
from realtime.monitoring.status.run_states import RunState, State


@dataclass(frozen=True)
class Progress:
    """A run, how many of its files have come, and of how many.

    `total` is what it sent, once it has ended; before, as many as the newest run before it that
    ended (`expected` is true then), or 0 when there is none. `sooner` says by type how much sooner
    than by batch import its files became visible, of a run that has ended.
    """

    state: RunState
    came: int
    total: int
    expected: bool
    sooner: Sequence[Sooner] = ()

    @property
    def percent(self) -> int:
        """Of the total, never more than all; 0 when that is unknown."""
        return min(self.came * 100 // self.total, 100) if self.total else 0


def progress(
    states: Collection[RunState], last_sent: Mapping[str, int], sooner: Collection[Sooner] = ()
) -> list[Progress]:
    """`last_sent` says how many files the newest run that ended sent, by jurisdiction."""
    by_run: defaultdict[UUID | None, list[Sooner]] = defaultdict(list)
    for one in sooner:
        by_run[one.run_id].append(one)
    return [
        _progress(state, last_sent.get(state.run.jurisdiction_id, 0), by_run[state.run.run_id])
        for state in states
    ]


def _progress(state: RunState, before: int, sooner: Sequence[Sooner]) -> Progress:
    # Files of no type at all count for no type.
    came = sum(state.came.values())
    sent = sum(state.sent.values())
    if state.state == State.OPEN:
        return Progress(state, came, before, expected=True)
    return Progress(state, came, sent, expected=False, sooner=sooner)


def last_sent(jurisdiction_ids: Collection[str]) -> dict[str, int]:
    """How many files the newest run that has ended sent, by jurisdiction."""
    runs = ScrapeRun.objects.filter(
        jurisdiction_id__in=jurisdiction_ids, finished_at__isnull=False
    ).order_by("jurisdiction_id", "-started_at")
    newest = runs.distinct("jurisdiction_id").values_list("jurisdiction_id", "objects_sent")
    return {jurisdiction_id: sum(sent.values()) for jurisdiction_id, sent in newest}
