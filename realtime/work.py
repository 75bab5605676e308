"""What the steps of one import run share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from realtime.config import Config
from realtime.errors import Unavailable
from realtime.locks import WorkerSlot
from realtime.ports import Store
from realtime.report import Report


@dataclass
class Work:
    """One run's means and its findings.

    `must_stop` is asked between files. `failed_rows` are the ledger's rows of files that failed;
    `unavailable` is what ends the run with an error once what can be done is done.
    """

    config: Config
    store: Store
    slot: WorkerSlot
    report: Report
    must_stop: Callable[[], bool]
    failed_rows: list[int] = field(default_factory=list)
    unavailable: Unavailable | None = None
