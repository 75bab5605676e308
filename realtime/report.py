"""What one import run did, as numbers that add up."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import Any

from realtime.models import Outcome

# What a message is that speaks of no file.
CONTROL = "control"
UNKNOWN = "unknown"


@dataclass
class Report:
    """The figures of a run, filled in while it works.

    `received` counts files and equals the sum of all outcomes. `lags` are seconds from scraped to
    visible; `seconds` are those of each stage; `finalized` are the ids of the scrape runs that
    were finalized or closed.
    """

    received: int = 0
    resumed: int = 0
    statements: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    types: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    lags: list[float] = field(default_factory=list)
    released_messages: list[str] = field(default_factory=list)
    finalized: list[str] = field(default_factory=list)
    note: str = ""

    def count(self, object_type: str, outcome: str, files: int = 1) -> None:
        """`files` received files ended as `outcome`."""
        self.received += files
        self.outcomes[outcome] += files
        self.types[object_type]["received"] += files
        self.types[object_type][outcome] += files

    def count_resumed(self, object_type: str) -> None:
        """A file that was parked has been imported now."""
        self.resumed += 1
        self.types[object_type]["resumed"] += 1

    def count_statement(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        """For `connection.execute_wrapper`: counts each statement and executes it."""
        self.statements += 1
        return execute(*arguments)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the seconds of the block towards the stage."""
        start = perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += perf_counter() - start

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        names = [outcome.value for outcome in Outcome]
        report: dict[str, Any] = {
            "received": self.received,
            **{name: self.outcomes[name] for name in names},
            "resumed": self.resumed,
            "types": {
                object_type: {n: counts[n] for n in ["received", *names, "resumed"] if counts[n]}
                for object_type, counts in sorted(self.types.items())
            },
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "lag_seconds": {"p50": percentile(self.lags, 50), "p95": percentile(self.lags, 95)},
            "statements": self.statements,
            "finalized": self.finalized,
        }
        if self.released_messages:
            report["released_messages"] = self.released_messages
        return report

    def summary(self) -> str:
        """The report as one line for people."""
        if self.note:
            return self.note
        parts = [f"{self.outcomes[o]} {o.value}" for o in Outcome if self.outcomes[o]]
        if self.resumed:
            parts.append(f"{self.resumed} resumed")
        if self.finalized:
            parts.append(f"{len(self.finalized)} scrape runs finalized")
        told = ", ".join(parts) if parts else "nothing to do"
        return f"{self.received} received: {told} ({self.seconds['total']:.1f} s)"


def percentile(values: Sequence[float] | Iterable[float], percent: int) -> float | None:
    """The nearest-rank percentile, to the millisecond; None when there are no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(ceil(len(ordered) * percent / 100) - 1, 0)], 3)
