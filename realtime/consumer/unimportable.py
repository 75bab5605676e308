"""Records what a pass brings that is not imported: files that cannot be, and ends of runs."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from realtime.domain.errors import PoisonMessage, RetryLater
from realtime.domain.in_flight import InFlightFile
from realtime.domain.interfaces import Gone
from realtime.domain.messages import RunFinished
from realtime.domain.results import Failed, Ignored, Paused
from realtime.domain.run_context import RunContext
from realtime.files.fetch import identify
from realtime.importers.batch_transaction import pause_by_breaker
from realtime.ledger import files as ledger_files
from realtime.ledger.pauses import open_pause
from realtime.ledger.run_notices import store_run


def hold_back(context: RunContext, files: Sequence[InFlightFile]) -> None:
    """Park files that cannot be read, instead of failing them, where their jurisdiction is paused,
    or where so many are a reason to pause it. `files` are all that were to be read now."""
    groups: dict[str, list[InFlightFile]] = defaultdict(list)
    for file in files:
        if file.is_open or isinstance(file.error, PoisonMessage):
            groups[file.jurisdiction_id].append(file)
    for jurisdiction_id, group in groups.items():
        failed = [(f, Failed(f.error)) for f in group if isinstance(f.error, PoisonMessage)]
        if failed and jurisdiction_id and context.breaker:
            others = len(group) - len(failed)
            if why := context.breaker.trips(jurisdiction_id, failed, others):
                pause_by_breaker(jurisdiction_id, why)
            if pause := open_pause(jurisdiction_id):
                _park(context, [file for file, _ in failed], Paused(pause.reason))
            else:
                context.breaker.add(jurisdiction_id, failed)


def _park(context: RunContext, files: Sequence[InFlightFile], outcome: Paused) -> None:
    with context.timed("import"), transaction.atomic():
        for file in files:
            # S3's own notifications do not say it; the row must, to stay parked with the others.
            file.delivery = replace(file.delivery, jurisdiction_id=file.jurisdiction_id)
        results = [file.result(outcome) for file in files]
        ledger_ids = ledger_files.record_unread(results, ledger_files.database_now())
        context.before_commit()
    for file in files:
        file.finish(outcome, ledger_ids[file.identity])


def record_unimportable(context: RunContext, files: Sequence[InFlightFile]) -> None:
    """Record, in one transaction, the files that can never be imported and the scrape runs that
    have ended. Other files are left as they are."""
    unfinished = [file for file in files if file.outcome is None]
    ends = [(file, file.run_finished) for file in unfinished if file.is_open and file.run_finished]
    if not ends and not any(isinstance(file.error, PoisonMessage) for file in unfinished):
        return
    with context.timed("import"), transaction.atomic():
        now = ledger_files.database_now()
        # In one order everywhere, so that two workers cannot block each other.
        for file, run in sorted(ends, key=lambda end: end[1].run_id):
            _end(file, run, now)
        failed = [
            (file, Failed(file.error))
            for file in unfinished
            if isinstance(file.error, PoisonMessage)
        ]
        results = [file.result(outcome) for file, outcome in failed]
        ledger_ids = ledger_files.record_unread(results, now)
        context.before_commit()
    for file, _ in ends:
        if file.is_open:
            file.finish(Ignored())
    for file, outcome in failed:
        file.finish(outcome, ledger_ids[file.identity])


def _end(file: InFlightFile, run: RunFinished, now: datetime) -> None:
    try:
        store_run(run, now)
    except (PoisonMessage, RetryLater) as problem:
        file.error = problem
        file.blame_message()


def fail_unread(context: RunContext, files: Sequence[InFlightFile], problem: PoisonMessage) -> None:
    """Record all these files as failed, without reading them; of each that is there, which
    version."""
    for file in files:
        if file.is_open and not file.run_finished:
            with suppress(Gone):
                found = context.store.head(file.identity.key)
                file.identity = identify(context.store.bucket, found)
            file.error = problem
    record_unimportable(context, files)
