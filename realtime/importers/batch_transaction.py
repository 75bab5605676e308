"""One jurisdiction's batch: imported and recorded in one transaction."""

import logging
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from django.db import transaction
from openstates.data.models import Jurisdiction

from realtime.backends.postgres.interruptions import READ_ONLY, error_code, interrupted
from realtime.backends.postgres.locks import lock_jurisdiction
from realtime.domain.bill_identifiers import as_stored
from realtime.domain.changes import Difference, RowChange, Verb
from realtime.domain.errors import RealtimeError, RetryLater, Unavailable
from realtime.domain.in_flight import InFlightFile
from realtime.domain.results import (
    FetchedFile,
    FileIdentity,
    FileOutcome,
    Ignored,
    Imported,
    NamedAction,
    Paused,
    Result,
    Superseded,
)
from realtime.domain.run_context import RunContext
from realtime.domain.scraped_object import IGNORED_TYPES
from realtime.domain.text import is_storable
from realtime.importers.attempts import Attempt
from realtime.importers.choose_importer import applier
from realtime.importers.linking import (
    bills_of_tied_votes,
    link_related_bills,
    link_votes,
    related_counts,
)
from realtime.importers.name_matches import NamesFound
from realtime.importers.outcomes import failure, outcome_of
from realtime.importers.referents import referents_digest
from realtime.ledger import changes, flags, locations, titles
from realtime.ledger import files as ledger_files
from realtime.ledger.history import LedgerHistory, authoritative_runs, named_actions
from realtime.ledger.pauses import BREAKER, open_pause, pause
from realtime.ledger.remembered_actions import remember_actions
from realtime.models import File, Outcome, Pause

logger = logging.getLogger(__name__)

# Types of files that say what the names in others mean.
_SAYING = ("jurisdiction", "person")
# Anything else is no scrape id, and may be more than a query can hold.
_PLAIN_ID = re.compile(r"[\w-]{1,100}", re.ASCII)


def import_batch(
    context: RunContext, jurisdiction_id: str, files: Sequence[InFlightFile], lock_wait: float
) -> list[InFlightFile]:
    """Import `files`, in the order given, and record each outcome, all in one transaction.

    Returns the files that are finished then; one that was not tried has no outcome, and its
    message must come again. When this raises, nothing is committed and no file is finished.

    Files of a paused jurisdiction are parked. So are all of these when they trip the breaker, which
    pauses the jurisdiction first.

    Waits at most `lock_wait` seconds for another batch of the jurisdiction. Raises RetryLater when
    the jurisdiction stays busy (Busy) or the database interrupts (Unavailable when it is
    read-only), and anything else when one of the files breaks the batch as a whole.
    """
    try:
        return _import_batch(context, jurisdiction_id, files, lock_wait)
    except _Tripped as tripped:
        pause_by_breaker(jurisdiction_id, str(tripped))
    return _import_batch(context, jurisdiction_id, files, lock_wait)


class _Tripped(RealtimeError):
    """These files trip the breaker: its text says why."""


def _import_batch(
    context: RunContext, jurisdiction_id: str, files: Sequence[InFlightFile], lock_wait: float
) -> list[InFlightFile]:
    try:
        with transaction.atomic():
            lock_jurisdiction(jurisdiction_id, lock_wait)
            pause = open_pause(jurisdiction_id) if context.breaker else None
            batch = _Batch(context.importer, jurisdiction_id, files, pause)
            done = batch.run(context.must_stop)
            if context.breaker and (why := context.breaker.trips(jurisdiction_id, done)):
                raise _Tripped(why)
            context.before_commit()
    except (RetryLater, _Tripped):
        raise
    except Exception as exc:
        if interruption := interrupted(exc):
            # A standby can import no file of any jurisdiction.
            kind = Unavailable if error_code(interruption) == READ_ONLY else RetryLater
            raise kind(f"{jurisdiction_id} was interrupted: {_line(exc)}") from exc
        raise
    committed_at = datetime.now(UTC)
    for file, outcome in done:
        file.finish(outcome, batch.ledger_ids[file.identity], committed_at)
    context.flagged(batch.raised)
    if context.breaker:
        context.breaker.add(jurisdiction_id, done)
    return [file for file, _ in done]


