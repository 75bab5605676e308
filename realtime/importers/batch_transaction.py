"""One jurisdiction's batch: imported and recorded in one transaction."""

import re
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from openstates.data.models import Jurisdiction

from realtime.backends.postgres.interruptions import interrupted
from realtime.backends.postgres.locks import lock_jurisdiction
from realtime.domain.errors import PoisonMessage, RetryLater, Superseded, Unresolved
from realtime.domain.results import FetchedFile, FileIdentity, Result, log_result
from realtime.domain.scraped_object import IGNORED_TYPES
from realtime.importers.choice import applier
from realtime.importers.core.one_by_one import Attempt
from realtime.importers.linking import bills_of_tied_votes, link_related_bills, link_votes
from realtime.ledger import files as ledger_files
from realtime.ledger import locations
from realtime.ledger.history import LedgerHistory, authoritative_runs, named_actions
from realtime.models import APPLIED, File, Outcome

# Anything else is no scrape id, and may be more than a query can hold.
_PLAIN_ID = re.compile(r"[\w-]{1,100}", re.ASCII)
_OUTCOMES = {"insert": Outcome.INSERTED, "update": Outcome.UPDATED, "noop": Outcome.UNCHANGED}


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch: its results, and the ids of their rows in the ledger.

    A file without a result was not tried: its message must come again.
    """

    results: Sequence[Result]
    ledger_ids: dict[FileIdentity, int]
    committed_at: datetime


def import_batch(
    jurisdiction_id: str,
    files: Sequence[FetchedFile],
    *,
    importer: str,
    lock_wait: float,
    before_commit: Callable[[], None],
    must_stop: Callable[[], bool],
) -> BatchResult:
    """Import `files`, in the order given, and record each outcome, all in one transaction.

    Either everything the result names is committed or, when this raises, nothing is. Waits at
    most `lock_wait` seconds for another batch of the jurisdiction. `must_stop` is asked before
    each file; `before_commit` may veto with RetryLater. Raises RetryLater when the jurisdiction
    stays busy (Busy) or the database interrupts, and anything else when one of the files breaks
    the batch as a whole.
    """
    try:
        with transaction.atomic():
            lock_jurisdiction(jurisdiction_id, lock_wait)
            batch = _Batch(jurisdiction_id, files, importer)
            result = batch.run(must_stop)
            before_commit()
    except RetryLater:
        raise
    except Exception as exc:
        if interrupted(exc):
            raise RetryLater(f"{jurisdiction_id} was interrupted: {_line(exc)}") from exc
        raise
    for one in result.results:
        log_result(one)
    return replace(result, committed_at=datetime.now(UTC))


def fail_alone(file: FetchedFile, exc: Exception, before_commit: Callable[[], None]) -> BatchResult:
    """Record a file that breaks even a batch of its own. Raises RetryLater as import_batch does."""
    # Without its content: some of that may be what the ledger could not hold.
    result = replace(_failure(file, exc), file=None)
    with transaction.atomic():
        now = ledger_files.database_now()
        ledger_ids = ledger_files.record([result], now)
        before_commit()
    log_result(result)
    return BatchResult([replace(result, file=file)], ledger_ids, now)


class _Batch:
    def __init__(self, jurisdiction_id: str, files: Sequence[FetchedFile], importer: str) -> None:
        # Taken while the lock is held, so that it grows from batch to batch of a jurisdiction
        # whatever the clocks of the hosts say.
        self._now = ledger_files.database_now()
        self._jurisdiction_id = jurisdiction_id
        self._files = files
        history = LedgerHistory(jurisdiction_id)
        history.preload("bill", bills_named(files))
        self._applier = applier(importer, jurisdiction_id, history)

    def run(self, must_stop: Callable[[], bool]) -> BatchResult:
        known = ledger_files.known([file.identity for file in self._files])
        new, results = self._sort(known)
        for attempt in self._applier.apply(new, must_stop):
            results.append(result_of(attempt))
        ledger_ids = self._record(results, known)
        # The repeat of a file that there was no time for must come again as well.
        results = [result for result in results if result.identity in ledger_ids]
        link_references(self._jurisdiction_id, results, self._now)
        return BatchResult(results, ledger_ids, self._now)

    def _sort(self, known: Mapping[FileIdentity, File]) -> tuple[list[FetchedFile], list[Result]]:
        new, done = [], []
        seen: set[FileIdentity] = set()
        for file in self._files:
            row = known.get(file.identity)
            had_outcome = row is not None and row.outcome != Outcome.DEFERRED
            if had_outcome or file.identity in seen:
                done.append(_result(file, Outcome.IGNORED, repeated=True))
            elif file.content.object_type in IGNORED_TYPES:
                done.append(_result(file, Outcome.IGNORED))
            else:
                new.append(file)
            seen.add(file.identity)
        return new, done

    def _record(
        self, results: Sequence[Result], known: dict[FileIdentity, File]
    ) -> dict[FileIdentity, int]:
        ledger_ids = {identity: row.id for identity, row in known.items()}
        ledger_ids.update(ledger_files.record([r for r in results if not r.repeated], self._now))
        locations.archive_again(
            [
                row.id
                for row in known.values()
                if row.archived_at and row.outcome != Outcome.DEFERRED
            ]
        )
        return ledger_ids


def link_references(jurisdiction_id: str, results: Sequence[Result], now: datetime) -> None:
    """Tie what `results`, which must be recorded, brought to what was there, and the other way."""
    bills = [(r.core_id, r.outcome) for r in results if r.object_type == "bill"]
    new = {core_id for core_id, outcome in bills if outcome == Outcome.INSERTED}
    changed = new | {core_id for core_id, outcome in bills if outcome == Outcome.UPDATED}
    votes = [r for r in results if r.object_type == "vote_event" and r.outcome in APPLIED]
    voted = {r.about.bill_id for r in votes if r.about.action}
    # A scrape that names no action any more gives up the one that an earlier scrape named.
    voted |= bills_of_tied_votes([r.core_id for r in votes if not r.about.action])
    if changed or voted:
        relink((changed | voted) - {""})
    if changed:
        link_related_bills(jurisdiction_id, changed, new)
    if any(result.outcome in APPLIED for result in results):
        Jurisdiction.objects.filter(id=jurisdiction_id).update(latest_bill_update=now)


def relink(bill_ids: Collection[str], finalizing: UUID | None = None) -> None:
    """Tie the vote events of these bills to their actions, as the ledger says they are named.

    A bill whose votes a finalized run has scraped (or the run `finalizing`) is as that run and
    what was scraped since says.
    """
    authoritative = authoritative_runs(bill_ids, finalizing)
    link_votes(bill_ids, named_actions(bill_ids, authoritative), authoritative)


def result_of(attempt: Attempt) -> Result:
    """The outcome that an attempt comes to. Raises RetryLater when the database interrupted it."""
    file, exc = attempt.file, attempt.error
    about = {"about": attempt.about, "core_id": attempt.core_id}
    if exc is None:
        outcome = _OUTCOMES[attempt.what]
        return _result(file, outcome, bill_identifier=attempt.bill_identifier, **about)
    if isinstance(exc, Superseded):
        return _result(file, Outcome.SUPERSEDED, **about)
    if not isinstance(exc, Unresolved):
        return replace(_failure(file, exc), about=attempt.about)
    if file.last_chance:
        problem = PoisonMessage("unresolved", f"never came: {exc.waiting_for}")
        return _result(file, Outcome.FAILED, problem=problem, **about)
    return _result(file, Outcome.DEFERRED, waiting_for=exc.waiting_for, **about)


def _result(file: FetchedFile, outcome: str, **more: Any) -> Result:
    return Result(
        identity=file.identity,
        outcome=outcome,
        delivery=file.delivery,
        object_type=file.content.object_type,
        file=file,
        **more,
    )


def _failure(file: FetchedFile, exc: Exception) -> Result:
    # A run without a bad file loads nothing of this.
    from realtime.importers.diagnosis.explain import explain

    problem = explain(exc, file.content)
    if isinstance(problem, RetryLater):
        raise problem from exc
    expected = exc is problem
    return _result(
        file,
        Outcome.FAILED,
        problem=problem,
        traceback="" if expected else "".join(traceback.format_exception(exc)),
    )


def bills_named(files: Sequence[FetchedFile]) -> set[str]:
    """The scrape ids of bills that the vote events among `files` name."""
    named = (f.content.data.get("bill") for f in files if f.content.object_type == "vote_event")
    return {bill for bill in named if isinstance(bill, str) and _PLAIN_ID.fullmatch(bill)}


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
