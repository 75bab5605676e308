"""Everything that `status_realtime` shows, as of one moment."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from realtime.ledger import files as ledger_files
from realtime.ledger.pauses import ALL, open_pauses
from realtime.ledger.receivers import Progress, progress
from realtime.models import Pause
from realtime.monitoring.status import file_lists, flag_counts, run_states, workers
from realtime.monitoring.status.lag import HOUR, JURISDICTION, TYPE, Lag, jurisdictions, lags_by
from realtime.monitoring.status.lead_time import LeadTime, lead_times
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.monitoring.status.received import Received, oldest_message, received
from realtime.monitoring.status.run_states import RunState, State
from realtime.monitoring.status.unannounced import UNKNOWN, Unannounced

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Status:
    """The state of imports at `at`. Times are the database's, aware UTC.

    Lags, lead times and finished runs cover the `window` before `at`; everything else is current.
    An empty `jurisdiction_id` means all; queue, root, worker slots and receivers always cover
    all.
    """

    at: datetime
    window: timedelta
    jurisdiction_id: str
    queue: QueueStatus
    unannounced: Unannounced
    received: Received
    slots: int
    workers: list[workers.Worker]
    open_runs: list[RunState]
    finished_runs: list[RunState]
    parked: list[file_lists.Parked]
    failures: list[file_lists.Failures]
    unarchived: list[file_lists.Unarchived]
    lag: Lag | None
    lag_by_jurisdiction: list[Lag]
    lag_by_type: list[Lag]
    lag_by_hour: list[Lag]
    lead_times: list[LeadTime]
    lead_times_by_run: list[LeadTime]
    flags: list[flag_counts.OpenFlags]
    pauses: list[Pause]
    receivers: list[Progress]

    @property
    def runs(self) -> list[RunState]:
        """The unfinished runs, oldest first, then the final and closed ones, newest first."""
        return [*self.open_runs, *self.finished_runs]

    @property
    def run_counts(self) -> Counter[State]:
        """How many runs are in each state."""
        return Counter(one.state for one in self.runs)

    @property
    def oldest_message(self) -> tuple[float | None, str]:
        """The age of the oldest message in seconds, and its source: see `received`."""
        return oldest_message(self.queue, self.received)


def status(
    queue: QueueStatus,
    slots: int,
    jurisdiction_id: str = "",
    window: timedelta = WINDOW,
    waiting: Unannounced = UNKNOWN,
) -> Status:
    """The status of all jurisdictions, or of one. Call it within `read_only_transaction`.

    `queue` is the answer of `queue_depth.ask` or `of_root`, `waiting` that of `unannounced`,
    `slots` the maximum number of workers. Raises Django's database errors.
    """
    now = ledger_files.database_now()
    since = now - window
    known = [one for one in jurisdictions() if jurisdiction_id in ("", one)]
    groupings = [(), (JURISDICTION,), (TYPE,), (HOUR,)]
    overall, by_jurisdiction, by_type, by_hour = lags_by(since, now, known, groupings)
    return Status(
        at=now,
        window=window,
        jurisdiction_id=jurisdiction_id,
        queue=queue,
        unannounced=waiting,
        received=received(now),
        slots=slots,
        workers=workers.busy(known),
        open_runs=run_states.open_states(now, jurisdiction_id),
        finished_runs=run_states.recent_states(since, jurisdiction_id),
        parked=file_lists.parked(jurisdiction_id),
        failures=file_lists.failures(jurisdiction_id),
        unarchived=file_lists.unarchived(jurisdiction_id),
        lag=overall[0] if overall else None,
        lag_by_jurisdiction=by_jurisdiction,
        lag_by_type=by_type,
        lag_by_hour=by_hour,
        lead_times=lead_times(since, now, known),
        lead_times_by_run=lead_times(since, now, known, by_run=True),
        flags=flag_counts.open_flags(jurisdiction_id),
        pauses=[
            one
            for one in open_pauses()
            if not jurisdiction_id or one.jurisdiction_id in (ALL, jurisdiction_id)
        ],
        receivers=progress(),
    )