def pause_by_breaker(jurisdiction_id: str, reason: str) -> None:
    """Pause a jurisdiction whose files trip the breaker, in a transaction of its own."""
    pause(jurisdiction_id, BREAKER, reason)
    logger.warning(
        "jurisdiction paused by the breaker",
        extra={"action": "paused", "jurisdiction_id": jurisdiction_id, "cause": reason},
    )


def fail_alone(context: RunContext, file: InFlightFile, exc: Exception) -> None:
    """Record a file that breaks even a batch of its own: as failed, or as parked when it trips the
    breaker. Raises RetryLater as import_batch does."""
    outcome: FileOutcome = failure(file.ready(), exc)
    whose, breaker = file.jurisdiction_id, context.breaker
    if breaker and (why := breaker.trips(whose, [(file, outcome)])):
        pause_by_breaker(whose, why)
        outcome = Paused(why)
    # Without its content: some of that may be what the ledger could not hold.
    result = replace(file.result(outcome), file=None)
    with transaction.atomic():
        now = ledger_files.database_now()
        ledger_ids = ledger_files.record([result], now)
        context.before_commit()
    file.finish(outcome, ledger_ids[file.identity])
    if breaker:
        breaker.add(whose, [(file, outcome)])


class _Batch:
    """The batch within its transaction. `ledger_ids` are the rows of its files once it has run."""

    def __init__(
        self,
        importer: str,
        jurisdiction_id: str,
        files: Sequence[InFlightFile],
        pause: Pause | None,
    ) -> None:
        # Taken while the lock is held, so that it grows from batch to batch of a jurisdiction
        # whatever the clocks of the hosts say.
        self._now = ledger_files.database_now()
        self._jurisdiction_id = jurisdiction_id
        self._files = files
        self._pause = pause
        history = LedgerHistory(jurisdiction_id)
        history.preload("bill", bills_named([file.ready() for file in files]))
        self._applier = applier(importer, jurisdiction_id, history)
        self._referents: int | None = None
        self.ledger_ids: dict[FileIdentity, int] = {}
        self.raised = Counter[str]()

    def run(self, must_stop: Callable[[], bool]) -> list[tuple[InFlightFile, FileOutcome]]:
        """Import and record; returns the outcome of each file that was tried."""
        known = ledger_files.known([file.identity for file in self._files])
        new, done = self._sort(known)
        tied = remember_actions_of(self._jurisdiction_id, [file.ready() for file in new.values()])
        for attempt in self._apply([file.ready() for file in new.values()], must_stop):
            done.append((new[attempt.file.identity], outcome_of(attempt)))
        self.ledger_ids = self._record(done, known)
        # The repeat of a file that there was no time for must come again as well.
        done = [(file, outcome) for file, outcome in done if file.identity in self.ledger_ids]
        results = [file.result(outcome) for file, outcome in done]
        retied = link_references(self._jurisdiction_id, results, tied, self._now)
        recorded = [(result, self.ledger_ids[result.identity]) for result in results]
        names = self._applier.names_found()
        self.raised = note_outcomes(self._jurisdiction_id, recorded, retied, names, self._now)
        return done

    def _apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        """Import `files`; notes what names can mean between those that say so and the others."""
        first = [file for file in files if file.content.object_type in _SAYING]
        others = [file for file in files if file.content.object_type not in _SAYING]
        yield from self._applier.apply(first, must_stop)
        # Before the others: what another process changes meanwhile has to make a difference later.
        # Without a run no file is ever imported again.
        if any(file.delivery.run_id for file in files):
            self._referents = referents_digest(self._jurisdiction_id)
        yield from self._applier.apply(others, must_stop)
        if self._applier.asked_for_more():
            self._referents = None

    def _sort(
        self, known: Mapping[FileIdentity, File]
    ) -> tuple[dict[FileIdentity, InFlightFile], list[tuple[InFlightFile, FileOutcome]]]:
        """The files to import, and those that need no import."""
        new: dict[FileIdentity, InFlightFile] = {}
        done: list[tuple[InFlightFile, FileOutcome]] = []
        seen: set[FileIdentity] = set()
        for file in self._files:
            row = known.get(file.identity)
            file.retried = row is not None and row.retried_at is not None
            had_outcome = row is not None and row.outcome != Outcome.DEFERRED
            if had_outcome or file.identity in seen:
                done.append((file, Ignored(repeated=True)))
            elif file.object_type in IGNORED_TYPES:
                done.append((file, Ignored()))
            elif self._pause:
                done.append((file, Paused(self._pause.reason)))
            else:
                new[file.identity] = file
            seen.add(file.identity)
        return new, done

    def _record(
        self,
        done: Sequence[tuple[InFlightFile, FileOutcome]],
        known: Mapping[FileIdentity, File],
    ) -> dict[FileIdentity, int]:
        new = [file.result(outcome) for file, outcome in done if outcome != Ignored(repeated=True)]
        ledger_ids = {identity: row.id for identity, row in known.items()}
        ledger_ids.update(ledger_files.record(new, self._now, self._referents))
        locations.archive_again(
            [
                row.id
                for row in known.values()
                if row.archived_at and row.outcome != Outcome.DEFERRED
            ]
        )
        return ledger_ids


