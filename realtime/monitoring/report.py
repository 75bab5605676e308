"""What one import run did, as numbers that add up."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from time import perf_counter
from typing import Any

from realtime.domain.in_flight import LATE, RETRIED, InFlightFile
from realtime.domain.messages import ReceivedMessage
from realtime.domain.results import Failed, Ignored, Imported, Paused, Superseded
from realtime.models import Outcome

# The lags of a sum of runs that are kept, the last ones: it may go on for weeks.
KEPT_LAGS = 10_000


@dataclass
class Share:
    """What of a run concerns one jurisdiction: files by type and outcome (`resumed` is one of
    these), the lag of each, in seconds, and those that failed, by reason."""

    types: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    lags: list[float] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass
class Report:
    """The figures of a run, filled in while it works.

    `received` counts files and equals the sum of all outcomes. `lags` are seconds from scraped to
    visible; `unmeasured` counts the files that became visible and have none: LATE and RETRIED.
    `reasons` counts the files that failed, by reason; `expired` counts files of earlier runs,
    parked or replayed, that failed in this one; `seconds` are those of each stage; `finalized` are
    the ids of the scrape runs that were finalized or closed. `shares` are those of each
    jurisdiction, by its id, empty for what names none. `oldest_received` is how long ago, in
    seconds when it was received, the oldest message was first sent. `flags` counts those raised, by
    kind, and `paused` the files that were parked because their jurisdiction is paused, by
    jurisdiction; `pauses` is how many pauses are open at the end. `requests` counts those to S3 and
    SQS, by operation.
    """

    received: int = 0
    resumed: int = 0
    expired: int = 0
    statements: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    types: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    lags: list[float] = field(default_factory=list)
    unmeasured: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    shares: dict[str, Share] = field(default_factory=lambda: defaultdict(Share))
    oldest_received: float | None = None
    released_messages: list[str] = field(default_factory=list)
    finalized: list[str] = field(default_factory=list)
    flags: Counter[str] = field(default_factory=Counter)
    paused: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    pauses: int = 0
    note: str = ""

    def count(self, object_type: str, outcome: str, *, jurisdiction_id: str = "") -> None:
        """A received file ended as `outcome`."""
        self.received += 1
        self.outcomes[outcome] += 1
        self.types[object_type]["received"] += 1
        self.types[object_type][outcome] += 1
        self.shares[jurisdiction_id].types[object_type][outcome] += 1

    def count_resumed(self, object_type: str, jurisdiction_id: str) -> None:
        """A file that was parked has been imported now."""
        self.resumed += 1
        self.types[object_type]["resumed"] += 1
        self.shares[jurisdiction_id].types[object_type]["resumed"] += 1

    def add(self, other: "Report") -> None:
        """Add what another run did. Of the lags the last KEPT_LAGS are kept, of the shares the
        reasons."""
        for name in ("received", "resumed", "expired", "statements"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("outcomes", "unmeasured", "reasons", "flags", "paused", "requests"):
            getattr(self, name).update(getattr(other, name))
        for object_type, counts in other.types.items():
            self.types[object_type].update(counts)
        for jurisdiction_id, share in other.shares.items():
            self.shares[jurisdiction_id].reasons.update(share.reasons)
        for stage, seconds in other.seconds.items():
            self.seconds[stage] += seconds
        self.lags = (self.lags + other.lags)[-KEPT_LAGS:]
        self.finalized += other.finalized

    def add_received(self, files: Iterable[InFlightFile]) -> None:
        """These files were received, and are finished."""
        for file in files:
            if file.outcome is not None:
                word, whose = file.outcome.word, file.jurisdiction_id
                self.count(file.object_type, word, jurisdiction_id=whose)
                self._add(file)

    def add_resumed(self, files: Iterable[InFlightFile]) -> None:
        """Of these files, which were parked, some may have been imported now, or have failed."""
        for file in files:
            self._add(file)
            match file.outcome:
                case Imported() | Superseded() | Ignored(repeated=False):
                    self.count_resumed(file.object_type, file.jurisdiction_id)
                case Failed():
                    self.expire(1)

    def expire(self, files: int) -> None:
        """So many files of earlier runs have failed in this one."""
        self.expired += files

    def add_lag(self, seconds: float, jurisdiction_id: str) -> None:
        """An object became visible so long after it was scraped."""
        self.lags.append(seconds)
        self.shares[jurisdiction_id].lags.append(seconds)

    def _add(self, file: InFlightFile) -> None:
        if file.lag_seconds is not None:
            self.add_lag(file.lag_seconds, file.jurisdiction_id)
        if file.unmeasured:
            self.unmeasured[file.unmeasured] += 1
        match file.outcome:
            case Paused():
                self.paused[file.jurisdiction_id] += 1
            case Failed(problem):
                self.reasons[problem.reason] += 1
                self.shares[file.jurisdiction_id].reasons[problem.reason] += 1

    def count_flags(self, flags: Counter[str]) -> None:
        """A batch has raised so many flags of each kind."""
        self.flags += flags

    def took(self, messages: Sequence[ReceivedMessage], now: datetime) -> None:
        """The run has received `messages` at `now` (aware)."""
        ages = [(now - message.sent_at).total_seconds() for message in messages]
        known = [] if self.oldest_received is None else [self.oldest_received]
        # The queue's clock may be ahead of ours.
        self.oldest_received = max([*known, *(max(age, 0.0) for age in ages)], default=None)

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

    def counts(self) -> Counter[str]:
        """How many files were received, and what came of them; what else was done, by name."""
        return Counter(
            {
                "received": self.received,
                **{outcome.value: self.outcomes[outcome] for outcome in Outcome},
                "resumed": self.resumed,
                "expired": self.expired,
                "finalized": len(self.finalized),
                "flags": sum(self.flags.values()),
                "paused": sum(self.paused.values()),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        names = [outcome.value for outcome in Outcome]
        report: dict[str, Any] = {
            "received": self.received,
            **{name: self.outcomes[name] for name in names},
            "resumed": self.resumed,
            "expired": self.expired,
            "types": {
                object_type: {n: counts[n] for n in ["received", *names, "resumed"] if counts[n]}
                for object_type, counts in sorted(self.types.items())
            },
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "lag_seconds": {"p50": percentile(self.lags, 50), "p95": percentile(self.lags, 95)},
            **{name: self.unmeasured[name] for name in (LATE, RETRIED)},
            "reasons": dict(self.reasons.most_common()),
            "statements": self.statements,
            "requests": dict(self.requests),
            "finalized": self.finalized,
            "flags": dict(sorted(self.flags.items())),
            "paused": sorted(self.paused),
        }
        if self.released_messages:
            report["released_messages"] = self.released_messages
        return report

    def as_fields(self) -> dict[str, Any]:
        """The report as the fields of a log line; what is zero is left out."""
        outcomes = {outcome.value: self.outcomes[outcome] or None for outcome in Outcome}
        oldest = self.oldest_received
        return {
            "received": self.received,
            **outcomes,
            "resumed": self.resumed or None,
            "expired": self.expired or None,
            "finalized": len(self.finalized) or None,
            "flags": dict(sorted(self.flags.items())) or None,
            "paused": sorted(self.paused) or None,
            "seconds": round(self.seconds["total"], 3),
            "lag_p50_seconds": percentile(self.lags, 50),
            "lag_p95_seconds": percentile(self.lags, 95),
            **{name: self.unmeasured[name] or None for name in (LATE, RETRIED)},
            "reasons": dict(self.reasons.most_common()) or None,
            "oldest_received_seconds": None if oldest is None else round(oldest, 3),
            "statements": self.statements,
            "requests": dict(self.requests) or None,
            "note": self.note,
        }

    def summary(self) -> str:
        """The report as one line for people."""
        if self.note:
            return self.note
        parts = [f"{self.outcomes[o]} {o.value}" for o in Outcome if self.outcomes[o]]
        if self.resumed:
            parts.append(f"{self.resumed} resumed")
        if self.expired:
            parts.append(f"{self.expired} parked files failed")
        if self.reasons:
            why = ", ".join(f"{reason} {files}" for reason, files in self.reasons.most_common())
            parts.append(f"reasons: {why}")
        if self.finalized:
            parts.append(f"{len(self.finalized)} scrape runs finalized")
        if self.flags:
            parts.append(f"{sum(self.flags.values())} flagged")
        if self.paused:
            parts.append(f"paused: {', '.join(sorted(self.paused))}")
        told = ", ".join(parts) if parts else "nothing to do"
        return f"{self.received} received: {told} ({self.seconds['total']:.1f} s)"


def percentile(values: Sequence[float] | Iterable[float], percent: int) -> float | None:
    """The nearest-rank percentile, to the millisecond; None when there are no values."""
    ordered = sorted(values)
    if not ordered:
        return None
    return round(ordered[max(ceil(len(ordered) * percent / 100) - 1, 0)], 3)
