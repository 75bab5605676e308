"""One jurisdiction's batch: imported and recorded in one transaction."""

import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction
from openstates.data.models import Jurisdiction

from realtime import ledger, whereabouts
from realtime.batching import FetchedFile, FileIdentity, Result, log_result
from realtime.errors import PoisonMessage, RetryLater, Superseded, Unresolved
from realtime.history import LedgerHistory
from realtime.importers import people
from realtime.importers.explain import explain, interrupted
from realtime.importers.pieces import (
    BillInPieces,
    EventInPieces,
    JurisdictionInPieces,
    VoteEventInPieces,
)
from realtime.importers.references import link_related_bills, relink_votes
from realtime.locks import lock_jurisdiction
from realtime.models import File, Outcome
from realtime.scraped import IGNORED_TYPES

# Anything else is no scrape id, and may be more than a query can hold.
_PLAIN_ID = re.compile(r"[\w-]{1,100}", re.ASCII)
_OUTCOMES = {"insert": Outcome.INSERTED, "update": Outcome.UPDATED, "noop": Outcome.UNCHANGED}


@dataclass(frozen=True)
class BatchResult:
    """What became of a batch: its results, and the ids of their rows in the ledger.

    A file without a result was not tried: its message must come again.
    """

    results: Sequence[Result]
    row_ids: dict[FileIdentity, int]
    committed_at: datetime


def import_batch(
    jurisdiction_id: str,
    files: Sequence[FetchedFile],
    *,
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
            batch = _Batch(jurisdiction_id, files)
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
        now = ledger.database_now()
        row_ids = ledger.record([result], now)
        before_commit()
    log_result(result)
    return BatchResult([replace(result, file=file)], row_ids, now)


class _Batch:
    def __init__(self, jurisdiction_id: str, files: Sequence[FetchedFile]) -> None:
        # Taken while the lock is held, so that it grows from batch to batch of a jurisdiction
        # whatever the clocks of the hosts say.
        self._now = ledger.database_now()
        self._jurisdiction_id = jurisdiction_id
        self._files = files
        self._history = LedgerHistory(jurisdiction_id)
        history = self._history
        self._jurisdictions = JurisdictionInPieces(jurisdiction_id, history=history)
        self._bills = BillInPieces(jurisdiction_id, history=history)
        self._votes = VoteEventInPieces(jurisdiction_id, self._bills, history=history)
        self._events = EventInPieces(jurisdiction_id, self._votes, history=history)
        self._importers = {
            "jurisdiction": self._jurisdictions,
            "bill": self._bills,
            "vote_event": self._votes,
            "event": self._events,
        }
        people.forget_organizations()

    def run(self, must_stop: Callable[[], bool]) -> BatchResult:
        known = ledger.known([file.identity for file in self._files])
        self._history.preload("bill", _bills_named(self._files))
        results: list[Result] = []
        seen: set[FileIdentity] = set()
        for file in self._files:
            if must_stop():
                break
            row = known.get(file.identity)
            had_outcome = row is not None and row.outcome != Outcome.DEFERRED
            if had_outcome or file.identity in seen:
                results.append(_result(file, Outcome.IGNORED, repeated=True))
            else:
                seen.add(file.identity)
                results.append(self._import(file))
        self._settle_references(results)
        row_ids = self._record(results, known)
        return BatchResult(results, row_ids, self._now)

    def _import(self, file: FetchedFile) -> Result:
        if file.content.object_type in IGNORED_TYPES:
            return _result(file, Outcome.IGNORED)
        try:
            with transaction.atomic():
                row_id, what = self._apply(file)
                _check_constraints()
        except Superseded as exc:
            self._forget(file)
            return self._superseded(file, exc.row_id)
        except Unresolved as exc:
            self._forget(file)
            return self._parked(file, exc)
        except Exception as exc:
            self._forget(file)
            return _failure(file, exc)
        self._history.applied(file, row_id)
        identifier = ""
        if file.content.object_type == "bill":
            identifier = self._bills.identifier(file.content.data["identifier"])
        return _result(file, _OUTCOMES[what], row_id=row_id, bill_identifier=identifier)

    def _apply(self, file: FetchedFile) -> tuple[str, str]:
        data, order = file.content.fresh(), file.content.order
        self._require_jurisdiction()
        if file.content.object_type == "person":
            return people.load(data, order, self._history)
        return self._importers[file.content.object_type].apply(data, order)

    def _require_jurisdiction(self) -> None:
        if not Jurisdiction.objects.filter(id=self._jurisdiction_id).exists():
            raise PoisonMessage(
                "unknown-jurisdiction",
                f"{self._jurisdiction_id} is not in the database",
                "jurisdiction_id",
            )

    def _superseded(self, file: FetchedFile, row_id: str) -> Result:
        if file.content.object_type == "jurisdiction":
            try:
                with transaction.atomic():
                    self._jurisdictions.add_missing_sessions(row_id, file.content.fresh())
            except Exception as exc:
                return _failure(file, exc)
        self._history.identified(file, row_id)
        return _result(file, Outcome.SUPERSEDED, row_id=row_id)

    def _parked(self, file: FetchedFile, exc: Unresolved) -> Result:
        if file.last_chance:
            problem = PoisonMessage("unresolved", f"never came: {exc.waiting_for}")
            return _result(file, Outcome.FAILED, problem=problem)
        return _result(file, Outcome.DEFERRED, waiting_for=exc.waiting_for)

    def _forget(self, file: FetchedFile) -> None:
        # What core noted since the savepoint has been rolled back with it.
        importer = self._importers.get(file.content.object_type)
        if importer is not None:
            importer.forget(file.content.scrape_id)

    def _settle_references(self, results: Sequence[Result]) -> None:
        changed = [
            result.row_id
            for result in results
            if result.object_type == "bill"
            and result.outcome in (Outcome.INSERTED, Outcome.UPDATED)
        ]
        if changed:
            relink_votes(changed, self._history)
            link_related_bills(self._jurisdiction_id, changed)
        if any(result.outcome in _OUTCOMES.values() for result in results):
            Jurisdiction.objects.filter(id=self._jurisdiction_id).update(
                latest_bill_update=self._now
            )

    def _record(
        self, results: Sequence[Result], known: dict[FileIdentity, File]
    ) -> dict[FileIdentity, int]:
        row_ids = {identity: row.id for identity, row in known.items()}
        row_ids.update(ledger.record([r for r in results if not r.repeated], self._now))
        whereabouts.unsettle(
            [row.id for row in known.values() if row.settled_at and row.outcome != Outcome.DEFERRED]
        )
        return row_ids


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


def _bills_named(files: Sequence[FetchedFile]) -> set[str]:
    named = (f.content.data.get("bill") for f in files if f.content.object_type == "vote_event")
    return {bill for bill in named if isinstance(bill, str) and _PLAIN_ID.fullmatch(bill)}


def _check_constraints() -> None:
    # Core's foreign keys are deferred: a bad one would pass here and fail everyone's commit.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
