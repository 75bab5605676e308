"""The facts that a verdict is made of, gathered once, by a bounded number of cheap statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.db import ProgrammingError, connection
from django.db.models import Count, Exists, Min, OuterRef

from realtime.domain.config import Config
from realtime.ledger import complete_runs, flags, import_runs, receivers
from realtime.ledger.complete_runs import Arrival
from realtime.ledger.files import database_now
from realtime.ledger.pauses import open_pauses
from realtime.models import ChangeReceiver, Closed, ImportRun, Pause, ScrapeRun, Way
from realtime.monitoring.status import workers
from realtime.monitoring.status.lag import Lag, jurisdictions, newest_lags
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.monitoring.status.received import Received, oldest_message, received
from realtime.monitoring.status.unannounced import UNKNOWN, Unannounced
from realtime.monitoring.status.workers import Worker
from realtime.monitoring.verdict import missing_migration

# What failed, and which import runs broke or were killed, "lately".
LATELY = timedelta(hours=1)
# Which flags are new, and for how long a run that could not be finalized is told of.
NEW, TOLD = timedelta(hours=24), timedelta(days=7)
# Rows of import runs, and scrape runs of a kind, that are looked at.
_RUNS, _SCRAPE_RUNS = 50, 20
# Most files that are counted, to know a share.
_COUNTED = 100_000

# Reads the index realtime_file_failures; for the last hour of a jurisdiction, and for the hour in
# which most of what is open failed, realtime_file_imported. There it stops as soon as the failed
# ones are surely too few of those tried.
_FAILURES = """
    WITH open AS (
      SELECT jurisdiction_id, imported_at, count(*) OVER hour AS failed,
             min(imported_at) OVER hour AS began
      FROM realtime_file WHERE outcome = 'failed' AND discarded_at IS NULL
      WINDOW hour AS (PARTITION BY jurisdiction_id ORDER BY imported_at
                      RANGE BETWEEN %(hour)s PRECEDING AND CURRENT ROW)
    ), ours AS (
      SELECT jurisdiction_id, count(*) AS files, min(imported_at) AS since,
             count(*) FILTER (WHERE imported_at >= %(lately)s) AS lately,
             min(imported_at) FILTER (WHERE imported_at >= %(lately)s) AS lately_since
      FROM open GROUP BY 1
    ), worst AS (
      SELECT DISTINCT ON (jurisdiction_id) jurisdiction_id, failed, began, imported_at AS ended
      FROM open ORDER BY jurisdiction_id, failed DESC, imported_at DESC
    ), each AS (
      SELECT *, least(lately * %(times)s, %(counted)s)::int AS enough,
             least(failed * %(times)s, %(counted)s)::int AS enough_then
      FROM ours JOIN worst USING (jurisdiction_id)
    )
    SELECT jurisdiction_id, files, since,
           lately, lately_since, enough, (SELECT count(*) FROM (
             SELECT FROM realtime_file AS file
             WHERE each.lately > 0 AND file.jurisdiction_id = each.jurisdiction_id
               AND file.imported_at >= %(lately)s LIMIT enough + 1) AS tried),
           failed, began, enough_then, (SELECT count(*) FROM (
             SELECT FROM realtime_file AS file
             WHERE each.failed >= %(many)s AND file.jurisdiction_id = each.jurisdiction_id
               AND file.imported_at BETWEEN each.ended - %(hour)s AND each.began + %(hour)s
             LIMIT enough_then + 1) AS tried)
    FROM each ORDER BY lately DESC, files DESC, jurisdiction_id