def remember_actions_of(jurisdiction_id: str, files: Sequence[FetchedFile]) -> list[NamedAction]:
    """The actions to which votes of the bills among `files` are tied. Those of votes without a file
    are remembered.

    To be called before the files are imported: a changed bill gets new action rows.
    """
    sessions, bills = set[str](), set[str]()
    for file in files:
        if file.content.object_type != "bill":
            continue
        session = file.content.data.get("legislative_session")
        try:
            bill = as_stored(file.content.data.get("identifier"))
        except (AttributeError, TypeError, ValueError):
            continue  # importing it will say what is wrong
        # Core finds a session that is given as a number, too.
        if is_storable(str(session)) and is_storable(bill):
            sessions.add(str(session))
            bills.add(str(bill))
    return remember_actions(jurisdiction_id, sessions, bills)


def note_outcomes(
    jurisdiction_id: str,
    results: Sequence[tuple[Result, int]],
    retied: Mapping[str, UUID | None],
    names: NamesFound,
    now: datetime,
    *,
    again: bool = False,
) -> Counter[str]:
    """Log what files changed and raise and resolve flags; returns how many were raised, by kind.

    Each file comes with its id in the ledger; the rows must be written. `retied` is what
    link_references returned. `again`: the files were imported before.
    """
    log, merged = [], set[str]()
    for result, file_id in results:
        outcome, run_id = result.outcome, result.delivery.run_id
        if not isinstance(outcome, Imported | Superseded) or not _changed(outcome):
            continue
        for core_id, had in outcome.difference.merged.items():
            before = Difference(before=had)
            log.append(RowChange(result.object_type, "merged", core_id, before, run_id, file_id))
            merged.add(core_id)
        log.append(
            RowChange(
                result.object_type,
                _verb(outcome),
                outcome.core_id,
                outcome.difference,
                run_id,
                file_id,
            )
        )
    new = {change.core_id for change in log if change.verb == "inserted"}
    log += tie_changes({vote: run for vote, run in retied.items() if vote not in new})
    changes.log(jurisdiction_id, log, now)
    titles.note([change.core_id for change in log if _has_new_title(change)])
    flags.resolve_deleted(merged, now)
    by_order = {
        result.file.content.order: result for result, _ in results if result.file is not None
    }
    unmatched = [
        (flag, len(orders), by_order[max(orders)])
        for flag, orders in names.unmatched.values()
        if max(orders) in by_order
    ]
    named = flags.Names(names.matched, unmatched)
    return flags.record(jurisdiction_id, results, named, now, again=again)


