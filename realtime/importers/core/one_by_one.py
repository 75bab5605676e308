"""Applies the files of a batch one after the other, through core's importers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from django.db import connection, transaction

from realtime.domain.changes import NO_DIFFERENCE
from realtime.domain.errors import Superseded
from realtime.domain.results import FetchedFile
from realtime.importers.attempts import Attempt, attempt_of, require_jurisdiction
from realtime.importers.core import people
from realtime.importers.core.hooked import Hooked
from realtime.importers.core.importers import Bills, Events, Jurisdictions, VoteEvents
from realtime.importers.core.lookups import CoreLookups
from realtime.importers.history import History
from realtime.importers.items import Applied, Item, Refused, item_of
from realtime.importers.lookups import Lookups
from realtime.importers.name_matches import NamesFound
from realtime.importers.rules import InPieces


def importers_in_pieces(
    jurisdiction_id: str, history: History, lookups: Lookups
) -> dict[str, Hooked]:
    """Core's importer of each type, for a scrape that comes in pieces."""

    def hooked(kind: type[Hooked], *others: Hooked) -> Hooked:
        rules = InPieces(kind.spec, jurisdiction_id, history)
        return kind(jurisdiction_id, *others, lookups=lookups, rules=rules, do_postimport=False)

    bills = hooked(Bills)
    votes = hooked(VoteEvents, bills)
    every = (hooked(Jurisdictions), bills, votes, hooked(Events, votes))
    return {one.spec.object_type: one for one in every}


class OneByOne:
    """Core's importers, a savepoint for each file."""

    def __init__(self, jurisdiction_id: str, history: History) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._history = history
        lookups = CoreLookups(jurisdiction_id)
        self._importers = importers_in_pieces(jurisdiction_id, history, lookups)
        people.forget_organizations()

    def apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        for file in files:
            if must_stop():
                return
            yield self._one(file)

    def names_found(self) -> NamesFound:
        found = NamesFound()
        for importer in self._importers.values():
            found.add(importer.names_found())
        return found

    def asked_for_more(self) -> bool:
        return any(importer.asked_for_more for importer in self._importers.values())

    def _one(self, file: FetchedFile) -> Attempt:
        try:
            item = item_of(file)
        except RecursionError as exc:
            return Attempt(file, error=exc)
        try:
            with transaction.atomic():
                require_jurisdiction(self._jurisdiction_id)
                applied = self._import(file, item)
                _check_constraints()
        except Exception as exc:
            self._forget(file, item)
            return self._refused(file, item, exc)
        return attempt_of(file, item, applied, self._history)

    def _import(self, file: FetchedFile, item: Item) -> Applied:
        if file.content.object_type == "person":
            return people.load(item, self._jurisdiction_id, self._history)
        importer = self._importers[file.content.object_type]
        importer.strip(item)
        applied = importer.import_alone(item)
        importer.json_to_db_id[file.content.scrape_id] = applied.core_id
        return applied

    def _forget(self, file: FetchedFile, item: Item) -> None:
        """What core noted since the savepoint has been rolled back with it."""
        if importer := self._importers.get(file.content.object_type):
            importer.pseudo_id_cache.clear()
            importer.json_to_db_id.pop(file.content.scrape_id, None)

    def _refused(self, file: FetchedFile, item: Item, exc: Exception) -> Attempt:
        added = NO_DIFFERENCE
        if isinstance(exc, Superseded) and file.content.object_type == "jurisdiction":
            try:
                with transaction.atomic():
                    added = self._importers["jurisdiction"].import_sessions(
                        exc.core_id, item, self._history.newest_naming(exc.core_id)
                    )
            except Exception as failure:
                return Attempt(file, error=failure)
        attempt = attempt_of(file, item, Refused(exc), self._history)
        return replace(attempt, difference=added)


def _check_constraints() -> None:
    # Core's foreign keys are deferred: a bad one would pass here and fail everyone's commit.
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")
