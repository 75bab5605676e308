"""Applies a batch's files as sets, type by type."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from django.db import transaction

from realtime.domain.errors import PoisonMessage
from realtime.domain.results import FetchedFile
from realtime.importers.attempts import Attempt, attempt_of, require_jurisdiction
from realtime.importers.bulk.executor import SetExecutor
from realtime.importers.bulk.lookups import BatchLookups
from realtime.importers.core.one_by_one import OneByOne, importers_in_pieces
from realtime.importers.history import History
from realtime.importers.items import Item, item_of
from realtime.importers.name_matches import NamesFound

_IN_SETS = ("bill", "vote_event", "event")


class InBulk:
    """The set-based importers: a fixed handful of statements for all files of a type.

    Jurisdictions and people, of which a scrape has few, go through core one by one.
    """

    def __init__(self, jurisdiction_id: str, history: History) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._history = history
        self._one_by_one = OneByOne(jurisdiction_id, history)
        lookups = BatchLookups(jurisdiction_id)
        importers = importers_in_pieces(jurisdiction_id, history, lookups)
        self._in_sets = [importers[name] for name in _IN_SETS]
        self._executors = {name: SetExecutor(importers[name], lookups) for name in _IN_SETS}

    def apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        for object_type, group in groupby(files, lambda file: file.content.object_type):
            if object_type not in self._executors:
                yield from self._one_by_one.apply(list(group), must_stop)
            elif must_stop():
                return
            else:
                yield from self._set(self._executors[object_type], list(group))

    def names_found(self) -> NamesFound:
        found = self._one_by_one.names_found()
        for importer in self._in_sets:
            found.add(importer.names_found())
        return found

    def asked_for_more(self) -> bool:
        return self._one_by_one.asked_for_more() or any(
            importer.asked_for_more for importer in self._in_sets
        )

    def _set(self, executor: SetExecutor, files: Sequence[FetchedFile]) -> list[Attempt]:
        try:
            require_jurisdiction(self._jurisdiction_id)
        except PoisonMessage as exc:
            return [Attempt(file, error=exc) for file in files]
        items, attempts = _items(files)
        with transaction.atomic():
            done = executor.import_items(list(items.values()))
            if not done:
                # One item's query aborted the shared transaction.
                transaction.set_rollback(True)
        if not done:
            items, attempts = _items(files)
            executor.import_items(list(items.values()), carefully=True)
        for at, item in items.items():
            assert item.outcome is not None
            attempts.append(attempt_of(files[at], item, item.outcome, self._history))
        return attempts


def _items(files: Sequence[FetchedFile]) -> tuple[dict[int, Item], list[Attempt]]:
    """An item for each file, by its place; and the attempts of those that are nested too deeply
    to be read this far down the stack."""
    items: dict[int, Item] = {}
    attempts = []
    for at, file in enumerate(files):
        try:
            items[at] = item_of(file)
        except RecursionError as exc:
            attempts.append(Attempt(file, error=exc))
    return items, attempts
