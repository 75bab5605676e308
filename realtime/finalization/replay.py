"""Imports files of a run once more, in the order core would, over what is already in."""

import logging
from collections.abc import Collection, Sequence
from copy import copy

from openstates.data.models import Event, VoteEvent

from realtime.domain.errors import PoisonMessage, RetryLater
from realtime.domain.results import (
    Failed,
    FetchedFile,
    Imported,
    Result,
    Superseded,
    describe,
)
from realtime.finalization.deletion import delete_rows
from realtime.importers.batch_transaction import (
    bills_named,
    link_references,
    note_outcomes,
    remember_actions_of,
)
from realtime.importers.choose_importer import applier
from realtime.importers.outcomes import outcome_of
from realtime.importers.referents import referents_digest
from realtime.ledger import files as ledger_files
from realtime.ledger.file_rows import describe_again, kept
from realtime.ledger.history import LedgerHistory
from realtime.models import APPLIED, File, Outcome

logger = logging.getLogger(__name__)

# Files of one transaction.
PAGE = 300
_MODELS = {"vote_event": VoteEvent, "event": Event}


def require_untouched(rows: Sequence[File]) -> None:
    """Raises RetryLater when one of these files is being tried again since its row was read.

    Part of the caller's transaction, until whose end none of them can be.
    """
    failed = [row.id for row in rows if row.outcome == Outcome.FAILED]
    if not failed:
        return
    still = File.objects.select_for_update().filter(id__in=failed, outcome=Outcome.FAILED)
    if len(still.order_by("id").values_list("id")) < len(failed):
        raise RetryLater(f"run {rows[0].run_id}: failed files of it are being tried again")


def apply_again(
    jurisdiction_id: str,
    rows: Sequence[File],
    files: Sequence[FetchedFile | None],
    importer: str,
) -> tuple[int, int]:
    """Import the files of these rows of the ledger once more; returns how many changed anything,
    and how many that had been imported fail now.

    Part of the caller's transaction, which holds the jurisdiction. The ledger is corrected where
    a file fares differently now. What cannot be read any more (None) stays as it is, as do `rows`
    themselves, for another attempt.
    """
    by_identity = {
        file.identity: copy(row) for row, file in zip(rows, files, strict=True) if file is not None
    }
    found = [file for file in files if file is not None]
    history = LedgerHistory(jurisdiction_id)
    history.preload("bill", bills_named(found))
    tied = remember_actions_of(jurisdiction_id, found)
    again = applier(importer, jurisdiction_id, history)
    referents: int | None = referents_digest(jurisdiction_id)
    results = [
        Result.of(attempt.file, outcome_of(attempt))
        for attempt in again.apply(found, lambda: False)
    ]
    pairs = [(by_identity[result.identity], result) for result in results]
    if again.asked_for_more():
        referents = None
    failed = _correct(pairs, referents)
    now = ledger_files.database_now()
    retied = link_references(jurisdiction_id, results, tied, now)
    recorded = [(result, row.id) for row, result in pairs]
    note_outcomes(jurisdiction_id, recorded, retied, again.names_found(), now, again=True)
    applied = [r.outcome for r in results if isinstance(r.outcome, Imported)]
    return sum(outcome.change != "unchanged" for outcome in applied), failed


def _correct(pairs: Sequence[tuple[File, Result]], referents: int | None) -> int:
    """Save what has changed of the rows; returns how many of them are failed only now."""
    changed = []
    left = set[str]()
    failed = 0
    for row, result in pairs:
        before, had = ledger_files.corrected_fields(row), row.core_id
        match result.outcome:
            case Superseded(core_id) if not row.core_id or core_id not in ("", row.core_id):
                row.outcome, row.core_id = Outcome.SUPERSEDED, core_id
            case Imported(core_id, change) if row.core_id != core_id or row.outcome not in APPLIED:
                row.outcome, row.core_id = change, core_id
                row.reason = row.field = row.detail = row.traceback = ""
                row.alike = None
            case Failed(problem):
                _fail(row, problem)
        if isinstance(result.outcome, Imported):
            row.referents = referents
        if row.core_id != had:
            left.add(had)
        describe_again(row, result.outcome)
        if ledger_files.corrected_fields(row) != before:
            changed.append(row)
            failed += row.outcome == Outcome.FAILED and before[0] != Outcome.FAILED
    ledger_files.correct(changed)
    if left - {""}:
        ledger_files.doubt(left)
    return failed


def _fail(row: File, problem: PoisonMessage) -> None:
    if row.outcome in APPLIED and row.core_id:
        # Core's batch import, which sees the whole scrape at once, would have skipped it, and its
        # row would be gone.
        logger.warning(
            "file does not fit any longer; its row stays",
            extra={
                "action": "kept",
                "key": row.key,
                "jurisdiction_id": row.jurisdiction_id,
                "run_id": row.run_id,
                **describe(problem),
            },
        )
        return
    row.outcome = Outcome.FAILED
    row.reason, row.field, row.detail = problem.reason, problem.field, kept(problem.detail)
    row.alike = problem.alike


class WouldBeLost(Exception):
    """A file that has a row would have none if its group were imported anew."""


def require_kept(rows: Sequence[File]) -> None:
    """Raises WouldBeLost when one of these files, imported anew, has failed though it was in."""
    applied = [row.id for row in rows if row.outcome in APPLIED]
    if File.objects.filter(id__in=applied, outcome=Outcome.FAILED).exists():
        raise WouldBeLost(f"run {rows[0].run_id}: a file that is in does not fit any longer")


def vacate(object_type: str, rows: Sequence[File]) -> None:
    """Make these files of one run look as if none of them had been imported.

    Rows that others have written too stay, for the files to find again.
    """
    core_ids = {row.core_id for row in rows}
    withdraw(object_type, core_ids, rows[0])
    ledger_files.doubt(core_ids)
    for row in rows:
        row.core_id = ""
    ledger_files.correct(rows)


def withdraw(object_type: str, core_ids: Collection[str], of: File) -> None:
    """Delete those of core's rows that only the run of this file has written."""
    run_id = of.run_id
    # The partial index on core_id is used only if empty ones are excluded here too.
    written = File.objects.filter(core_id__in=core_ids, outcome__in=APPLIED).exclude(core_id="")
    made = written.filter(run_id=run_id, outcome=Outcome.INSERTED)
    others = written.exclude(run_id=run_id)
    only_ours = set(made.values_list("core_id", flat=True)) - set(
        others.values_list("core_id", flat=True)
    )
    delete_rows(_MODELS[object_type], sorted(only_ours), of.jurisdiction_id, run_id)
