"""The state of imports in Prometheus' text format, which node exporters and scrapers read.

The format is specified at prometheus.io/docs/instrumenting/exposition_formats. It is so small that
a library for it would be more to keep than this module.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from realtime.domain.jurisdictions import abbreviation_of, jurisdiction_of
from realtime.monitoring.status.lag import Lag
from realtime.monitoring.status.run_states import State
from realtime.monitoring.status.snapshot import Status
from realtime.monitoring.verdict.finding import Kind, Verdict

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "openstates_realtime_"
# A label for ids that core does not know, so that messages cannot create arbitrary series.
_UNKNOWN = "unknown"
ALL = "all"


@dataclass(frozen=True)
class Series:
    """A declared gauge: its name without the prefix, its labels, and what it means."""

    name: str
    labels: tuple[str, ...]
    help: str

    @property
    def full_name(self) -> str:
        return f"{_PREFIX}{self.name}"


VERDICT = Series("verdict", ("kind",), "0: all is well, 1: a person should look, 2: bad")
TOLD = Series("status_timestamp_seconds", (), "when these figures were taken")
LAST_RUN = Series("last_import_run_timestamp_seconds", (), "when an import run last began")
LAST_RECEIVED = Series("last_received_timestamp_seconds", (), "when a file was last received")
QUEUE = Series("queue_messages", ("state",), "messages in the queue, or files without one")
OLDEST = Series("oldest_message_seconds", (), "age of the oldest message or file that waits")
ROOT = Series("unannounced_files", (), "files in the store's root without an outcome")
WORKERS = Series("workers_busy", (), "import runs that work now")
SLOTS = Series("workers_slots", (), "import runs that may work at once")
LAG = Series("lag_seconds", ("jurisdiction", "quantile"), "from scraped to visible, last hour")
VISIBLE = Series("visible_files", ("jurisdiction",), "files that became visible, last hour")
FAILED = Series("failed_files", ("jurisdiction", "reason"), "failed files, not discarded")
PARKED = Series("parked_files", ("jurisdiction",), "files that wait for a bill or session")
FLAGS = Series("open_flags", ("jurisdiction", "kind"), "flags that are open")
PAUSED = Series("paused", ("jurisdiction",), "1: this jurisdiction is paused; all: every one")
RUNS = Series("scrape_runs", ("state",), "scrape runs by state, final and closed ones: last hour")
UNARCHIVED = Series("unarchived_files", (), "imported files that are not yet archived")

SERIES = (
    VERDICT, TOLD, LAST_RUN, LAST_RECEIVED, QUEUE, OLDEST, ROOT, WORKERS, SLOTS, LAG, VISIBLE,
    FAILED, PARKED, FLAGS, PAUSED, RUNS, UNARCHIVED,
)  # fmt: skip

_Sample = tuple[Series, Mapping[str, str], float]


def text(verdict: Verdict, status: Status | None) -> str:
    """The series, with their help; without a `status` (the ledger cannot be read) only the verdict.

    Unknown figures are left out. Raises ValueError for labels that are not declared.
    """
    found: dict[str, list[str]] = {}
    for series, labels, value in (*_of_verdict(verdict), *(_of_status(status) if status else ())):
        if set(labels) != set(series.labels):
            raise ValueError(f"{series.name} is not declared so: {sorted(labels)}")
        pairs = ",".join(f'{name}="{_escaped(labels[name])}"' for name in series.labels)
        line = f"{series.full_name}{f'{{{pairs}}}' if pairs else ''} {value:.10g}"
        found.setdefault(series.name, []).append(line)
    return "".join(
        f"# HELP {one.full_name} {one.help}\n# TYPE {one.full_name} gauge\n"
        + "".join(f"{line}\n" for line in found[one.name])
        for one in SERIES
        if one.name in found
    )


def write(path: Path, content: str) -> None:
    """Replace a file by this content, in one step: a reader sees the old one or the new one.

    It can be read by everybody, as a node exporter's user. Raises OSError.
    """
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise


def _of_verdict(verdict: Verdict) -> Iterator[_Sample]:
    levels: dict[Kind, int] = dict.fromkeys(Kind, 0)
    for one in verdict.findings:
        levels[one.kind] = max(levels[one.kind], one.level)
    for kind, level in levels.items():
        yield VERDICT, {"kind": kind.value}, level
    yield TOLD, {}, _seconds(verdict.at)
    if verdict.last_run:
        yield LAST_RUN, {}, _seconds(verdict.last_run)


def _of_status(status: Status) -> Iterator[_Sample]:
    depth, (oldest, _) = status.queue.depth, status.oldest_message
    if depth is not None:
        for state in ("visible", "in_flight", "delayed"):
            yield QUEUE, {"state": state}, getattr(depth, state)
        if oldest is None and not (depth.visible or depth.in_flight or depth.delayed):
            oldest = 0
        if oldest is not None:
            yield OLDEST, {}, oldest
    if status.unannounced.files is not None:
        yield ROOT, {}, status.unannounced.files
    if status.received.newest:
        yield LAST_RECEIVED, {}, _seconds(status.received.newest)
    yield WORKERS, {}, len(status.workers)
    yield SLOTS, {}, status.slots
    yield UNARCHIVED, {}, sum(one.files for one in status.unarchived)
    for state in State:
        yield RUNS, {"state": state.value}, status.run_counts[state]
    yield from _by_jurisdiction(status)


def _by_jurisdiction(status: Status) -> Iterator[_Sample]:
    if status.lag:
        yield from _lag(status.lag, ALL)
    visible: Counter[str] = Counter()
    for one in status.lag_by_jurisdiction:
        visible[_name(one.jurisdiction_id)] += one.files
        if _name(one.jurisdiction_id) != _UNKNOWN:
            yield from _lag(one, _name(one.jurisdiction_id))
    for name, files in visible.items():
        yield VISIBLE, {"jurisdiction": name}, files
    failed: Counter[tuple[str, str]] = Counter()
    for failure in status.failures:
        failed[_name(failure.jurisdiction_id), failure.reason or _UNKNOWN] += failure.files
    for (name, reason), files in failed.items():
        yield FAILED, {"jurisdiction": name, "reason": reason}, files
    parked: Counter[str] = Counter()
    for waiting in status.parked:
        parked[_name(waiting.jurisdiction_id)] += waiting.files
    for name, files in parked.items():
        yield PARKED, {"jurisdiction": name}, files
    flags: Counter[tuple[str, str]] = Counter()
    for raised in status.flags:
        flags[_name(raised.jurisdiction_id), raised.kind] += raised.count
    for (name, kind), count in flags.items():
        yield FLAGS, {"jurisdiction": name, "kind": kind}, count
    for name in {
        _name(one.jurisdiction_id) if one.jurisdiction_id else ALL for one in status.pauses
    }:
        yield PAUSED, {"jurisdiction": name}, 1


def _lag(lag: Lag, name: str) -> Iterator[_Sample]:
    for quantile, seconds in (("0.5", lag.total.p50), ("0.95", lag.total.p95)):
        if seconds is not None:
            yield LAG, {"jurisdiction": name, "quantile": quantile}, seconds


def _name(jurisdiction_id: str) -> str:
    abbr = abbreviation_of(jurisdiction_id)
    return abbr if abbr and jurisdiction_of(abbr) == jurisdiction_id else _UNKNOWN


def _seconds(time: datetime) -> float:
    return time.timestamp()


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
