"""One import run: receive, parse, fetch, import, acknowledge; then resume, finalize, archive.

The order of steps is the guarantee. The import of a file and its row in the ledger commit together,
and only then is the message acknowledged: a message whose files have no committed outcome comes
again, and the ledger recognizes files that have one. Its files are archived after that. Parked
files, complete scrape runs and files not archived yet are found in the ledger, by the next run or
by `archive_realtime`. So a run can be killed at any point.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from django.db import connection

from realtime.backends import request_counts
from realtime.backends.postgres.locks import WorkerSlot
from realtime.consumer.acknowledgements import OpenMessages
from realtime.consumer.batches import BATCH_SIZE, import_files, suspicion
from realtime.consumer.context import (
    database_needed,
    log_summary,
    logged_as_run,
    stopped_in_time,
    survived,
)
from realtime.consumer.fetching import fetch_files
from realtime.consumer.parse_messages import parse
from realtime.consumer.record import Record
from realtime.consumer.resume_parked import resume
from realtime.consumer.sources import Inbox
from realtime.consumer.unimportable import fail_unread, hold_back, record_unimportable
from realtime.domain.breaker import Breaker
from realtime.domain.config import BULK, Config
from realtime.domain.errors import Unavailable
from realtime.domain.in_flight import InFlightFile, by_type
from realtime.domain.interfaces import Store
from realtime.domain.kept import Kept
from realtime.domain.messages import ReceivedMessage
from realtime.domain.results import Failed, Waiting
from realtime.domain.run_context import RunContext, no_progress
from realtime.files import archive
from realtime.finalization.finalize import finalize_complete
from realtime.finalization.state_machine import OutOfTime, Progress
from realtime.ledger import suspects
from realtime.ledger.pauses import open_pauses
from realtime.ledger.suspects import Suspicion
from realtime.monitoring.metrics.emitting import emit
from realtime.monitoring.report import Report
from realtime.process.threads import Background

# The share of REALTIME_MAX_BATCH_BYTES that parked files may take up, and those being archived.
_KEPT = 4

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """When a run ends: after one pass of at most `max_messages` messages; with `until_empty`, after
    the first pass that receives none; or when `must_stop` says so, which is asked between passes,
    batches and files, never within a commit."""

    max_messages: int
    until_empty: bool
    must_stop: Callable[[], bool]


def run(
    config: Config,
    inbox: Inbox,
    store: Store,
    limits: Limits,
    importer: str = BULK,
    breaker: Breaker | None = None,
    record: Record | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Import what the inbox holds, with the importers called `importer`; returns the report.

    `breaker` has counted what earlier runs did, where these are to count as one with this, and
    `record` keeps what they did. `progress` is told, after each commit, what files have come to so
    far.

    Takes a worker slot while it works. When all slots are taken, the report's note says so and
    nothing was received. Raises Unavailable when the database or AWS cannot be reached; messages
    that were not acknowledged by then come again.
    """
    with logged_as_run():
        breaker = breaker or Breaker(config.breaker_failed, config.breaker_shrunk)
        record = record or Record(config, inbox.way)
        report = _run(config, inbox, store, limits, importer, breaker, record, progress)
        log_summary(report)
        # After the worker slot is free: a slow endpoint must not keep other runs waiting.
        emit(report, config)
    return report


