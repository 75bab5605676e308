"""What an import does at each step of an object's way: as core, or as a scrape in pieces needs."""

from collections.abc import Mapping, Sequence
from typing import Any

from realtime.domain.errors import Superseded
from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.spec import References, Spec


class Rules:
    """The rules of core's own import of a whole scrape: nothing is refused, nothing waits.

    Each method is called at one step of an object's import and may raise, which refuses the object.
    """

    # Core unlinks what points to an action that it replaces by an equal one; with this, such
    # links stay.
    keep_links = False

    def row_of(self, scrape_id: str) -> str | None:
        """The row of an object that another import brought."""
        return None

    def require(self, item: Item, references: References) -> None:
        """Before references are resolved. `item.data` is as it was scraped."""

    def resolved(self, item: Item) -> None:
        """After that; `item.data` holds columns."""

    def loaded(self, items: Sequence[Item], records: Mapping[str, Any] | None) -> None:
        """The rows that these objects may be have been read; None for one that core imports."""

    def deciding(self, item: Item) -> None:
        """Its row is looked up next; the objects before it are in, or in memory."""

    def found(self, item: Item, core_id: str) -> None:
        """The object is this row, which an earlier batch or the database brought."""

    def not_found(self, item: Item) -> None:
        """The object is a new row."""

    def entered(self, core_id: str, values: Mapping[str, Any]) -> None:
        """A set of rows has got this one, or has changed it to these columns."""

    def wrote(self) -> None:
        """What was loaded last is in the database."""


class InPieces(Rules):
    """The rules of a type whose scrape comes in pieces: its spec's, and what the ledger knows."""

    # Votes are tied to actions by `link_votes`, after the batch.
    keep_links = True

    def __init__(self, spec: Spec, jurisdiction_id: str, history: History) -> None:
        self._spec = spec
        self._jurisdiction_id = jurisdiction_id
        self._history = history

    def row_of(self, scrape_id: str) -> str | None:
        return self._history.row_of(self._spec.object_type, scrape_id)

    def require(self, item: Item, references: References) -> None:
        self._spec.require(item, references)

    def resolved(self, item: Item) -> None:
        self._spec.resolved(item, self._history)

    def loaded(self, items: Sequence[Item], records: Mapping[str, Any] | None) -> None:
        self._history.preload_newest(records or ())

    def found(self, item: Item, core_id: str) -> None:
        self._spec.require_own(core_id, self._jurisdiction_id)
        newest = self._history.newest(core_id)
        if newest is not None and newest > item.order:
            raise Superseded(core_id)

    def not_found(self, item: Item) -> None:
        self._spec.require_new(item, self._jurisdiction_id, self._history)
