"""Everything that is known of one scrape run: its times, its files, what its finalization did."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from realtime.models import File, LoggedChange, Outcome, ScrapeRun
from realtime.monitoring.status import run_states
from realtime.monitoring.status.run_states import RunState

# The most files and changes that are listed.
AT_MOST = 20
_LARGE = ("traceback", "message", "identity")

# Of a run's files, by the index realtime_file_run_types.
_GROUPS = """
    SELECT object_type, outcome, count(*), min(scraped_at), max(scraped_at), min(queued_at),
           max(queued_at), min(received_at), max(received_at), min(imported_at), max(imported_at)
    FROM realtime_file WHERE run_id = %(run)s GROUP BY 1, 2
"""
_LOSSES = """
    SELECT change, object_type, count(*) FROM realtime_change
    WHERE run_id = %(run)s AND change IN ('deleted', 'marked', 'merged') GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Moment:
    """A stage of a run's life: from when to when. None: not yet, or not known."""

    name: str
    began: datetime | None
    ended: datetime | None

    @property
    def seconds(self) -> float | None:
        """How long it took; None for less than a second."""
        if self.began is None or self.ended is None:
            return None
        seconds = (self.ended - self.began).total_seconds()
        return seconds if seconds >= 1 else None


@dataclass(frozen=True)
class TypeOfFile:
    """The files of one type: how many the scraper says it sent (None: it has not ended), and how
    many have each outcome."""

    object_type: str
    sent: int | None
    outcomes: Mapping[str, int]

    @property
    def received(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True)
class RunRecord:
    """What is known of one run. `stuck` are its failed and parked files, the newest first, at most
    AT_MOST; `losses` what its finalization deleted, marked and merged, by change and type; `lost`
    the newest of these."""

    run: ScrapeRun
    state: RunState
    timeline: Sequence[Moment]
    types: Sequence[TypeOfFile]
    stuck: Sequence[File]
    stuck_count: int
    losses: Sequence[tuple[str, str, int]] = ()
    lost: Sequence[LoggedChange] = field(default_factory=list)


def run_record(run_id: UUID, now: datetime) -> RunRecord | None:
    """The record of this run; None if the ledger does not know it. `now` is database time."""
    run = ScrapeRun.objects.filter(run_id=run_id).first()
    if run is None:
        return None
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, {"run": run_id})
        groups = cursor.fetchall()
        cursor.execute(_LOSSES, {"run": run_id})
        losses = cursor.fetchall()
    lost = LoggedChange.objects.filter(run_id=run_id, change__in=["deleted", "marked", "merged"])
    types = _types(run, groups)
    return RunRecord(
        run,
        run_states.state_of(now, run),
        _timeline(run, groups),
        types,
        _stuck(run_id),
        sum(one.outcomes.get("failed", 0) + one.outcomes.get("deferred", 0) for one in types),
        losses,
        list(lost.order_by("-id")[:AT_MOST]),
    )


def _types(run: ScrapeRun, groups: Sequence[Any]) -> list[TypeOfFile]:
    came: dict[str, Counter[str]] = {}
    for object_type, outcome, count, *_ in groups:
        came.setdefault(object_type, Counter())[outcome] += count
    sent = run.objects_sent if run.finished_at else None
    return [
        TypeOfFile(
            name,
            None if sent is None else sent.get(name, 0),
            dict(came.get(name, Counter()).most_common()),
        )
        for name in sorted({*came, *(sent or {})})
    ]


def _timeline(run: ScrapeRun, groups: Sequence[Any]) -> list[Moment]:
    def span(first: int) -> tuple[datetime | None, datetime | None]:
        began = [row[first] for row in groups if row[first] is not None]
        ended = [row[first + 1] for row in groups if row[first + 1] is not None]
        return min(began, default=None), max(ended, default=None)

    closed = run.closed_at if run.closed else None
    over = run.finalized_at or closed
    return [
        Moment("scraped", run.started_at, run.finished_at or span(3)[1]),
        Moment("sent", *span(5)),
        Moment("received", *span(7)),
        Moment("imported", *span(9)),
        Moment("end message received", run.received_at, run.received_at),
        Moment(f"closed: {run.closed}" if run.closed else "final", over, over),
    ]


def _stuck(run_id: UUID) -> list[File]:
    files = File.objects.filter(run_id=run_id, outcome__in=[Outcome.FAILED, Outcome.DEFERRED])
    return list(files.order_by("-id").defer(*_LARGE)[:AT_MOST])
