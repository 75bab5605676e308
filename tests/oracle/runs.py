"""The expected result of scrape runs that overlap in time, in whatever order they arrived."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from django.db import transaction
from openstates.data.models import Event, Jurisdiction, VoteEvent

from tests.oracle.files import Refused, Run, ScrapedFile, in_order
from tests.oracle.importers import Action, Votes, match_actions, tied_actions
from tests.oracle.people import import_people
from tests.oracle.truth import Importers, import_with


def import_runs(runs: Sequence[Run], jurisdiction_id: str) -> list[Refused]:
    """Import all files of all runs as one scrape, then finalize each run in the order of starts.

    Returns the files for which core raises. A run with failed files deletes nothing.
    """
    return import_in_turn([runs], jurisdiction_id)


def import_in_turn(
    groups: Iterable[Sequence[Run]],
    jurisdiction_id: str,
    before: Callable[[int], object] = lambda number: None,
) -> list[Refused]:
    """Import groups of runs one after the other; the runs of one group overlap, see `import_runs`.

    `before` is called with the number of each group before it is imported.
    """
    refused: list[Refused] = []
    earlier: Importers | None = None
    files: list[ScrapedFile] = []
    past: list[Run] = []
    with transaction.atomic():
        for number, runs in enumerate(groups):
            before(number)
            refused += import_people(*(run.files for run in runs))
            importers = Importers.of(jurisdiction_id, False, alone=True)
            importers.votes.run_of = {
                file.id: (number, place) for place, run in enumerate(runs) for file in run.files
            }
            if earlier:
                importers.remember(earlier)
            files += [file for run in runs for file in run.files]
            refused += _import_group(importers, files, past, runs)
            earlier, past = importers, [*past, *runs]
    Jurisdiction.objects.filter(id=jurisdiction_id).update(latest_bill_update=datetime.now(UTC))
    return refused


def _import_group(
    importers: Importers, files: Sequence[ScrapedFile], past: Sequence[Run], runs: Sequence[Run]
) -> list[Refused]:
    tied = tied_actions()
    import_with(importers, [file for run in runs for file in run.files])
    # Core unlinks the vote events of a changed bill: those without a file keep their actions.
    scraped = set(importers.votes.json_to_db_id.values())
    kept = {vote: action for vote, action in tied.items() if vote not in scraped}
    every = [file.id for file in in_order(files, "vote_event")]
    named = [name for name in every if name in importers.votes.named]
    match_actions(importers.votes, named, {action[0] for action in kept.values()}, kept)
    refused = importers.refused()
    failed = {file.id for file in refused if not file.unresolved}
    finals = [run for run in (*past, *runs) if run.final]
    decided = {bill for run in finals for bill in _voted(importers.votes, run)}
    for run in sorted(past, key=lambda run: run.started):
        # What was decided about its vote events also holds where a bill has new actions.
        _Finalization(importers, files, run, False, kept, decided).link_votes()
    for run in sorted(runs, key=lambda run: run.started):
        deletes = run.deletes and failed.isdisjoint(file.id for file in run.files)
        _Finalization(importers, files, run, deletes, kept, decided).apply()
    return refused


def _voted(votes: Votes, run: Run) -> set[str]:
    """The bills of the run's vote events."""
    ours = in_order(run.files, "vote_event")
    return {votes.named[file.id].bill for file in ours if file.id in votes.named} - {None}


class _Finalization:
    def __init__(
        self,
        importers: Importers,
        files: Sequence[ScrapedFile],
        run: Run,
        deletes: bool,
        kept: Mapping[str, Action],
        decided: Collection[str],
    ) -> None:
        self._importers = importers
        self._files = files
        self._run = run
        self._deletes = deletes
        # A final run decides about all vote events of its bills.
        self._kept = {} if run.final else kept
        # One that does not end decides about none that a final run has scraped: its files count
        # as scraped since.
        self._decided: Collection[str] = () if run.final else decided
        self._ids = {file.id for file in run.files}

    def apply(self) -> None:
        self.link_votes()
        self._link_events()
        if _rows(in_order(self._run.files, "bill"), self._importers.bills.json_to_db_id):
            self._importers.bills.postimport()

    def link_votes(self) -> None:
        votes = self._importers.votes
        ours = in_order(self._run.files, "vote_event")
        bills = _voted(votes, self._run) - {*self._decided}
        if self._deletes:
            newest = _newest(in_order(self._files, "vote_event"), votes.json_to_db_id)
            seen = _rows(ours, votes.json_to_db_id)
            stale = [
                row
                for row in VoteEvent.objects.filter(
                    bill_id__in=bills - {votes.unresolved.get(file.id) for file in ours}
                ).values_list("id", flat=True)
                if row not in seen and self._is_older(newest.get(row))
            ]
            VoteEvent.objects.filter(id__in=stale).delete()
        counting = [
            file.id
            for file in in_order(self._files, "vote_event")
            if file.id in votes.named and (file.id in self._ids or not self._is_older(file))
        ]
        match_actions(votes, counting, bills, self._kept)

    def _link_events(self) -> None:
        events = self._importers.events
        every = in_order(self._files, "event")
        ours = in_order(self._run.files, "event")
        newest = _newest(every, events.json_to_db_id)
        seen = _rows(ours, events.json_to_db_id)
        if not seen:
            return
        # A reference that matched two votes may match one, now that stale votes are deleted.
        self._importers.votes.pseudo_id_cache.clear()
        newest_ids = {file.id for file in newest.values()}
        again = [file for file in ours if file.id in newest_ids]
        events.import_data((file.content() for file in again), allow_duplicates=True)
        if self._deletes:
            jurisdiction = Event.objects.filter(jurisdiction_id=events.jurisdiction_id)
            missing = [
                row
                for row in jurisdiction.values_list("id", flat=True)
                if row not in seen and self._is_older(newest.get(row))
            ]
            Event.objects.filter(id__in=missing).update(deleted=True)

    def _is_older(self, file: ScrapedFile | None) -> bool:
        """Whether `file` was scraped before the start of the run; True for a row without a file."""
        return file is None or file.ticks < self._run.started


def _newest(files: Iterable[ScrapedFile], rows: dict[str, str]) -> dict[str, ScrapedFile]:
    """The newest of `files`, which are in scrape order, for each row."""
    return {rows[file.id]: file for file in files if file.id in rows}


def _rows(files: Iterable[ScrapedFile], rows: dict[str, str]) -> set[str]:
    return {rows[file.id] for file in files if file.id in rows}