"""


@dataclass(frozen=True)
class Burst:
    """Files of a jurisdiction that `failed` within an hour, the first of them `since`, and how many
    were `tried` then, or less than an hour before the last or after the first; more than that, if
    `has_more`."""

    failed: int
    since: datetime
    tried: int
    has_more: bool = False


@dataclass(frozen=True)
class Failures:
    """The failed files of a jurisdiction that are neither discarded nor under retry: in all, the
    first of them `since`; those of the last hour, `lately`; and those of the hour in which most of
    them failed, `worst`. How many were tried then is counted from `REALTIME_FAILING_FILES` on."""

    jurisdiction_id: str
    files: int
    since: datetime
    lately: Burst | None = None
    worst: Burst | None = None


@dataclass(frozen=True)
class NewFlags:
    """Flags of a jurisdiction that were first raised within the last 24 hours and are open."""

    jurisdiction_id: str
    kind: str
    count: int
    since: datetime


@dataclass(frozen=True)
class EndedRun:
    """A scrape run that has ended and is neither final nor closed; `why` is empty when it could be
    finalized."""

    run_id: str
    jurisdiction_id: str
    ended_at: datetime
    why: str = ""


@dataclass(frozen=True)
class BrokenRun:
    """A scrape run that was closed because finalizing it failed repeatedly."""

    run_id: str
    jurisdiction_id: str
    closed_at: datetime


@dataclass(frozen=True)
class OpenRun:
    """The scrape run of a jurisdiction that began last, if its end has not come; and when anything
    of the jurisdiction was last imported, or it began."""

    run_id: str
    jurisdiction_id: str
    newest: datetime


@dataclass(frozen=True)
class Facts:
    """What is known at `at` (the database's clock, aware UTC).

    `is_expected`: a queue or a store is set up. `has_queue`: messages tell of files. `import_runs`
    are the newest that take files, the latest begun first; `lags` of each jurisdiction that of its
    newest hour; `receivers` those that fail or are paused. With a `database_problem`, or without
    `is_readable` (for want of the `missing_migration`), nothing else is known.
    """

    at: datetime
    is_expected: bool = True
    has_queue: bool = True
    queue: QueueStatus = field(default_factory=QueueStatus)
    root: Unannounced = UNKNOWN
    received: Received = field(default_factory=lambda: Received(None, None))
    import_runs: Sequence[ImportRun] = ()
    workers: Sequence[Worker] = ()
    ended_runs: Sequence[EndedRun] = ()
    broken_runs: Sequence[BrokenRun] = ()
    open_runs: Sequence[OpenRun] = ()
    lags: Sequence[Lag] = ()
    failures: Sequence[Failures] = ()
    pauses: Sequence[Pause] = ()
    flags: Sequence[NewFlags] = ()
    receivers: Sequence[ChangeReceiver] = ()
    missing_migration: str = ""
    is_readable: bool = True
    database_problem: str = ""

    @property
    def oldest_message(self) -> tuple[float | None, str]:
        """The age of the oldest message in seconds, and its source."""
        return oldest_message(self.queue, self.received)


def without_database(problem: str) -> Facts:
    """The facts when the database cannot be reached, for the reason `problem` (one line)."""
    return Facts(datetime.now(UTC), database_problem=problem)


def unreadable() -> Facts | None:
    """The facts when a table or column is not there, for want of one of our migrations; None when
    none is missing. Raises Django's database errors."""
    missing = missing_migration.first_missing()
    if not missing:
        return None
    return Facts(database_now(), missing_migration=missing, is_readable=False)


def gather(config: Config, queue: QueueStatus, root: Unannounced = UNKNOWN) -> Facts:
    """The facts, from the database; `queue` is what `queue_depth` has found, `root` what
    `unannounced` has, where it was asked. Only reads, in a transaction of its own.

    Raises Django's database errors.
    """
    missing = missing_migration.first_missing()
    try:
        return _gather(config, queue, root, missing)
    except ProgrammingError:
        # Many migrations make nothing that is read here.
        if facts := unreadable():
            return facts
        raise


def _gather(config: Config, queue: QueueStatus, root: Unannounced, missing: str) -> Facts:
    with read_only_transaction():
        now, known = database_now(), jurisdictions()
        return Facts(
            at=now,
            is_expected=bool(config.queue_url or config.base),
            has_queue=bool(config.queue_url),
            queue=queue,
            root=root,
            received=received(now),
            import_runs=list(
                import_runs.newest().exclude(way__in=[Way.FINALIZE, Way.ARCHIVE])[:_RUNS]
            ),
            workers=workers.busy(known),
            ended_runs=_ended_runs(now - timedelta(minutes=1)),
            broken_runs=_broken_runs(now - TOLD),
            open_runs=_open_runs(known),
            lags=newest_lags(now, known),
            failures=_failures(now - LATELY, config),
            pauses=open_pauses(),
            flags=_new_flags(now - NEW),
            receivers=list(receivers.in_trouble()),
            missing_migration=missing,
        )


def _ended_runs(before: datetime) -> list[EndedRun]:
    found = ScrapeRun.objects.filter(finalized_at=None, closed_at=None, received_at__lt=before)
    runs = list(found.order_by("received_at")[:_SCRAPE_RUNS])
    arrivals = complete_runs.arrivals(runs) if runs else {}
    return [
        EndedRun(str(run.run_id), run.jurisdiction_id, run.received_at, _why(run, arrivals))
        for run in runs
        if run.received_at
    ]


def _open_runs(imported: Mapping[str, datetime | None]) -> list[OpenRun]:
    # A run that a newer one follows is of no interest: its scraper has died, and was begun again.
    newer = ScrapeRun.objects.filter(
        jurisdiction_id=OuterRef("jurisdiction_id"), started_at__gt=OuterRef("started_at")
    )
    found = ScrapeRun.objects.filter(finalized_at=None, closed_at=None, finished_at=None)
    return [
        OpenRun(
            str(run.run_id),
            run.jurisdiction_id,
            max(imported.get(run.jurisdiction_id) or run.started_at, run.started_at),
        )
        for run in found.exclude(Exists(newer))
    ]


def _why(run: ScrapeRun, arrivals: Mapping[UUID, Arrival]) -> str:
    arrival = arrivals.get(run.run_id)
    if arrival and not arrival.all_came:
        return f"{arrival.sent - arrival.came:,} of its {arrival.sent:,} files are missing"
    if arrival and arrival.parked:
        return f"{arrival.parked:,} of its files are parked"
    if run.attempts:
        return f"finalizing it failed {run.attempts} times; the log says why"
    return ""


def _broken_runs(since: datetime) -> list[BrokenRun]:
    newer = ScrapeRun.objects.filter(
        jurisdiction_id=OuterRef("jurisdiction_id"),
        started_at__gt=OuterRef("started_at"),
        finalized_at__isnull=False,
        closed_at=None,
    )
    found = ScrapeRun.objects.filter(closed=Closed.BROKEN, closed_at__gte=since)
    found = found.exclude(Exists(newer)).order_by("closed_at")[:_SCRAPE_RUNS]
    return [
        BrokenRun(str(run.run_id), run.jurisdiction_id, run.closed_at)
        for run in found
        if run.closed_at
    ]


def _failures(lately: datetime, config: Config) -> list[Failures]:
    values: dict[str, Any] = {
        "lately": lately,
        "hour": LATELY,
        "many": config.failing_files,
        # Of so many times the failed ones, these are no more than the share.
        "times": ceil(1 / config.failing_share) if config.failing_share else _COUNTED,
        "counted": _COUNTED,
    }
    with connection.cursor() as cursor:
        cursor.execute(_FAILURES, values)
        return [
            Failures(jurisdiction_id, files, since, _burst(*rest[:4]), _burst(*rest[4:]))
            for jurisdiction_id, files, since, *rest in cursor.fetchall()
        ]


def _burst(failed: int, since: datetime | None, enough: int, counted: int) -> Burst | None:
    if since is None:
        return None
    return Burst(failed, since, min(counted, enough), has_more=counted > enough)


def _new_flags(since: datetime) -> list[NewFlags]:
    found = flags.open_flags().filter(first_seen__gte=since).order_by()
    groups = found.values_list("jurisdiction_id", "kind")
    counted = groups.annotate(files=Count("id"), since=Min("first_seen"))
    return [NewFlags(*row) for row in counted.order_by("jurisdiction_id", "-files", "kind")]
