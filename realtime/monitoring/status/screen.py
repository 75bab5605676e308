"""Status as one screen on a terminal, as plain text elsewhere."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Self, TextIO

import rich.live
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from realtime.domain.jurisdictions import abbreviation_of
from realtime.monitoring.status import told
from realtime.monitoring.status.durations import short_duration
from realtime.monitoring.status.file_lists import AT_MOST, Failures, Parked
from realtime.monitoring.status.imports import KeptRun, RunResult
from realtime.monitoring.status.lag import Lag
from realtime.monitoring.status.queue_depth import CLOUDWATCH, STORE
from realtime.monitoring.status.run_states import RunState, State
from realtime.monitoring.status.snapshot import Status
from realtime.monitoring.verdict.finding import Level, Verdict

_PLAIN_WIDTH = 120
# Rows of each list in plain text.
_PLAIN_ROWS = 20
# Lines that are always shown: the heading, the figures and three table headings.
_FIXED_LINES = 20
# Findings of the verdict that are shown, two lines each.
_FINDINGS = 5
_LEVELS = {Level.OK: "bold green", Level.LOOK: "bold yellow", Level.BAD: "bold red"}
_RESULTS = {
    RunResult.WORKING: "cyan",
    RunResult.DONE: "green",
    RunResult.IDLE: "dim",
    RunResult.ERROR: "red",
    RunResult.KILLED: "red",
}
_COLOURS = {
    State.OPEN: "cyan",
    State.BLOCKED: "yellow",
    State.COMPLETE: "cyan",
    State.FINAL: "green",
    State.CLOSED: "red",
}


class Live:
    """Shows status on `stream`.

    A terminal gets a full screen that each status replaces, and is restored after the `with` block.
    Anything else gets plain text, one status after the other.
    """

    def __init__(self, stream: TextIO) -> None:
        width = None if stream.isatty() else _PLAIN_WIDTH
        self._console = Console(file=stream, highlight=False, width=width)
        self._live: rich.live.Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = rich.live.Live(console=self._console, screen=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, status: Status | None, verdict: Verdict | None, problem: str = "") -> None:
        """Show `status` and `verdict`. `problem` says why they are out of date, or None."""
        if self._live is None:
            self._console.print(_screen(status, verdict, _PLAIN_ROWS, problem))
        else:
            findings = min(len(verdict.findings), _FINDINGS) if verdict else 0
            rows = max((self._console.height - _FIXED_LINES - 2 * findings) // 3, 1)
            self._live.update(_screen(status, verdict, rows, problem), refresh=True)

    def show_runs(self, now: datetime, runs: Sequence[KeptRun]) -> None:
        """Show import runs."""
        self._console.print(_import_runs(now, runs))


def _import_runs(now: datetime, runs: Sequence[KeptRun]) -> RenderableType:
    if not runs:
        return Text("No import run has begun yet.")
    table = _table("began", "way", "where", "took", "result", "what")
    for one in runs:
        run = one.run
        idle = one.result == RunResult.IDLE
        _add(
            table,
            _ago(now, run.began_at) + (f" ({run.runs} runs)" if run.runs > 1 else ""),
            run.way,
            _clean(f"{run.host} {run.process_id}"),
            _time(one.total_seconds),
            Text(one.result.value, style=_RESULTS[one.result]),
            _clean(run.error or (f"since {_ago(now, run.started_at)}" if idle else one.told)),
        )
    return table


def _verdict(verdict: Verdict) -> RenderableType:
    """The findings, the worst first: what is wrong, since when, and what mends it."""
    if not verdict.findings:
        return Text(f"{_clean(verdict.fine)}{_last_run(verdict)}", style="bold green")
    lines = []
    for one in verdict.findings[:_FINDINGS]:
        since = f" (since {_ago(verdict.at, one.since)})" if one.since else ""
        lines.append(Text(f"{_clean(one.sentence)}{since}", style=_LEVELS[one.level]))
        if one.command:
            lines.append(Text(f"  {one.command}", style="dim"))
    if len(verdict.findings) > _FINDINGS:
        lines.append(Text(f"and {len(verdict.findings) - _FINDINGS} more", style="dim"))
    return Group(*lines)


def _last_run(verdict: Verdict) -> str:
    if verdict.last_run is None:
        return ""
    return f". The last import run began {_ago(verdict.at, verdict.last_run)}"


def _screen(
    status: Status | None, verdict: Verdict | None, rows: int, problem: str
) -> RenderableType:
    notice = [Text(_clean(problem), style="bold red")] if problem else []
    judged = [_verdict(verdict)] if verdict else []
    if status is None:
        return Group(*notice, *judged)
    return Group(
        _heading(status),
        *notice,
        *judged,
        _figures(status),
        _runs(status, rows),
        _waiting(status, rows),
        _lags(status, rows),
    )


def _heading(status: Status) -> RenderableType:
    jurisdiction = abbreviation_of(status.jurisdiction_id) if status.jurisdiction_id else "all"
    hours = status.window.total_seconds() / 3600
    return Text.assemble(
        ("Open States realtime imports", "bold"),
        f"  {_clean(jurisdiction)}  {status.at:%Y-%m-%d %H:%M:%S} UTC  (lag: last {hours:g} h)",
    )


def _figures(status: Status) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    grid.add_row("queue", _queue(status))
    if status.queue.source != STORE and (status.unannounced.files or status.unannounced.problem):
        grid.add_row("root", _root(status))
    grid.add_row("workers", _workers(status))
    grid.add_row("lag", _lag_text(status.lag))
    grid.add_row("lead time", _lead_time(status))
    grid.add_row("runs", _run_counts(status))
    grid.add_row("files", _file_counts(status))
    if status.flags:
        grid.add_row("flags", _flags(status))
    if status.pauses:
        grid.add_row("paused", _pauses(status))
    if status.receivers:
        grid.add_row("receivers", _receivers(status))
    return grid


def _flags(status: Status) -> Text:
    kinds: Counter[str] = Counter()
    for one in status.flags:
        kinds[one.kind] += one.count
    return Text(", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common()), "yellow")


def _pauses(status: Status) -> Text:
    told = [
        f"{abbreviation_of(one.jurisdiction_id) if one.jurisdiction_id else 'all'} by {one.by}"
        f" {_ago(status.at, one.since)}" + (f" ({one.reason})" if one.reason else "")
        for one in status.pauses
    ]
    return Text(_clean("; ".join(told)), "red")


def _receivers(status: Status) -> Text:
    text = Text()
    for one in status.receivers:
        well = not (one.row.paused_at or one.row.failing_since)
        line = f"{chr(10) if text else ''}{_clean(one.row.name)} {_clean(told.state(one))}"
        text.append(line, "" if well else "red")
    return text


def _queue(status: Status) -> Text:
    depth = status.queue.depth
    if depth is None:
        return Text(f"unknown: {_clean(status.queue.problem)}", style="red")
    seconds, source = status.oldest_message
    if status.queue.source == STORE:
        oldest = f", the oldest for {short_duration(seconds)}" if seconds is not None else ""
        verb = "file waits" if status.unannounced.files == 1 else "files wait"
        return Text(f"none: {_at_least(status)} {verb} in the store's root{oldest}")
    text = f"{depth.visible} visible, {depth.in_flight} in flight, {depth.delayed} delayed"
    if source == CLOUDWATCH:
        text += f"; the oldest has waited for {short_duration(seconds or 0)}"
    elif source == "ledger":
        text += f"; longest wait in the last 10 min: {short_duration(seconds or 0)}"
    elif depth.visible or depth.in_flight:
        text += "; age unknown"
    return Text(text)


def _root(status: Status) -> Text:
    found = status.unannounced
    if found.problem:
        return Text(f"unknown: {_clean(found.problem)}", style="red")
    oldest = short_duration(found.oldest_seconds or 0)
    text = f"{_at_least(status)} files without an outcome, whose message may be lost; the oldest"
    return Text(f"{text} is there for {oldest}", style="yellow")


def _at_least(status: Status) -> str:
    more = "" if status.unannounced.is_complete else "at least "
    return f"{more}{status.unannounced.files or 0:,}"


def _workers(status: Status) -> Text:
    text = f"{len(status.workers)} of {status.slots} busy"
    busy = sorted(
        {abbreviation_of(one) for each in status.workers for one in each.jurisdiction_ids}
    )
    return Text(f"{text}: {', '.join(map(_clean, busy))}" if busy else text)


def _lag_text(lag: Lag | None) -> Text:
    if lag is None or not lag.measured:
        return Text("nothing became visible")
    text = (
        f"p50 {_time(lag.total.p50)}, p95 {_time(lag.total.p95)}, max {_time(lag.total.max)}"
        f" over {lag.measured:,} files (p50 by stage: publishing {_time(lag.to_queue.p50)},"
        f" waiting in the queue {_time(lag.to_receive.p50)},"
        f" importing {_time(lag.to_commit.p50)})"
    )
    special = [
        f"{n:,} {name}" for name in ("late", "retried", "skewed") if (n := getattr(lag, name))
    ]
    return Text(f"{text}; {', '.join(special)}" if special else text)


def _lead_time(status: Status) -> Text:
    found = [
        f"{one.object_type} files {short_duration(abs(one.lead))}"
        f" {'sooner' if one.lead >= 0 else 'later'}"
        for one in status.lead_times
    ]
    if not found:
        return Text("no run has ended")
    return Text(f"median, against batch import: {', '.join(found)}", style="green")


def _run_counts(status: Status) -> Text:
    counts = status.run_counts
    text = Text()
    for state in State:
        text.append(f"{counts[state]} {state}", _COLOURS[state] if counts[state] else "")
        text.append("  ")
    return text


def _file_counts(status: Status) -> Text:
    parked = sum(one.files for one in status.parked)
    failed = sum(one.files for one in status.failures)
    unarchived = sum(one.files for one in status.unarchived)
    more = "at least " if unarchived >= AT_MOST else ""
    text = Text.assemble(
        f"{parked:,} parked, ",
        (f"{failed:,} failed", "red" if failed else ""),
        f", {more}{unarchived:,} not yet archived",
    )
    if status.unarchived:
        text.append(f" (oldest {_ago(status.at, min(one.since for one in status.unarchived))})")
    return text


def _runs(status: Status, rows: int) -> RenderableType:
    table = _table("run", "jurisdiction", "state", "began", "files", "why")
    shown = status.runs[:rows]
    for one in shown:
        _add(
            table,
            str(one.run.run_id)[:8],
            _clean(abbreviation_of(one.run.jurisdiction_id)),
            Text(one.state.value, style=_COLOURS[one.state]),
            _ago(status.at, one.run.started_at),
            _progress(one),
            _clean(one.why),
        )
    return _with_rest(table, len(status.runs) - len(shown))


def _progress(one: RunState) -> str:
    sent, came = sum(one.sent.values()), sum(one.came.values())
    if one.state in (State.FINAL, State.CLOSED):
        return f"{sent:,}" if sent else ""
    return f"{came:,} of {sent:,}" if sent else f"{came:,} so far"


def _waiting(status: Status, rows: int) -> RenderableType:
    table = _table("parked or failed", "jurisdiction", "files", "since, newest")
    failed = _failed(status)
    parked = [_parked(status, one) for one in status.parked]
    # Half of the rows each; either list may use rows that the other leaves free.
    first = parked[: max(rows // 2, rows - len(failed))]
    shown = [*first, *failed[: rows - len(first)]]
    for row in shown:
        _add(table, *row)
    return _with_rest(table, len(parked) + len(failed) - len(shown))


def _parked(status: Status, one: Parked) -> tuple[str, str, str, str]:
    what = f"waiting for {one.waiting_for}" if one.waiting_for else "sent again"
    if one.paused:
        what = one.waiting_for
    jurisdiction = _clean(abbreviation_of(one.jurisdiction_id))
    since = f"since {_ago(status.at, one.since)}"
    return _clean(f"{one.object_type} {what}"), jurisdiction, f"{one.files:,}", since


def _failed(status: Status) -> list[tuple[str, str, str, str]]:
    by_reason: dict[str, list[Failures]] = {}
    for one in status.failures:
        by_reason.setdefault(one.reason, []).append(one)
    rows = []
    for reason, some in sorted(by_reason.items(), key=lambda item: -sum(f.files for f in item[1])):
        jurisdiction = f"{len(some)} jurisdictions"
        if len(some) == 1:
            jurisdiction = _clean(abbreviation_of(some[0].jurisdiction_id))
        count = f"{sum(one.files for one in some):,}"
        newest = _ago(status.at, max(one.newest for one in some))
        rows.append((_clean(f"failed: {reason}"), jurisdiction, count, newest))
    return rows


def _lags(status: Status, rows: int) -> RenderableType:
    table = _table("lag", "files", "p50", "p95", "max", "publishing", "in the queue", "importing")
    by_jurisdiction = sorted(
        status.lag_by_jurisdiction, key=lambda one: one.total.p95 or 0, reverse=True
    )
    shown = by_jurisdiction[:rows]
    named = [(one.object_type, one) for one in status.lag_by_type]
    for name, one in [*named, *((abbreviation_of(one.jurisdiction_id), one) for one in shown)]:
        _add(
            table,
            _clean(name),
            f"{one.measured:,}",
            *map(_time, (one.total.p50, one.total.p95, one.total.max)),
            *(_time(part.p50) for part in (one.to_queue, one.to_receive, one.to_commit)),
        )
    return _with_rest(table, len(by_jurisdiction) - len(shown))


def _table(*titles: str) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for number, title in enumerate(titles):
        table.add_column(title, no_wrap=number < len(titles) - 1, overflow="ellipsis")
    return table


def _add(table: Table, *cells: str | Text) -> None:
    # As Text, so that Rich does not read brackets in scraped text as markup.
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def _with_rest(table: Table, rest: int) -> RenderableType:
    if not table.row_count:
        return Text()
    return Group(Text(), table, *([Text(f"and {rest} more", style="dim")] if rest > 0 else []))


def _time(seconds: float | None) -> str:
    return "" if seconds is None else short_duration(seconds)


def _ago(now: datetime, then: datetime) -> str:
    return f"{short_duration(max((now - then).total_seconds(), 0))} ago"


def _clean(text: str) -> str:
    # Scraped text may contain terminal control sequences.
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
