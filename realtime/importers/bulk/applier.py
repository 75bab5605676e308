"""Applies a batch's files as sets, type by type."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any

from django.core.exceptions import MultipleObjectsReturned
from django.db import transaction
from openstates.exceptions import UnresolvedIdError

from realtime.domain.errors import PoisonMessage, Superseded
from realtime.domain.results import FetchedFile
from realtime.importers.bulk.adapters import BillsInBulk, Context, EventsInBulk, VotesInBulk
from realtime.importers.bulk.importer import Spoiled
from realtime.importers.bulk.items import Item
from realtime.importers.core.one_by_one import Attempt, OneByOne, require_jurisdiction
from realtime.importers.history import History


class InBulk:
    """The set-based importers: a fixed handful of statements for all files of a type.

    Jurisdictions and people, of which a scrape has few, go through core one by one. Raises
    UnknownCore (a ConfigurationError) when the installed core is not one they know.
    """

    def __init__(self, jurisdiction_id: str, history: History) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._history = history
        self._one_by_one = OneByOne(jurisdiction_id, history)
        bills = BillsInBulk(jurisdiction_id, history=history)
        votes = VotesInBulk(jurisdiction_id, bills, history=history)
        events = EventsInBulk(jurisdiction_id, votes, history=history)
        self._importers = {"bill": bills, "vote_event": votes, "event": events}

    def apply(
        self, files: Sequence[FetchedFile], must_stop: Callable[[], bool]
    ) -> Iterator[Attempt]:
        for object_type, group in groupby(files, lambda file: file.content.object_type):
            if object_type not in self._importers:
                yield from self._one_by_one.apply(list(group), must_stop)
            elif must_stop():
                return
            else:
                yield from self._set(self._importers[object_type], list(group))

    def _set(self, importer: Any, files: Sequence[FetchedFile]) -> list[Attempt]:
        try:
            require_jurisdiction(self._jurisdiction_id)
        except PoisonMessage as exc:
            return [Attempt(file, error=exc) for file in files]
        items, attempts = _items(files)
        try:
            with transaction.atomic():
                outcomes = importer.import_batch(list(items.values()))
        except Spoiled:
            outcomes = None
        if outcomes is None:
            # Not while handling that: the error would count as the context of every other's.
            items, attempts = _items(files)
            outcomes = importer.import_batch(list(items.values()), carefully=True)
        return attempts + [
            self._attempt(files[at], item, outcome)
            for (at, item), outcome in zip(items.items(), outcomes, strict=True)
        ]

    def _attempt(self, file: FetchedFile, item: Item, outcome: Any) -> Attempt:
        about = item.context.about
        if isinstance(outcome, tuple):
            core_id, what = outcome
            self._history.applied(file, core_id)
            identifier = item.data["identifier"] if file.content.object_type == "bill" else ""
            return Attempt(file, core_id, what, bill_identifier=identifier, about=about)
        if isinstance(outcome, Superseded):
            if outcome.core_id:
                self._history.identified(file, outcome.core_id)
            return Attempt(file, outcome.core_id, error=outcome, about=about)
        return Attempt(file, error=_named(outcome), about=about)


def _items(files: Sequence[FetchedFile]) -> tuple[dict[int, Item], list[Attempt]]:
    """An item for each file, by its place; and the attempts of those that are nested too deeply
    to be read this far down the stack."""
    items: dict[int, Item] = {}
    attempts = []
    for at, file in enumerate(files):
        try:
            data = file.content.fresh()
        except RecursionError as exc:
            attempts.append(Attempt(file, error=exc))
        else:
            context = Context(file.content.order, file.core_id)
            items[at] = Item(file.content.scrape_id, data, context)
    return items, attempts


def _named(exc: Exception) -> Exception:
    if isinstance(exc, UnresolvedIdError):
        return PoisonMessage("unresolved", str(exc))
    if isinstance(exc, MultipleObjectsReturned):
        problem = PoisonMessage("ambiguous", f"it may be any of several rows: {exc}")
        problem.__cause__ = exc
        return problem
    return exc
