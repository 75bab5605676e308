"""The expected result of successive scrapes: core's batch import of each."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from openstates import importers as core
from openstates.data.models import Jurisdiction

from tests.oracle.files import Refused, ScrapedFile, in_order, read
from tests.oracle.importers import Bills, Events, Jurisdictions, Votes, match_actions
from tests.oracle.people import import_people

logger = logging.getLogger(__name__)


def import_scrape(folder: Path, jurisdiction_id: str, postimport: bool = True) -> list[Refused]:
    """Import one finished scrape into the default database, as core's batch import does."""
    return import_files(sorted(folder.glob("*.json")), jurisdiction_id, postimport)


def import_plain(scrapes: Sequence[Sequence[ScrapedFile]], jurisdiction_id: str) -> None:
    """Import each scrape in turn by core's importers as they are, without any repair.

    Raises whatever core raises; then nothing of that scrape is in.
    """
    for files in scrapes:
        with transaction.atomic():
            import_people(files)
            bills = core.BillImporter(jurisdiction_id)
            votes = core.VoteEventImporter(jurisdiction_id, bills)
            importers = {
                "jurisdiction": core.JurisdictionImporter(jurisdiction_id),
                "bill": bills,
                "vote_event": votes,
                "event": core.EventImporter(jurisdiction_id, votes),
            }
            for object_type, importer in importers.items():
                content = (file.content() for file in in_order(files, object_type))
                importer.import_data(content, allow_duplicates=True)


def import_files(
    paths: Iterable[Path], jurisdiction_id: str, postimport: bool = True
) -> list[Refused]:
    """Import these files as core's batch import does; returns those for which core raises."""
    return import_scrapes([read(paths)], jurisdiction_id, postimport)


def import_scrapes(
    scrapes: Sequence[Sequence[ScrapedFile]], jurisdiction_id: str, postimport: bool = True
) -> list[Refused]:
    """Import each scrape in turn as core's batch import does; returns the files for which core
    raises."""
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
    """Files of the scrape failed, so its deletions must not be kept."""


@dataclass
class Importers:
    """The importers of one import. Each finds the rows that the others made."""

    jurisdictions: Jurisdictions
    bills: Bills
    votes: Votes
    events: Events

    @classmethod
    def of(cls, jurisdiction_id: str, postimport: bool, alone: bool) -> "Importers":
        """Make the importers. With `alone`, a file for which core raises is refused, and the import
        goes on."""
        bills = Bills(jurisdiction_id, postimport)
        votes = Votes(jurisdiction_id, bills, postimport)
        events = Events(jurisdiction_id, votes, postimport)
        importers = cls(Jurisdictions(jurisdiction_id, postimport), bills, votes, events)
        for importer in importers.every():
            importer.alone = alone
        return importers

    def remember(self, earlier: "Importers") -> None:
        """The rows that files went to in an earlier import, and the actions that they named."""
        for importer, before in zip(self.every(), earlier.every(), strict=True):
            importer.json_to_db_id.update(before.json_to_db_id)
        self.votes.named.update(earlier.votes.named)
        self.votes.orders.update(earlier.votes.orders)

    def every(self) -> Sequence[Any]:
        return self.jurisdictions, self.bills, self.votes, self.events

    def refused(self) -> list[Refused]:
        return [refused for importer in self.every() for refused in importer.refused]


def import_with(importers: Importers, files: Sequence[ScrapedFile]) -> None:
    """Import all types but people, as core's update command does."""
    importers.votes.order_of = {file.id: file.order for file in files}
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
        # Always: the postimport of bills only links related bills and deletes nothing.
        importers.bills.do_postimport = True
        for before in earlier:
            importers.votes.orders.update(before.orders)
        import_with(importers, files)
        refused += importers.refused()
        if postimport and not all(file.unresolved for file in refused):
            raise _Failed
        _link_actions(importers, earlier)
        Jurisdiction.objects.filter(id=jurisdiction_id).update(latest_bill_update=datetime.now(UTC))
    return importers.votes, refused


def _link_actions(importers: Importers, earlier: Sequence[Votes]) -> None:
    """Link this scrape's votes to their actions.

    A changed bill without votes in this scrape loses its action links; they are made again from the
    last scrape that had votes of it.
    """
    remaining = set(importers.bills.json_to_db_id.values())
    for votes in (importers.votes, *reversed(earlier)):
        named: dict[str, list[str]] = defaultdict(list)
        for name, action in votes.named.items():
            if action.bill in remaining or votes is importers.votes:
                named[action.bill].append(name)
        match_actions(votes, [name for names in named.values() for name in names], named)
        remaining -= set(named)
