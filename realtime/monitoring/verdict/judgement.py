"""What the facts come to: the one place that decides whether imports go well."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from urllib.parse import quote

from openstates import metadata

from realtime.domain.config import Config
from realtime.domain.jurisdictions import abbreviation_of
from realtime.ledger.pauses import ALL, BREAKER
from realtime.models import ImportRun, Way
from realtime.monitoring.status.durations import short_duration
from realtime.monitoring.status.queue_depth import CLOUDWATCH, STORE
from realtime.monitoring.status.workers import Worker
from realtime.monitoring.verdict.facts import LATELY, Burst, Facts, Failures, NewFlags
from realtime.monitoring.verdict.finding import Finding, Kind, Level, Verdict

# As long as something came within this time, imports are said to go on.
_GOING_ON = timedelta(hours=1)
_CHECK = "python manage.py check --tag realtime"
_RUNS = "python manage.py status_realtime --runs"
_ORDER = list(Kind)


@dataclass(frozen=True)
class Limits:
    """From when on something is wrong (README, the settings of the same names)."""

    no_import: timedelta
    behind: timedelta
    silent: timedelta
    slow: timedelta
    lag: timedelta
    stalled: timedelta
    stuck: timedelta
    failing_files: int
    failing_share: float

    @classmethod
    def of(cls, config: Config, max_age: int | None = None) -> "Limits":
        """Those of the settings; what is behind may be said otherwise, in minutes."""
        return cls(
            timedelta(minutes=config.no_import_minutes),
            timedelta(minutes=max_age or config.behind_minutes),
            timedelta(minutes=config.silent_minutes),
            timedelta(minutes=config.slow_minutes),
            timedelta(minutes=config.lag_minutes),
            timedelta(minutes=config.stalled_minutes),
            timedelta(minutes=config.stuck_minutes),
            config.failing_files,
            config.failing_share,
        )


def judge(facts: Facts, limits: Limits) -> Verdict:
    """The verdict on these facts. Pure: it asks nobody, and the time is the facts'."""
    if facts.database_problem:
        sentence = f"The database cannot be used: {facts.database_problem}"
        away = Finding(Kind.DATABASE, Level.BAD, sentence, command=_CHECK, is_late=True)
        return Verdict(facts.at, [away], "", is_readable=False)
    if not facts.is_readable:
        return Verdict(facts.at, list(_migrations(facts)), "", is_readable=False)
    found = [
        *_migrations(facts),
        *_nobody(facts, limits),
        *_away(facts, limits),
        *_breaks(facts),
        *_stuck(facts, limits),
        *_behind(facts, limits),
        *_paused(facts),
        *_lags(facts, limits),
        *_stalled(facts, limits),
        *_failing(facts, limits),
        *_broken_runs(facts),
        *_not_final(facts, limits),
        *_killed(facts),
        *_receivers(facts, limits),
        *_flags(facts),
    ]
    found.sort(key=lambda one: (-one.level, _ORDER.index(one.kind)))
    return Verdict(facts.at, found, _fine(facts), _last_began(facts.import_runs))


def _migrations(facts: Facts) -> Iterator[Finding]:
    if facts.missing_migration:
        yield Finding(
            Kind.MIGRATIONS,
            Level.BAD,
            "The ledger's tables are older than this release:"
            f" {facts.missing_migration} is missing",
            command="python manage.py migrate realtime",
            is_late=True,
        )


def _fine(facts: Facts) -> str:
    newest = facts.received.newest
    if newest is None:
        return "Nothing has come yet"
    if facts.at - newest < _GOING_ON:
        return "Importing normally"
    return f"Nothing to import since {newest:%Y-%m-%d %H:%M} UTC"


