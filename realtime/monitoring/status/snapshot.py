"""Everything that status shows, as one value."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from realtime.ledger import files as ledger_files
from realtime.monitoring.status import file_lists, run_states, workers
from realtime.monitoring.status.lag import HOUR, JURISDICTION, TYPE, Lag, jurisdictions, lags
from realtime.monitoring.status.lead_time import Sooner, sooner
from realtime.monitoring.status.queue_depth import Answer
from realtime.monitoring.status.received import Received, received
from realtime.monitoring.status.run_states import RunState, State

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Status:
    """What an operator needs to see, at one moment; times are the database's, aware UTC.

    Lag, `sooner`, and final and closed runs are of the `window` before; everything else is as it is
    now. `jurisdiction_id` is empty for all of them; queue and workers are always of all.
    """

    at: datetime
    window: timedelta
    jurisdiction_id: str
    queue: Answer
    received: Received
    slots: int
    workers: list[workers.Worker]
    open_runs: list[RunState]
    over_runs: list[RunState]
    parked: list[file_lists.Parked]
    failures: list[file_lists.Failures]
    unarchived: list[file_lists.Unarchived]
    lag: Lag | None
    lag_by_jurisdiction: list[Lag]
    lag_by_type: list[Lag]
    lag_by_hour: list[Lag]
    sooner: list[Sooner]
    sooner_by_run: list[Sooner]

    @property
    def runs(self) -> list[RunState]:
        """Those that are not over, by start, then those that are, newest first."""
        return [*self.open_runs, *self.over_runs]

    @property
    def run_counts(self) -> Counter[State]:
        """How many runs are in each state."""
        return Counter(one.state for one in self.runs)

    @property
    def oldest_message(self) -> tuple[float | None, str]:
        """How many seconds the oldest message has waited, and who says so.

        `cloudwatch`: it is the age of the oldest message. `ledger`: the longest that a file
        received in the last ten minutes had waited. Empty: nobody can say, or there is none.
        """
        depth = self.queue.depth
        if depth is not None and not (depth.visible or depth.in_flight or depth.delayed):
            return None, ""
        if self.queue.oldest_seconds is not None:
            return self.queue.oldest_seconds, "cloudwatch"
        if self.received.waited_seconds is not None:
            return self.received.waited_seconds, "ledger"
        return None, ""


def status(
    queue: Answer, slots: int, jurisdiction_id: str = "", window: timedelta = WINDOW
) -> Status:
    """The status of everything, or of one jurisdiction; to be asked within `reading`.

    `queue` is what AWS has said, `slots` the workers that are allowed. Raises what the database
    raises.
    """
    now = ledger_files.database_now()
    since = now - window
    known = [one for one in jurisdictions() if jurisdiction_id in ("", one)]
    all_of_it = lags(since, now, known)
    return Status(
        at=now,
        window=window,
        jurisdiction_id=jurisdiction_id,
        queue=queue,
        received=received(now),
        slots=slots,
        workers=workers.busy(known),
        open_runs=run_states.open_states(now, jurisdiction_id),
        over_runs=run_states.recent_states(since, jurisdiction_id),
        parked=file_lists.parked(jurisdiction_id),
        failures=file_lists.failures(jurisdiction_id),
        unarchived=file_lists.unarchived(jurisdiction_id),
        lag=all_of_it[0] if all_of_it else None,
        lag_by_jurisdiction=lags(since, now, known, [JURISDICTION]),
        lag_by_type=lags(since, now, known, [TYPE]),
        lag_by_hour=lags(since, now, known, [HOUR]),
        sooner=sooner(since, now, known),
        sooner_by_run=sooner(since, now, known, by_run=True),
    )
