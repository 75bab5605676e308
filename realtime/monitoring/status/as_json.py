"""Status as one JSON object; README.md documents its keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from realtime.monitoring.status import told
from realtime.monitoring.status.file_lists import AT_MOST
from realtime.monitoring.status.lag import Lag, Spread
from realtime.monitoring.status.lead_time import LeadTime
from realtime.monitoring.status.run_states import RunState, State
from realtime.monitoring.status.snapshot import Status
from realtime.monitoring.verdict.finding import Verdict

_PARTS = ("total", "to_queue", "to_receive", "to_commit")


def as_dict(
    status: Status | None, verdict: Verdict, behind: Sequence[str] | None = None
) -> dict[str, Any]:
    """The status as JSON values: times as ISO 8601 in UTC, durations in seconds, null for unknown.
    Without a status (the ledger cannot be read) `verdict` and `behind` alone.

    `behind` holds the findings of `--max-age`; None when it was not given.
    """
    judged = {
        "verdict": verdict.as_dict(),
        "behind": None if behind is None else list(behind),
    }
    if status is None:
        return judged
    counts = status.run_counts
    return {
        "at": _time(status.at),
        "window_hours": status.window.total_seconds() / 3600,
        "jurisdiction_id": status.jurisdiction_id or None,
        **judged,
        "queue": _queue(status),
        "unannounced": {
            "files": status.unannounced.files,
            "oldest_seconds": status.unannounced.oldest_seconds,
            "complete": status.unannounced.is_complete,
            "problem": status.unannounced.problem or None,
        },
        "workers": {
            "slots": status.slots,
            "busy": len(status.workers),
            "list": [
                {
                    "slot": one.slot,
                    "since": _time(one.since),
                    "jurisdiction_ids": list(one.jurisdiction_ids),
                }
                for one in status.workers
            ],
        },
        "runs": {
            **{state.value: counts[state] for state in State},
            "list": [_run(one) for one in status.runs],
        },
        "parked": {
            "files": sum(one.files for one in status.parked),
            "list": [
                {
                    "jurisdiction_id": one.jurisdiction_id,
                    "type": one.object_type,
                    "waiting_for": one.waiting_for or None,
                    "files": one.files,
                    "since": _time(one.since),
                }
                for one in status.parked
            ],
        },
        "failures": {
            "files": sum(one.files for one in status.failures),
            "list": [
                {
                    "jurisdiction_id": one.jurisdiction_id,
                    "reason": one.reason,
                    "files": one.files,
                    "newest": _time(one.newest),
                }
                for one in status.failures
            ],
        },
        "unarchived": {
            "files": sum(one.files for one in status.unarchived),
            "at_most": AT_MOST,
            "since": _time(min((one.since for one in status.unarchived), default=None)),
        },
        "flags": {
            "open": sum(one.count for one in status.flags),
            "list": [
                {
                    "kind": one.kind,
                    "jurisdiction_id": one.jurisdiction_id,
                    "count": one.count,
                    "newest": _time(one.newest),
                }
                for one in status.flags
            ],
        },
        "paused": {
            "list": [
                {
                    "jurisdiction_id": one.jurisdiction_id or None,
                    "since": _time(one.since),
                    "by": one.by,
                    "reason": one.reason,
                }
                for one in status.pauses
            ],
        },
        "receivers": {"list": [told.as_dict(one) for one in status.receivers]},
        "lag": {
            **(_lag(status.lag) if status.lag else _lag(_NOTHING)),
            "by_jurisdiction": [
                {"jurisdiction_id": one.jurisdiction_id, **_lag(one)}
                for one in status.lag_by_jurisdiction
            ],
            "by_type": [{"type": one.object_type, **_lag(one)} for one in status.lag_by_type],
            "by_hour": [{"hour": _time(one.hour), **_lag(one)} for one in status.lag_by_hour],
        },
        "sooner": {
            "by_type": [_lead_time(one) for one in status.lead_times],
            "by_run": [
                {
                    "run_id": str(one.run_id),
                    "jurisdiction_id": one.jurisdiction_id,
                    **_lead_time(one),
                }
                for one in status.lead_times_by_run
            ],
        },
    }


_NOTHING = Lag("", "", None, 0, 0, 0, 0, 0, Spread())


def _queue(status: Status) -> dict[str, Any]:
    depth = status.queue.depth
    oldest, source = status.oldest_message
    return {
        "visible": depth.visible if depth else None,
        "in_flight": depth.in_flight if depth else None,
        "delayed": depth.delayed if depth else None,
        "oldest_seconds": oldest,
        "oldest_source": source or None,
        "last_received": _time(status.received.newest),
        "problem": status.queue.problem or None,
    }


def _run(one: RunState) -> dict[str, Any]:
    run = one.run
    return {
        "run_id": str(run.run_id),
        "jurisdiction_id": run.jurisdiction_id,
        "state": one.state.value,
        "why": one.why or None,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "sent": dict(one.sent),
        "came": dict(one.came),
        "missing": one.missing if one.state == State.BLOCKED else {},
        "parked": one.parked,
        "failed": one.failed,
        "last_import": _time(one.newest),
        "older_run_id": str(one.older) if one.older else None,
    }


def _lag(one: Lag) -> dict[str, Any]:
    return {
        "files": one.files,
        "measured": one.measured,
        "late": one.late,
        "retried": one.retried,
        "skewed": one.skewed,
        **{f"{name}_seconds": vars(getattr(one, name)) for name in _PARTS},
    }


def _lead_time(one: LeadTime) -> dict[str, Any]:
    return {
        "type": one.object_type,
        "files": one.files,
        "sooner_seconds": one.lead,
        "batch_lag_seconds": one.batch_lag,
        "lag_seconds": one.lag,
    }


def _time(time: datetime | None) -> str | None:
    return time.isoformat(timespec="seconds") if time else None
