"""What both importers must know of a type."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, ClassVar, Protocol
from uuid import UUID

from django.core.exceptions import MultipleObjectsReturned
from django.db.models import Model
from openstates.data.models import LegislativeSession

from realtime.domain.errors import PoisonMessage, Unresolved, WaitingFor
from realtime.domain.results import Claim
from realtime.domain.scraped_object import ScrapeOrder
from realtime.importers.history import History
from realtime.importers.items import Item


@dataclass(frozen=True)
class Way:
    """One way to look a row up: by equal values of `columns`.

    It serves objects, and finds rows, that have something in each of the columns `needs`. Rows of
    a whole batch are read by `read_by` (default: all `columns`), each column having any of the
    batch's values; those are never null.
    """

    name: str
    columns: tuple[str, ...]
    needs: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()

    @cached_property
    def _values(self) -> Any:
        return itemgetter(*self.columns)

    def serves(self, data: Any) -> bool:
        """Whether an object, or a row's columns, have what this way needs."""
        return all(map(data.get, self.needs))

    def key(self, data: Any) -> tuple[Any, ...]:
        """What equals for objects and rows that this way takes for one."""
        return self.name, self._values(data)

    def conditions(self, data: Any) -> dict[str, Any]:
        """The same as conditions of a Django query."""
        return {name: data[name] for name in self.columns}


class StoredRow(Protocol):
    """A row of core's that an object may be, with what the objects before it have changed."""

    @property
    def id(self) -> str:
        """Core's id."""

    def value(self, column: str) -> Any:
        """The row's value of a column."""

    def related(self, name: str) -> Sequence[Mapping[str, Any]]:
        """The columns of its related rows of that name."""


class Claims(Protocol):
    """What the rules of identity ask about the files that are in."""

    def newest(self, core_id: str) -> ScrapeOrder | None:
        """The scrape order of the file last applied to a row; None when none is known."""

    def sole(self, core_id: str, order: ScrapeOrder) -> bool:
        """Whether the file of this place in the scrape order is the only one known of a row."""

    def claim(self, core_id: str, run_id: UUID | None) -> Claim | None:
        """What this run's files say of that row; None when none of them is the row."""


@dataclass
class Mentions:
    """What the objects of a batch refer to, before anyone has checked them.

    `bills` and `vote_events` are pseudo ids; `named_bills` scrape id, identifier and session of a
    vote event's bill; `agenda` pseudo id and day of a bill on an event's agenda; `places` name and
    url.
    """

    sessions: set[Any] = field(default_factory=set)
    people: set[Any] = field(default_factory=set)
    bills: set[Any] = field(default_factory=set)
    vote_events: set[Any] = field(default_factory=set)
    named_bills: set[tuple[Any, Any, Any]] = field(default_factory=set)
    agenda: set[tuple[Any, Any]] = field(default_factory=set)
    places: set[tuple[Any, Any]] = field(default_factory=set)


class References(Protocol):
    """What a type's waits are decided by. Core's importers, hooked, answer it."""

    def get_session(self, identifier: Any) -> LegislativeSession:
        """Raises LegislativeSession.DoesNotExist."""

    def bill_of(self, scrape_id: str) -> str | None:
        """The row of the bill with this scrape `_id`, whichever import brought it."""

    def bills_called(self, session: LegislativeSession, identifier: str) -> Sequence[str]:
        """The rows of the bills of a session with an identifier, written as core stores it."""

    def bills_described(self, described: dict[str, Any]) -> Sequence[str]:
        """The rows of the bills that answer to the query of a pseudo id, two at the most."""

    def take_for_bill(self, scrape_id: str, core_id: str) -> None:
        """Resolve this scrape `_id` to this bill from now on."""