def _nobody(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Files wait and no run begins that takes them, or there are no runs at all."""
    # Neither a sweep beside a queue nor an import from elsewhere receives a message.
    others = {Way.SOURCE, Way.SWEEP} if facts.has_queue else {Way.SOURCE}
    taking = [run for run in facts.import_runs if run.way not in others]
    if any(_works(run) for run in taking):
        return
    depth = facts.queue.depth
    waiting = depth.visible if depth else 0
    last = _last_began(taking)
    oldest = facts.queue.oldest_seconds
    just_came = oldest is not None and oldest < limits.no_import.total_seconds()
    if waiting and not just_came and (last is None or facts.at - last > limits.no_import):
        what = "file" if facts.queue.source == STORE else "message"
        no_run = _no_run(facts.at, last)
        if last is None and facts.import_runs:
            no_run = f"none of the last import runs takes {what}s"
        yield _idle(Level.BAD, f"Nobody imports: {_wait(waiting, what)}, and {no_run}", last)
    elif not facts.import_runs:
        yield _idle(Level.LOOK, "No import run has ever begun", None)
    else:
        last = _last_began(run for run in facts.import_runs if run.way != Way.SOURCE)
        if last is not None and facts.at - last > limits.silent:
            sentence = f"Nobody looks for files: {_no_run(facts.at, last)}"
            yield _idle(Level.LOOK, sentence, last)


def _idle(level: Level, sentence: str, since: datetime | None) -> Finding:
    command = "python manage.py import_realtime --until-empty"
    return Finding(Kind.NOBODY, level, sentence, since, command=command, page="imports/")


def _no_run(now: datetime, last: datetime | None) -> str:
    if last is None:
        return "no import run has ever begun"
    return f"no import run has begun for {_between(last, now)}"


def _away(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """The queue or the store does not answer us. It may answer the import runs."""
    last = max((r.ended_at for r in facts.import_runs if r.ended_at and not r.error), default=None)
    others_can = last is not None and facts.at - last < limits.no_import
    level = Level.LOOK if others_can else Level.BAD
    what = "the store's root" if facts.queue.source == STORE else "the queue"
    problems = []
    if facts.queue.depth is None and facts.is_expected:
        problems.append((f"The state of {what} is unknown: {facts.queue.problem}", True))
    if facts.has_queue and facts.root.problem:
        problems.append((f"The store cannot be listed: {facts.root.problem}", False))
    for sentence, is_late in problems:
        yield Finding(Kind.AWAY, level, sentence, last, command=_CHECK, is_late=is_late)


def _breaks(facts: Facts) -> Iterator[Finding]:
    """The last run of some host that is over has ended with an error."""
    newest: dict[tuple[str, str], ImportRun] = {}
    for run in facts.import_runs:
        if run.ended_at and facts.at - run.ended_at < LATELY:
            newest.setdefault((run.host, run.way), run)
    ended = list(newest.values())
    broken = [run for run in ended if run.error]
    if broken:
        one = broken[0]
        elsewhere = "" if len(broken) == len(ended) else f" on {one.host}"
        yield Finding(
            Kind.BREAKS,
            Level.LOOK if elsewhere else Level.BAD,
            f"Import runs end with an error{elsewhere}: {one.error}",
            one.started_at if one.is_idle else one.ended_at,
            command=_CHECK,
            page=f"import/{one.pk}/",
        )


def _stuck(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """A worker holds its slot and asks the database nothing."""
    runs = {run.backend_pid: run for run in facts.import_runs if _works(run)}
    for worker in facts.workers:
        run = runs.get(worker.backend_pid)
        since, does = _inactive(worker, run)
        if since is not None and facts.at - since > limits.stuck:
            where = f" (process {run.process_id} on {run.host})" if run else ""
            yield Finding(
                Kind.STUCK,
                Level.BAD if worker.active_at else Level.LOOK,
                f"A worker has {does} for {_between(since, facts.at)}{where}",
                since,
                command=_RUNS,
                page=f"import/{run.pk}/" if run else "imports/",
            )


def _inactive(worker: Worker, run: ImportRun | None) -> tuple[datetime | None, str]:
    if worker.active_at:
        return worker.active_at, "asked the database nothing"
    # PostgreSQL hides what it does.
    return worker.since or (run.began_at if run else None), "been busy"


def _behind(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """A message or file has waited for too long."""
    for sentence, since in (*_in_queue(facts, limits), *_in_root(facts, limits)):
        yield Finding(
            Kind.BEHIND, Level.BAD, sentence, since, command=_RUNS, page="imports/", is_late=True
        )


def _in_queue(facts: Facts, limits: Limits) -> Iterator[tuple[str, datetime | None]]:
    depth = facts.queue.depth
    if depth is None or facts.queue.source == STORE:
        return
    seconds, source = facts.oldest_message
    if seconds is not None and seconds > limits.behind.total_seconds():
        waits = "The oldest message has waited" if source == CLOUDWATCH else "Messages have waited"
        yield f"{waits} for {short_duration(seconds)}", _before(facts.at, seconds)
    elif source != CLOUDWATCH and depth.visible:
        newest = facts.received.newest
        if newest is None:
            yield f"{_wait(depth.visible, 'message')}, and no message was ever received", None
        elif facts.at - newest > limits.behind:
            silent = _between(newest, facts.at)
            yield (
                f"{_wait(depth.visible, 'message')}, and no message was received for {silent}",
                newest,
            )


def _in_root(facts: Facts, limits: Limits) -> Iterator[tuple[str, datetime | None]]:
    files, seconds = facts.root.files, facts.root.oldest_seconds
    if facts.queue.source == STORE and facts.queue.depth:
        files, seconds = facts.queue.depth.visible, facts.queue.oldest_seconds
    if files and seconds is not None and seconds > limits.behind.total_seconds():
        waits = f"{_wait(files, 'file')} in the store's root"
        yield f"{waits}, the oldest for {short_duration(seconds)}", _before(facts.at, seconds)


def _lags(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """What has come lately came late. It is there now, so nothing has to be done at once."""
    for one in facts.lags:
        p95 = one.total.p95
        if p95 is not None and p95 > limits.lag.total_seconds() and one.hour:
            why = f"p95 lag {short_duration(p95)}"
            yield Finding(
                Kind.LAG,
                Level.LOOK,
                f"{name_of(one.jurisdiction_id)}: {why} from scraped to visible, in the hour from"
                f" {one.hour:%H:%M} UTC",
                one.hour,
                one.jurisdiction_id,
                f"python manage.py status_realtime{_option(one.jurisdiction_id)}",
                _page(one.jurisdiction_id),
                why,
            )


def _stalled(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """A scraper has died or hangs."""
    # What is paused is not imported, whatever is scraped.
    paused = {pause.jurisdiction_id for pause in facts.pauses}
    for run in facts.open_runs:
        whose = run.jurisdiction_id
        if facts.at - run.newest > limits.stalled and paused.isdisjoint({ALL, whose}):
            why = f"its scrape is open, and nothing imported for {_between(run.newest, facts.at)}"
            yield Finding(
                Kind.STALLED,
                Level.LOOK,
                f"{name_of(whose)}: {why}",
                run.newest,
                whose,
                f"python manage.py status_realtime{_option(whose)}",
                f"run/{run.run_id}/",
                why,
            )


def _not_final(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """A scrape run has ended and is not finalized."""
    for run in facts.ended_runs:
        if facts.at - run.ended_at > limits.behind:
            ago, why = _between(run.ended_at, facts.at), f": {run.why}" if run.why else ""
            yield Finding(
                Kind.NOT_FINAL,
                Level.LOOK,
                f"Run {run.run_id} of {name_of(run.jurisdiction_id)} ended {ago} ago and is not"
                f" final{why}",
                run.ended_at,
                run.jurisdiction_id,
                f"python manage.py finalize_realtime --run {run.run_id}",
                f"run/{run.run_id}/",
                run.why or f"a scrape that ended {ago} ago is not final",
                is_late=True,
            )


def _broken_runs(facts: Facts) -> Iterator[Finding]:
    for run in facts.broken_runs:
        yield Finding(
            Kind.BROKEN_RUN,
            Level.BAD,
            f"Run {run.run_id} of {name_of(run.jurisdiction_id)} could not be finalized, and was"
            " closed",
            run.closed_at,
            run.jurisdiction_id,
            f"python manage.py finalize_realtime --run {run.run_id}",
            f"run/{run.run_id}/",
            "a scrape could not be finalized",
        )


def _paused(facts: Facts) -> Iterator[Finding]:
    for pause in facts.pauses:
        whose = name_of(pause.jurisdiction_id) if pause.jurisdiction_id else "Every jurisdiction"
        why = f": {pause.reason}" if pause.reason else ""
        by_breaker = pause.by == BREAKER
        by = "by the breaker" if by_breaker else f"by {pause.by}"
        which = _option(pause.jurisdiction_id) if pause.jurisdiction_id else " --all"
        yield Finding(
            Kind.BREAKER if by_breaker else Kind.PAUSED,
            Level.BAD if by_breaker else Level.LOOK,
            f"{whose} is paused {by}{why}",
            pause.since,
            pause.jurisdiction_id or None,
            f"python manage.py resume_realtime{which}",
            "#paused",
            by,
        )


def _failing(facts: Facts, limits: Limits) -> Iterator[Finding]:
    for one in facts.failures:
        about = (
            one.jurisdiction_id,
            # Without the option it would retry the files of all.
            f"python manage.py retry_realtime{_option(one.jurisdiction_id)}"
            if one.jurisdiction_id
            else "",
            f"{_page(one.jurisdiction_id) or 'jurisdiction/'}#failures",
        )
        kind, level, since, why = _worst_of(one, limits)
        yield Finding(kind, level, f"{name_of(one.jurisdiction_id)}: {why}", since, *about, why)


def _worst_of(one: Failures, limits: Limits) -> tuple[Kind, Level, datetime, str]:
    lately_bad = one.lately is not None and _is_bad(one.lately, limits)
    if one.worst and _is_bad(one.worst, limits) and not lately_bad:
        # They are no better for being an hour old.
        why = f"{_of_tried(one.worst)} failed within an hour, and wait for a retry"
        return Kind.FAILING, Level.BAD, one.worst.since, why
    if one.lately:
        why = f"{_of_tried(one.lately)} failed in the last hour"
        return Kind.FAILING, Level.BAD if lately_bad else Level.LOOK, one.lately.since, why
    need = "file needs" if one.files == 1 else "files need"
    return Kind.FAILED, Level.LOOK, one.since, f"{one.files:,} failed {need} attention"


def _is_bad(burst: Burst, limits: Limits) -> bool:
    # Of more than were counted: they are a smaller share, or nobody knows. Without a share any is.
    counted = not burst.has_more or not limits.failing_share
    return (
        burst.failed >= limits.failing_files
        and counted
        and burst.failed > limits.failing_share * burst.tried
    )


def _of_tried(burst: Burst) -> str:
    return f"{burst.failed:,} of {'more than ' if burst.has_more else ''}{burst.tried:,} files"


def _killed(facts: Facts) -> Iterator[Finding]:
    killed = [
        run
        for run in facts.import_runs
        if not run.ended_at and not _works(run) and facts.at - run.began_at < LATELY
    ]
    if killed:
        one = killed[-1]
        runs = "An import run has" if len(killed) == 1 else f"{len(killed)} import runs have"
        yield Finding(
            Kind.KILLED,
            Level.LOOK,
            f"{runs} not ended (process {one.process_id} on {one.host}): killed, or without its"
            " database",
            one.began_at,
            command=_RUNS,
            page=f"import/{one.pk}/",
        )


def _receivers(facts: Facts, limits: Limits) -> Iterator[Finding]:
    """Somebody who is to be told of changes is not told."""
    for one in facts.receivers:
        why = f": {one.pause_reason}" if one.pause_reason else ""
        since, said = one.paused_at, f"is paused by {one.paused_by}{why}"
        if since is None:
            since, said = one.failing_since, f"cannot be told of changes: {one.last_error}"
            if since is None or facts.at - since <= limits.behind:
                continue
        yield Finding(
            Kind.RECEIVER,
            Level.LOOK,
            f"Receiver {one.name} {said}",
            since,
            command="python manage.py receivers_realtime",
            page="receivers/",
        )


def _flags(facts: Facts) -> Iterator[Finding]:
    by_jurisdiction: dict[str, list[NewFlags]] = {}
    for one in facts.flags:
        by_jurisdiction.setdefault(one.jurisdiction_id, []).append(one)
    for jurisdiction_id, some in by_jurisdiction.items():
        kinds = Counter({one.kind: one.count for one in some})
        told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        yield Finding(
            Kind.FLAGS,
            Level.LOOK,
            f"{name_of(jurisdiction_id)}: flags were raised in the last 24 hours: {told}",
            min(one.since for one in some),
            jurisdiction_id,
            f"python manage.py flags_realtime{_option(jurisdiction_id)}",
            "flags/",
        )


def _wait(count: int, what: str) -> str:
    return f"1 {what} waits" if count == 1 else f"{count:,} {what}s wait"


def _works(run: ImportRun) -> bool:
    """Whether the run is under way: `import_runs.newest` says whether its connection is there."""
    return run.ended_at is None and bool(getattr(run, "is_connected", False))


def _last_began(runs: Iterable[ImportRun]) -> datetime | None:
    return max((run.began_at for run in runs), default=None)


def _between(since: datetime, until: datetime) -> str:
    return short_duration(max((until - since).total_seconds(), 0.0))


def _before(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds)


def _option(jurisdiction_id: str) -> str:
    return f" --jurisdiction {abbreviation_of(jurisdiction_id)}" if jurisdiction_id else ""


def _page(jurisdiction_id: str) -> str:
    return f"jurisdiction/{quote(jurisdiction_id, safe='/:')}/" if jurisdiction_id else ""


@cache
def name_of(jurisdiction_id: str) -> str:
    """The jurisdiction's name in core's metadata; its id when that has none."""
    if not jurisdiction_id:
        return "No jurisdiction"
    try:
        return str(metadata.lookup(jurisdiction_id=jurisdiction_id).name)
    except KeyError:
        return jurisdiction_id