def _has_new_title(change: RowChange) -> bool:
    if change.object_type != "bill":
        return False
    return change.verb == "inserted" or "title" in change.difference.fields


def _changed(outcome: Imported | Superseded) -> bool:
    # A jurisdiction whose file only adds sessions is unchanged to core.
    if outcome.difference.fields:
        return True
    return isinstance(outcome, Imported) and outcome.change != "unchanged"


def _verb(outcome: Imported | Superseded) -> Verb:
    inserted = isinstance(outcome, Imported) and outcome.change == "inserted"
    return "inserted" if inserted else "updated"


def link_references(
    jurisdiction_id: str, results: Sequence[Result], tied: Sequence[NamedAction], now: datetime
) -> dict[str, UUID | None]:
    """Tie what `results`, which must be recorded, brought to what was there, and the other way.

    `tied` is what remember_actions_of returned. Returns the vote events whose action is another
    now, each with the run of its own file among `results`, or of one of its bill.
    """
    retied: dict[str, str] = {}
    applied = [(r, r.outcome) for r in results if isinstance(r.outcome, Imported)]
    bills = [one for result, one in applied if result.object_type == "bill"]
    new = {one.core_id for one in bills if one.change == "inserted"}
    changed = new | {one.core_id for one in bills if one.change == "updated"}
    votes = [one for result, one in applied if result.object_type == "vote_event"]
    # A file older than its row's names the action all the same, if the newer one names none.
    naming: list[Imported | Superseded] = [*votes, *_superseded_votes(results)]
    voted = {one.lookup.bill_id for one in naming if one.core_id and one.lookup.action}
    # A scrape that names no action any more gives up the one that an earlier scrape named.
    voted |= bills_of_tied_votes([one.core_id for one in votes if not one.lookup.action])
    if changed or voted:
        retied = relink((changed | voted) - {""}, tied)
    if changed:
        link_related_bills(jurisdiction_id, changed, new)
    if applied:
        Jurisdiction.objects.filter(id=jurisdiction_id).update(latest_bill_update=now)
    files = [(r.outcome, r.delivery.run_id) for r in results]
    there = [(one, run) for one, run in files if isinstance(one, Imported | Superseded)]
    runs = {one.lookup.bill_id: run for one, run in there}
    runs |= {one.core_id: run for one, run in there}
    return {vote: runs.get(vote) or runs.get(bill) for vote, bill in retied.items()}


def _superseded_votes(results: Sequence[Result]) -> list[Superseded]:
    votes = (result.outcome for result in results if result.object_type == "vote_event")
    return [outcome for outcome in votes if isinstance(outcome, Superseded)]


def relink(
    bill_ids: Collection[str],
    tied: Sequence[NamedAction] = (),
    finalizing: UUID | None = None,
) -> dict[str, str]:
    """Tie the vote events of these bills to their actions, as the ledger says they are named;
    returns what link_votes does.

    A bill whose votes a finalized run has scraped (or the run `finalizing`) is as that run and
    what was scraped since says.
    """
    authoritative = authoritative_runs(bill_ids, finalizing)
    named = named_actions(bill_ids, authoritative)
    return link_votes(bill_ids, named, authoritative, tied)


def tie_changes(retied: Mapping[str, UUID | None]) -> list[RowChange]:
    """What the change log says of vote events that have another action, or none any more."""
    return [
        RowChange(
            "vote_event",
            "updated",
            vote,
            Difference.of({"bill_action"}, counts, counts),
            retied[vote],
        )
        for vote, counts in related_counts(retied).items()
    ]


def bills_named(files: Sequence[FetchedFile]) -> set[str]:
    """The scrape ids of bills that the vote events among `files` name."""
    named = (f.content.data.get("bill") for f in files if f.content.object_type == "vote_event")
    return {bill for bill in named if isinstance(bill, str) and _PLAIN_ID.fullmatch(bill)}


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