def _run(
    config: Config,
    inbox: Inbox,
    store: Store,
    limits: Limits,
    importer: str,
    breaker: Breaker,
    record: Record,
    progress: Progress,
) -> Report:
    outcomes = Counter[str]()

    def finished(files: Sequence[InFlightFile]) -> None:
        outcomes.update(file.outcome.word for file in files if file.outcome)
        if files:
            progress("importing", outcomes)

    report, slot = Report(), WorkerSlot(config.max_workers, config.statement_timeout)
    archiving = Background("archive", lambda: not slot.lost())
    context = RunContext(
        config,
        store,
        limits.must_stop,
        importer,
        slot.verify,
        slot.lost,
        report.stage,
        breaker=breaker,
        flagged=report.count_flags,
        expired=report.expire,
        kept=Kept(config.max_batch_bytes // _KEPT),
        finished=finished,
        beside=archiving.begin,
        settled=archiving.settle,
    )
    # Lambda hands its messages over with the inbox: those of a run without a slot must come again.
    with request_counts.counted_into(report.requests), inbox, context.timed("total"):
        try:
            with database_needed():
                if not slot.take():
                    report.note = f"all {config.max_workers} workers are busy; nothing was received"
                    return report
                counted = connection.execute_wrapper(report.count_statement)
                with record.of(report), counted, archiving:
                    _work(context, inbox, limits, report, progress)
        finally:
            slot.release()
    return report


def _work(
    context: RunContext, inbox: Inbox, limits: Limits, report: Report, progress: Progress
) -> None:
    """In each pass, import messages and then parked files. After the last, record what was archived
    meanwhile, finalize complete scrape runs and move failed files to failed/; `archive_realtime`
    moves what is left."""
    failed: list[int] = []
    while not context.must_stop():
        with context.timed("receive"):
            messages = inbox.receive(limits.max_messages)
        report.took(messages, datetime.now(UTC))
        files = _import_messages(context, inbox, messages)
        report.add_received(files)
        failed += _failed(files)
        with stopped_in_time(context):
            for files in resume(context):
                report.add_resumed(files)
                context.finished(files)
                failed += _failed(files)
        if not messages or not limits.until_empty:
            break
    with stopped_in_time(context), context.timed("archive"):
        context.settled()
    with stopped_in_time(context):
        if report.received or report.resumed:
            report.pauses = len(open_pauses())
        with context.timed("finalize"):
            _finalize(context, report, progress)
        if failed:
            with context.timed("archive"):
                archive.archive_files(context.store, context.config, failed, context.must_stop)


def _import_messages(
    context: RunContext, inbox: Inbox, messages: Sequence[ReceivedMessage]
) -> list[InFlightFile]:
    """Import the files of the messages; returns them, each with its outcome.

    Messages that may have killed earlier runs come last. Raises Unavailable when the store cannot
    be reached, after the files that could be read were imported and acknowledged.
    """
    max_receives, outage = context.config.max_receives, None
    with OpenMessages(context, inbox, messages) as opened, stopped_in_time(context):
        known = suspects.known([message.message_id for message in messages])
        # Where nobody counts, each may be what kills the process.
        often = {m.message_id for m in messages if (m.receive_count or inf) > max_receives}
        suspected = [m for m in messages if m.message_id in often | known.keys()]
        others = [m for m in messages if m.message_id not in often | known.keys()]
        outage = _import_together(context, opened, others, known)
        _note_survived(opened, [m for m in others if not opened.is_done(m)], known)
        for group in suspects.in_groups(suspected, lambda m: m.message_id, known, BATCH_SIZE):
            if outage or context.must_stop():
                break
            outage = _attempt(context, opened, group, known)
    if outage:
        raise outage
    return opened.files


def _import_together(
    context: RunContext,
    opened: OpenMessages,
    messages: Sequence[ReceivedMessage],
    known: Mapping[str, Suspicion],
) -> Unavailable | None:
    """Parse, fetch, import and acknowledge the messages, and begin to archive their files.

    Acknowledges after each commit, and archives, beside what comes next, when all that was read is
    imported. Returns the error that keeps all files from being read, if any.
    """
    files = parse(messages, context.config.bucket)
    opened.expect(files)
    record_unimportable(context, files)
    opened.acknowledge()

    for file in files:
        if file.message and file.message.message_id in known:
            file.attempts = known[file.message.message_id].attempts
    context.finished(files)
    left, outage = by_type([file for file in files if file.is_open]), None
    while left and not outage and not context.must_stop():
        outage = fetch_files(context, left)
        portion = [file for file in left if file.fetched or file.error or file.outcome]
        left = [file for file in left if not (file.fetched or file.error or file.outcome)]
        hold_back(context, portion)
        record_unimportable(context, portion)
        context.finished(portion)
        done = opened.acknowledge()

        for batch in import_files(context, [file for file in portion if file.fetched]):
            context.finished(batch)
            done += opened.acknowledge()
        # Together: with many jurisdictions a portion, each batch is small.
        archive.archive_read(context, done)
        # A jurisdiction that is busy would keep each portion waiting.
        stuck = {f.jurisdiction_id for f in portion if f.is_open and not f.timed_out}
        left = [file for file in left if file.jurisdiction_id not in stuck]
        for file in portion:
            _keep_parked(context, file)
            file.let_go()
    return outage


def _keep_parked(context: RunContext, file: InFlightFile) -> None:
    """Keep what was read of a file that waits, in case that it is woken by this run."""
    if isinstance(file.outcome, Waiting) and file.stored and file.ledger_id is not None:
        context.kept.keep(file.ledger_id, file.stored)


def _attempt(
    context: RunContext,
    opened: OpenMessages,
    messages: Sequence[ReceivedMessage],
    known: Mapping[str, Suspicion],
) -> Unavailable | None:
    """Import messages that may have killed earlier runs, together.

    The attempt is recorded in a transaction of its own first, and taken back when the process
    survives it. After ATTEMPTS attempts alone that left no result, the message's files fail without
    being read.
    """
    spent = suspects.start_attempts({m.message_id: m.body for m in messages})
    with survived(context, lambda: _note_survived(opened, messages, known)):
        others = [m for m in messages if m.message_id not in spent]
        outage = _import_together(context, opened, others, known)
        files = parse([m for m in messages if m.message_id in spent], context.config.bucket)
        opened.expect(files)
        fail_unread(context, files, suspects.KILLS)
        opened.acknowledge()
    return outage


def _note_survived(
    opened: OpenMessages,
    messages: Sequence[ReceivedMessage],
    known: Mapping[str, Suspicion],
) -> None:
    """Record what is known of these messages after the process has survived their import."""
    now = {
        m.message_id: None
        if opened.is_done(m)
        else suspicion(opened.files_of(m), known.get(m.message_id))
        for m in messages
    }
    suspects.note({m.message_id: m.body for m in messages}, now)


def _failed(files: Iterable[InFlightFile]) -> Iterator[int]:
    """The ledger ids of the files that failed, which are to be moved to failed/."""
    for file in files:
        if isinstance(file.outcome, Failed) and file.ledger_id is not None:
            yield file.ledger_id


def _finalize(context: RunContext, report: Report, progress: Progress) -> None:
    """Finalize the scrape runs that are complete, as far as there is time."""
    try:
        for one in finalize_complete(context, progress=progress):
            report.finalized.append(str(one.run.run_id))
    except OutOfTime as exc:
        logger.info(
            "finalization left to the next run", extra={"action": "finalizing", "cause": exc}
        )
