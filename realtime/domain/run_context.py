"""What the steps of one run share."""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from realtime.domain.breaker import Breaker
from realtime.domain.config import BULK, Config
from realtime.domain.interfaces import Store
from realtime.domain.kept import Kept


def _always() -> None:
    """No veto, and nothing to wait for."""


def _never() -> bool:
    return False


def _untimed(stage: str) -> AbstractContextManager[None]:
    return nullcontext()


def _uncounted(count: Any) -> None:
    """Nobody counts."""


def _at_once(work: Callable[[], Any], settle: Callable[[Any], object]) -> None:
    settle(work())


def no_progress(step: str, counts: Mapping[str, int]) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class RunContext:
    """Dependencies of one run, whether it imports or finalizes. It keeps no state of the run, but
    for what the breaker has counted and the files that are `kept`.

    `importer` names the importers that write the rows. `must_stop` is asked between files and
    between transactions, never within one that could still commit. `before_commit` may veto a
    commit with RetryLater. `connection_lost` says whether the connection that holds the worker's
    slot is gone. `timed` counts the seconds of a block towards a stage, `flagged` the flags that a
    committed batch raised, by kind. With a `breaker`, files of paused jurisdictions are parked, and
    it may pause one; a folder imported by hand has none. `expired` is told, after each commit of a
    finalization, how many files fail that had been imported before. With `replay_all`, a
    finalization imports every file again, not only those that could end otherwise now. `finished`
    is told of the files that have got their outcome. `beside(work, settle)` does `work`, which must
    not use the database, while the run goes on; `settled` waits for it and calls `settle` with its
    result, in the run's own thread, which has the connection.
    """

    config: Config
    store: Store
    must_stop: Callable[[], bool]
    importer: str = BULK
    before_commit: Callable[[], None] = _always
    connection_lost: Callable[[], bool] = _never
    timed: Callable[[str], AbstractContextManager[None]] = _untimed
    breaker: Breaker | None = None
    flagged: Callable[[Counter[str]], None] = _uncounted
    expired: Callable[[int], None] = _uncounted
    replay_all: bool = False
    finished: Callable[[Any], None] = _uncounted
    beside: Callable[[Callable[[], Any], Callable[[Any], object]], None] = _at_once
    settled: Callable[[], None] = _always
    kept: Kept = field(default_factory=lambda: Kept(0))