class Spec:
    """The rules of one type.

    `ways` are tried in order: the first that serves an object looks up its row. `described_by`
    are the parts of a pseudo id that a batch can look up at once; it must have the first. Core's
    importers take `not_imported` off an object.
    """

    object_type: ClassVar[str]
    model: ClassVar[type[Model]]
    ways: ClassVar[tuple[Way, ...]]
    described_by: ClassVar[tuple[str, ...]] = ()
    # Whether files of one run may compete for one row, so that their contents matter.
    competes: ClassVar[bool] = False
    # Related rows that core reads with a row, to compare them: its own choice.
    prefetched: ClassVar[tuple[str, ...]] = ()
    not_imported: ClassVar[tuple[str, ...]] = ("_id", "jurisdiction", "scraped_at")

    # -- identity -----------------------------------------------------------------------------

    def way(self, data: dict[str, Any]) -> Way:
        """By what the row of an object is looked up."""
        return next(way for way in self.ways if way.serves(data))

    def key(self, data: dict[str, Any]) -> tuple[Any, ...] | None:
        """The object's key among those of a batch; None when its values are no plain ones."""
        way = self.way(data)
        key = way.key(data)
        values = key[1] if len(way.columns) > 1 else (key[1],)
        plain = all(value is None or isinstance(value, str | UUID) for value in values)
        return key if plain else None

    def keys(self, values: Any) -> list[tuple[Any, ...]]:
        """All keys by which objects find a row with these columns."""
        return [way.key(values) for way in self.ways if way.serves(values)]

    def choose(
        self, item: Item, known: StoredRow | None, rows: Sequence[StoredRow], claims: Claims
    ) -> StoredRow | None:
        """Which row the object is; None for a new one. May flag the item.

        `known` is the row that it was applied to before, if that is still there; `rows` are those
        that its lookup finds. Raises MultipleObjectsReturned, as core does, where it may be any of
        several.
        """
        return known or only_one(rows)

    # -- references ---------------------------------------------------------------------------

    def mention(self, data: dict[str, Any], mentions: Mentions) -> None:
        """Add what an unchecked object refers to. May raise where it is malformed."""

    # -- a scrape that comes in pieces ----------------------------------------------------------

    def require(self, item: Item, references: References) -> None:
        """Raises Unresolved for what the object must wait for, PoisonMessage for what is wrong."""

    def resolved(self, item: Item, history: History) -> None:
        """Complete an object whose references have been resolved."""

    def require_own(self, core_id: str, jurisdiction_id: str) -> None:
        """Raises PoisonMessage when the jurisdiction's files may not change this row."""

    def require_new(self, item: Item, jurisdiction_id: str, history: History) -> None:
        """Raises Superseded or PoisonMessage when the object may not make a new row."""


def urls_of(sources: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The addresses of an object's sources, for people to look at; ten at the most."""
    return [source.get("url") for source in sources[:10]]


def only_one(rows: Sequence[StoredRow]) -> StoredRow | None:
    """The one row, or None where there is none. Raises MultipleObjectsReturned."""
    if len(rows) > 1:
        raise MultipleObjectsReturned(f"{len(rows)} rows are found by the same key")
    return rows[0] if rows else None


def require_session(identifier: Any, references: References) -> LegislativeSession:
    """The legislative session of an object.

    Raises Unresolved when it has not arrived, PoisonMessage when no session could ever be called
    that: to wait for it would only put the failure off.
    """
    text = isinstance(identifier, str | int) and not isinstance(identifier, bool)
    if not text or identifier == "":
        raise PoisonMessage(
            "invalid",
            f"legislative_session names no session: {ascii(identifier)[:100]}",
            "legislative_session",
        )
    width = LegislativeSession._meta.get_field("identifier").max_length
    if isinstance(identifier, str) and len(identifier) > width:
        raise PoisonMessage(
            "too-long",
            f"legislative_session has {len(identifier)} characters, its column holds {width}",
            "legislative_session",
        )
    try:
        return references.get_session(identifier)
    except LegislativeSession.DoesNotExist as exc:
        raise Unresolved(WaitingFor(session=str(identifier))) from exc


# What an entity in a list may refer to.
MEMBERS = ("person_id", "organization_id")


def name_all(entities: Sequence[dict[str, Any]], references: Sequence[str]) -> None:
    """Let every entity of a list say what it refers to, if only that it is nothing.

    Core compares only what the first of a list names, and would not notice that another's
    reference can be resolved now.
    """
    for entity in entities:
        for name in references:
            entity.setdefault(name, None)
