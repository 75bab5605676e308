"""A random search, limited in time, for a schedule that ends unlike the oracle."""

import random
import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.schedules.plan import Schedule
from tests.schedules.strategies import schedules

# Schedules tried with one seed, before the next seed.
EXAMPLES = 50
# Time for shrinking a failing schedule: a share of the search time, and a limit in seconds.
SHRINKING_SHARE, SHRINKING_SECONDS = 0.5, 300.0

# Raises AssertionError with the differences.
Check = Callable[[Schedule], None]


class Found(Exception):
    """The smallest failing schedule; the message is its failure."""

    def __init__(self, schedule: Schedule, why: str, from_seed: int) -> None:
        super().__init__(why)
        self.schedule = schedule
        self.from_seed = from_seed


class Search:
    """Tries schedules until `seconds` are over. `tried` counts them, without those tried while
    shrinking."""

    def __init__(
        self, check: Check, seconds: float, progress: Callable[[int], None] = lambda tried: None
    ) -> None:
        self._check = check
        self._deadline = time.monotonic() + seconds
        self._shrinking = min(seconds * SHRINKING_SHARE, SHRINKING_SECONDS)
        self._progress = progress
        # The failure of each schedule; hypothesis runs the smallest again.
        self._failures: dict[str, str] = {}
        self._smallest: Schedule | None = None
        self.tried = 0

    def run(self, first_seed: int | None = None) -> None:
        """Search, beginning with `first_seed`. Raises Found when a schedule fails."""
        next_seed = first_seed
        while time.monotonic() < self._deadline:
            chosen = random.SystemRandom().randrange(2**32) if next_seed is None else next_seed
            next_seed = None
            self._explore(chosen)

    def _explore(self, chosen: int) -> None:
        @seed(chosen)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            derandomize=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @given(schedules())
        def explore(schedule: Schedule) -> None:
            self._try(schedule)

        try:
            explore()
        except AssertionError as exc:
            if self._smallest is None:
                raise
            why = self._failures[self._smallest.as_json()]
            raise Found(self._smallest, why, chosen) from exc

    def _try(self, schedule: Schedule) -> None:
        name = schedule.as_json()
        # After the deadline no new schedule is checked, so that shrinking ends.
        if name not in self._failures and time.monotonic() < self._deadline:
            self._check_new(schedule, name)
        if name in self._failures:
            # The only raise: hypothesis recognizes a failure by its line.
            raise AssertionError(self._failures[name])

    def _check_new(self, schedule: Schedule, name: str) -> None:
        if self._smallest is None:
            self.tried += 1
            self._progress(self.tried)
        try:
            self._check(schedule)
        except AssertionError as exc:
            if self._smallest is None:
                self._deadline = time.monotonic() + self._shrinking
            self._failures[name] = str(exc)
            self._smallest = schedule
