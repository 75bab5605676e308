"""One bounded import run: receive, fetch, import and record, acknowledge.

The order of steps is the guarantee: what a message brought is committed before the message is
acknowledged, and what was not committed comes again. A run can be killed at any point.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection

from realtime.backends.postgres.locks import WorkerSlot
from realtime.consumer import resume_parked
from realtime.consumer.acknowledgements import Deliveries
from realtime.consumer.batches import import_all
from realtime.consumer.context import Work, database_needed, log_summary, said_of_run
from realtime.consumer.receive import fail_message, take_in
from realtime.consumer.sources import Inbox
from realtime.domain.config import BULK, Config
from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import Store
from realtime.domain.messages import ReceivedMessage
from realtime.files import archive
from realtime.finalization.finalize import finalize_complete
from realtime.finalization.state_machine import Means, OutOfTime
from realtime.ledger import files as ledger_files
from realtime.monitoring.metrics.emitting import emit
from realtime.monitoring.report import Report

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """When a run ends: after `max_messages`, or, with `until_empty`, after as many passes of
    that many as it takes, or when `must_stop` says so. It is asked between files, never within
    a commit."""

    max_messages: int
    until_empty: bool
    must_stop: Callable[[], bool]


def run(config: Config, inbox: Inbox, store: Store, limits: Limits, importer: str = BULK) -> Report:
    """Import what the inbox holds, by the importers named, and say what became of it.

    Takes a worker slot for its time; when all are busy the report's note says so and nothing was
    received. Raises Unavailable when the database or AWS cannot be reached: what was received
    then comes again.
    """
    with said_of_run():
        report = _run(config, inbox, store, limits, importer)
        log_summary(report)
        # The worker's slot is free again, and nobody waits for this run any more.
        emit(report, config)
    return report


def _run(config: Config, inbox: Inbox, store: Store, limits: Limits, importer: str) -> Report:
    report = Report()
    slot = WorkerSlot(config.max_workers)
    # Around everything: what was given and not taken up must come again.
    with inbox, report.stage("total"):
        work = Work(config, store, slot, report, limits.must_stop, importer)
        try:
            with database_needed():
                if not slot.take():
                    report.note = f"all {config.max_workers} workers are busy; nothing was received"
                    return report
                with connection.execute_wrapper(report.count_statement):
                    _passes(work, inbox, limits)
        finally:
            slot.release()
    return report


def _passes(work: Work, inbox: Inbox, limits: Limits) -> None:
    while not work.must_stop():
        with work.report.stage("receive"):
            messages = inbox.receive(limits.max_messages)
        work.report.took(messages, datetime.now(UTC))
        _pass(work, inbox, messages)
        resume_parked.resume(work)
        if work.unavailable:
            raise work.unavailable
        if not messages or not limits.until_empty:
            break
    with work.report.stage("finalize"):
        _finalize(work)
    if work.failed_ledger_ids:
        archive.archive_files(work.store, work.config, work.failed_ledger_ids)


def _pass(work: Work, inbox: Inbox, messages: Sequence[ReceivedMessage]) -> None:
    suspects = [m for m in messages if m.receive_count > work.config.max_receives]
    others = [m for m in messages if m.receive_count <= work.config.max_receives]
    with Deliveries(inbox, work.report, messages) as deliveries:
        import_all(work, deliveries, take_in(work, deliveries, others))
        for suspect in suspects:
            if not work.must_stop():
                _try_alone(work, deliveries, suspect)


def _try_alone(work: Work, deliveries: Deliveries, suspect: ReceivedMessage) -> None:
    if ledger_files.start_attempt(suspect.message_id, suspect.body):
        import_all(work, deliveries, take_in(work, deliveries, [suspect]))
    else:
        problem = PoisonMessage(
            "kills-the-import",
            f"{ledger_files.ATTEMPTS} attempts to import it ended without any result",
        )
        fail_message(work, deliveries, suspect, problem)
    ledger_files.end_attempt(suspect.message_id)


def _finalize(work: Work) -> None:
    means = Means(
        work.store,
        work.config.max_file_bytes,
        work.slot.verify,
        work.must_stop,
        work.importer,
    )
    try:
        for one in finalize_complete(means):
            work.report.finalized.append(str(one.run.run_id))
    except OutOfTime as exc:
        logger.info(
            "finalization left to the next run", extra={"action": "finalizing", "cause": exc}
        )
