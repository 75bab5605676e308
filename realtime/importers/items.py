"""Objects on their way into core's tables, and what came of each."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from realtime.domain.changes import NO_DIFFERENCE, Difference
from realtime.domain.flags import Flag
from realtime.domain.results import FetchedFile, LookupKeys
from realtime.domain.scraped_object import ScrapeOrder


@dataclass(frozen=True)
class Applied:
    """The object is in: in row `core_id`, by core's word `insert`, `update` or `noop`."""

    core_id: str
    what: str
    difference: Difference = NO_DIFFERENCE


@dataclass(frozen=True)
class Refused:
    """The object is not in and left nothing behind; `error` says why."""

    error: Exception


Outcome = Applied | Refused
FIRST = ScrapeOrder(0, "", 0)


@dataclass(eq=False)
class Item:
    """One object to import. `data` is changed on the way.

    `json_id` is what other objects may call it; None when nothing will. `order` is its place in
    the scrape order, `core_id` the row that it was applied to before (empty: none), `run_id` its
    scrape run. `about`, `action` (the bill action that a vote event names), `bill_identifier` and
    `agenda` (the rows that each bill on it may be) are what its type's rules find out or take off.
    Once `resolved`, `data` holds columns and `key` says how its row is looked up: None when only
    core can. Rules append to `flags` what a person should look at; those of an object that is
    refused are dropped.
    """

    json_id: str | None
    data: dict[str, Any]
    order: ScrapeOrder = FIRST
    core_id: str = ""
    run_id: UUID | None = None
    about: LookupKeys = field(default_factory=LookupKeys)
    action: Any = ""
    bill_identifier: Any = None
    agenda: dict[str, list[str]] = field(default_factory=dict)
    resolved: bool = False
    unresolved: Exception | None = None
    key: tuple[Any, ...] | None = None
    outcome: Outcome | None = None
    flags: list[Flag] = field(default_factory=list)


def item_of(file: FetchedFile) -> Item:
    """The object in a file. Raises RecursionError when it is nested too deeply to be read here."""
    content, run_id = file.content, file.delivery.run_id
    item = Item(content.scrape_id, content.fresh(), content.order, file.core_id, run_id)
    if content.clock_ahead:
        item.flags.append(Flag("clock-ahead", detail={"seconds": round(content.clock_ahead)}))
    return item
