"""Progress of scrape runs: files received, of how many."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from realtime.models import ScrapeRun
from realtime.monitoring.status.lead_time import LeadTime
from realtime.monitoring.status.run_states import RunState, State


@dataclass(frozen=True)
class Progress:
    """A run, how many of its files were received (`came`), and of how many (`total`).

    `total` is the number it sent, once it has ended. While it is open, `expected` is true and
    `total` is the number that the jurisdiction's newest ended run sent, or 0 without one.
    `lead_times` are by type, and empty for an open run.
    """

    state: RunState
    came: int
    total: int
    expected: bool
    lead_times: Sequence[LeadTime] = ()

    @property
    def percent(self) -> int:
        """`came` in per cent of `total`, at most 100; 0 when `total` is unknown."""
        return min(self.came * 100 // self.total, 100) if self.total else 0


def progress(
    states: Collection[RunState],
    last_sent: Mapping[str, int],
    lead_times: Collection[LeadTime] = (),
) -> list[Progress]:
    """The progress of each state. `last_sent` is as the function of that name returns."""
    by_run: defaultdict[UUID | None, list[LeadTime]] = defaultdict(list)
    for one in lead_times:
        by_run[one.run_id].append(one)
    return [
        _progress(state, last_sent.get(state.run.jurisdiction_id, 0), by_run[state.run.run_id])
        for state in states
    ]


def _progress(state: RunState, before: int, lead_times: Sequence[LeadTime]) -> Progress:
    came = sum(state.came.values())
    sent = sum(state.sent.values())
    if state.state == State.OPEN:
        return Progress(state, came, before, expected=True)
    return Progress(state, came, sent, expected=False, lead_times=lead_times)


def last_sent(jurisdiction_ids: Collection[str]) -> dict[str, int]:
    """By jurisdiction, the number of files that its newest ended run sent."""
    runs = ScrapeRun.objects.filter(
        jurisdiction_id__in=jurisdiction_ids, finished_at__isnull=False
    ).order_by("jurisdiction_id", "-started_at")
    newest = runs.distinct("jurisdiction_id").values_list("jurisdiction_id", "objects_sent")
    return {jurisdiction_id: sum(sent.values()) for jurisdiction_id, sent in newest}
