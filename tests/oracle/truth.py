"""What core's batch import leaves of scrapes that follow one another."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from openstates.data.models import Jurisdiction
from openstates.models.people import Person
from openstates.utils.people import to_database

from tests.oracle.files import Refused, ScrapedFile, in_order, read
from tests.oracle.importers import Bills, Events, Jurisdictions, Votes, match_actions

logger = logging.getLogger(__name__)


def import_scrape(folder: Path, jurisdiction_id: str, postimport: bool = True) -> list[Refused]:
    """Core's batch import of one finished scrape into the default database."""
    return import_files(sorted(folder.glob("*.json")), jurisdiction_id, postimport)


def import_files(
    paths: Iterable[Path], jurisdiction_id: str, postimport: bool = True
) -> list[Refused]:
    """Core's batch import of these files; returns those that core would have raised for."""
    return import_scrapes([read(paths)], jurisdiction_id, postimport)


def import_scrapes(
    scrapes: Sequence[Sequence[ScrapedFile]], jurisdiction_id: str, postimport: bool = True
) -> list[Refused]:
    """Core's batch import of each scrape in turn; returns the files it would have raised for."""
    refused: list[Refused] = []
    earlier: list[Votes] = []
    for files in scrapes:
        votes, more = _import_one(files, jurisdiction_id, postimport, earlier)
        earlier.append(votes)
        refused += more
    return refused


def _import_one(
    files: Sequence[ScrapedFile], jurisdiction_id: str, postimport: bool, earlier: Sequence[Votes]
) -> tuple[Votes, list[Refused]]:
    try:
        return _import(files, jurisdiction_id, postimport, earlier, alone=False)
    except Exception as exc:
        logger.info("core gives up, each file is imported alone: %s", exc)
    try:
        return _import(files, jurisdiction_id, postimport, earlier, alone=True)
    except _Failed:
        return _import(files, jurisdiction_id, False, earlier, alone=True)


class _Failed(Exception):
    """Something was deleted for a scrape that turned out to have failed files."""


@dataclass
class Importers:
    """One import's importers, which find each other's rows."""

    jurisdictions: Jurisdictions
    bills: Bills
    votes: Votes
    events: Events

    @classmethod
    def of(cls, jurisdiction_id: str, postimport: bool, alone: bool) -> "Importers":
        """With `alone`, a file that core raises for is refused, instead of ending the import."""
        bills = Bills(jurisdiction_id, postimport)
        votes = Votes(jurisdiction_id, bills, postimport)
        events = Events(jurisdiction_id, votes, postimport)
        importers = cls(Jurisdictions(jurisdiction_id, postimport), bills, votes, events)
        for importer in importers.every():
            importer.alone = alone
        return importers

    def every(self) -> Sequence[Any]:
        return self.jurisdictions, self.bills, self.votes, self.events

    def refused(self) -> list[Refused]:
        return [refused for importer in self.every() for refused in importer.refused]


def import_people(files: Iterable[ScrapedFile]) -> list[Refused]:
    """Core's own way of loading people, each alone."""
    to_database.cached_lookup.cache_clear()
    refused = []
    for file in in_order(files, "person"):
        try:
            with transaction.atomic():
                to_database.load_person(Person(**file.content()))
        except (to_database.CancelTransaction, ValueError) as exc:
            why = f"{type(exc).__name__}: {exc}"
            refused.append(Refused(file.id, why, isinstance(exc, to_database.CancelTransaction)))
    return refused


def import_with(importers: Importers, files: Sequence[ScrapedFile]) -> None:
    """Core's import of all types but people, as its update command does it."""
    for object_type, importer in (
        ("jurisdiction", importers.jurisdictions),
        ("bill", importers.bills),
        ("vote_event", importers.votes),
        ("event", importers.events),
    ):
        content = (file.content() for file in in_order(files, object_type))
        importer.import_data(content, allow_duplicates=True)


def _import(
    files: Sequence[ScrapedFile],
    jurisdiction_id: str,
    postimport: bool,
    earlier: Sequence[Votes],
    alone: bool,
) -> tuple[Votes, list[Refused]]:
    with transaction.atomic():
        refused = import_people(files)
        importers = Importers.of(jurisdiction_id, postimport, alone)
        # Deleting is what a scrape with failed files must not do; resolving bills is harmless.
        importers.bills.do_postimport = True
        import_with(importers, files)
        refused += importers.refused()
        if postimport and not all(one.unresolved for one in refused):
            raise _Failed
        _tie_actions(importers, earlier)
        Jurisdiction.objects.filter(id=jurisdiction_id).update(latest_bill_update=datetime.now(UTC))
    return importers.votes, refused


def _tie_actions(importers: Importers, earlier: Sequence[Votes]) -> None:
    """Match this scrape's votes; and those that lost their action because a bill without votes in
    this scrape has changed, by what the last scrape that had any said."""
    left = set(importers.bills.json_to_db_id.values())
    for votes in (importers.votes, *reversed(earlier)):
        named: dict[str, list[str]] = defaultdict(list)
        for name, action in votes.named.items():
            if action.bill in left or votes is importers.votes:
                named[action.bill].append(name)
        match_actions(votes, [name for names in named.values() for name in names], named)
        left -= set(named)
