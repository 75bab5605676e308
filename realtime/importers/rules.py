"""What an import does at each step of an object's way: as core, or as a scrape in pieces needs."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from realtime.domain.errors import Superseded
from realtime.domain.results import Claim
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.history import History
from realtime.importers.items import Item
from realtime.importers.specs.spec import References, Spec, StoredRow, only_one


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

    def choose(
        self, item: Item, known: StoredRow | None, rows: Sequence[StoredRow]
    ) -> StoredRow | None:
        """Which row the object is; None for a new one. `known` is the one that it was applied to
        before, `rows` are those that its lookup finds."""
        return known or only_one(rows)

    def found(self, item: Item, row: StoredRow) -> None:
        """The object is this row, which an earlier batch or the database brought."""

    def not_found(self, item: Item) -> None:
        """The object is a new row."""

    def applied(self, item: Item, core_id: str, *, new: bool) -> None:
        """The object has been applied to this row, or is this `new` one."""

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
        # By row and run, of the files that are in or decided on.
        self._claims: dict[tuple[str, UUID], Claim | None] = {}

    def row_of(self, scrape_id: str) -> str | None:
        return self._history.row_of(self._spec.object_type, scrape_id)

    def require(self, item: Item, references: References) -> None:
        self._spec.require(item, references)

    def resolved(self, item: Item) -> None:
        self._spec.resolved(item, self._history)

    def loaded(self, items: Sequence[Item], records: Mapping[str, Any] | None) -> None:
        self._history.preload_newest(records or ())
        # What an earlier attempt claimed has been rolled back.
        self._claims.clear()
        if self._spec.competes:
            runs = {item.run_id for item in items if item.run_id is not None}
            self._claims.update(self._history.claims(records or (), runs))

    def choose(
        self, item: Item, known: StoredRow | None, rows: Sequence[StoredRow]
    ) -> StoredRow | None:
        return self._spec.choose(item, known, rows, self)

    def found(self, item: Item, row: StoredRow) -> None:
        self._spec.require_own(row.id, self._jurisdiction_id)
        self._claim(item, row.id)
        newest = self._history.newest(row.id)
        if newest is not None and newest > item.order:
            raise Superseded(row.id)

    def not_found(self, item: Item) -> None:
        self._spec.require_new(item, self._jurisdiction_id, self._history)

    def applied(self, item: Item, core_id: str, *, new: bool) -> None:
        self._claim(item, core_id, new=new)

    def wrote(self) -> None:
        for (core_id, run_id), claim in self._claims.items():
            if claim is not None:
                self._history.claimed(core_id, run_id, claim)

    # -- what the spec asks ---------------------------------------------------------------------

    def newest(self, core_id: str) -> ScrapeOrder | None:
        return self._history.newest(core_id)

    def sole(self, core_id: str, order: ScrapeOrder) -> bool:
        return self._history.sole(core_id, order)

    def claim(self, core_id: str, run_id: UUID | None) -> Claim | None:
        if run_id is None:
            return None
        if (core_id, run_id) not in self._claims:
            self._claims[core_id, run_id] = self._history.claim(core_id, run_id)
        return self._claims[core_id, run_id]

    def _claim(self, item: Item, core_id: str, *, new: bool = False) -> None:
        if item.run_id is not None and self._spec.competes:
            claim = Claim.of(item.about.content, item.about.keys, item.order)
            before = None if new else self.claim(core_id, item.run_id)
            self._claims[core_id, item.run_id] = claim | before if before else claim
