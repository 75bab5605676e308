"""Import runs as they were kept: for `status_realtime --runs`, the page and machines."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from realtime.ledger import import_runs
from realtime.models import ImportRun
from realtime.monitoring.status.paging import Cursor, Page, page


class RunResult(StrEnum):
    """What came of an import run."""

    WORKING = "working"  # it is under way
    DONE = "done"
    IDLE = "idle"  # there was nothing to do
    ERROR = "error"  # it ended with an error
    KILLED = "did not end"  # killed, or without its database


@dataclass(frozen=True)
class KeptRun:
    """An import run, and what came of it."""

    run: ImportRun
    result: RunResult

    @property
    def ended_at(self) -> datetime | None:
        return self.run.ended_at

    @property
    def total_seconds(self) -> float | None:
        """How long its runs took, together; None while the first is under way."""
        seconds = self.run.seconds.get("total")
        return None if seconds is None else float(seconds)

    @property
    def told(self) -> str:
        """What it did, in words; the most first."""
        counts = Counter(self.run.counts)
        received, flags = counts.pop("received", 0), counts.pop("flags", 0)
        parts = [f"{count:,} {name}" for name, count in counts.most_common() if count]
        parts += [f"{flags:,} flagged"] if flags else []
        rest = ", ".join(parts)
        if received:
            return f"{received:,} received: {rest}" if rest else f"{received:,} received"
        return rest or ("nothing to do" if self.result == RunResult.IDLE else "")

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON values."""
        run = self.run
        return {
            "id": run.pk,
            "result": self.result.value,
            "way": run.way,
            "host": run.host,
            "process_id": run.process_id,
            "request_id": run.request_id or None,
            "import_run_id": run.import_run_id,
            "runs": run.runs,
            "started_at": _time(run.started_at),
            "began_at": _time(run.began_at),
            "ended_at": _time(run.ended_at),
            "counts": run.counts,
            "seconds": run.seconds,
            "lag_seconds": {"p50": run.lag_p50, "p95": run.lag_p95},
            "statements": run.statements,
            "requests": run.requests,
            "cpu_seconds": run.cpu_seconds,
            "error": run.error or None,
        }


def recent_imports(limit: int) -> list[KeptRun]:
    """The newest import runs, those that began last first."""
    return [kept(run) for run in import_runs.newest()[:limit]]


def listed(at: Cursor | None, limit: int) -> Page[ImportRun]:
    """A page of the rows of import runs, those that began last first.

    A run that goes on, or that takes the next one in, moves to the front: a reader who goes from
    page to page meets every other.
    """
    return page(import_runs.newest(), "began_at", at, limit)


def kept(run: ImportRun) -> KeptRun:
    """A row of `import_runs.newest`, and what came of the run."""
    return KeptRun(run, _result(run))


def _result(run: ImportRun) -> RunResult:
    if run.ended_at is None:
        connected = getattr(run, "is_connected", False)
        return RunResult.WORKING if connected else RunResult.KILLED
    if run.error:
        return RunResult.ERROR
    return RunResult.IDLE if run.is_idle else RunResult.DONE


def _time(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
