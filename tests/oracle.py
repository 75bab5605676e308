"""Core's own batch import, as the truth that imports in pieces are compared with.

Nothing here uses the code under test. What is repaired in core only removes its dependence on
the order in which the file system lists files.
"""

import contextlib
import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from openstates import importers as core
from openstates.data.models import Bill, Jurisdiction, VoteEvent
from openstates.exceptions import UnresolvedIdError


class _OneCachePerChamber:
    """Core's cache of people forgets the chamber, so that files' order decides on namesakes."""

    def resolve_person(self, name: str, *dates: Any, **more: Any) -> Any:
        chamber = more.get("org_classification") or (dates[2] if len(dates) > 2 else None)
        caches = self.__dict__.setdefault("caches", defaultdict(dict))
        self.person_cache = caches[chamber]
        return super().resolve_person(name, *dates, **more)  # type: ignore[misc]


class OracleBills(_OneCachePerChamber, core.BillImporter):  # type: ignore[misc]
    pass


class OracleVotes(_OneCachePerChamber, core.VoteEventImporter):  # type: ignore[misc]
    def import_item(self, data: dict[str, Any], allow_duplicates: bool = False) -> Any:
        named, bills = data["bill"], self.bill_importer
        if named and not named.startswith("~") and named not in bills.json_to_db_id:
            text = bills.apply_transformers({"identifier": data.get("bill_identifier") or ""})
            with contextlib.suppress(Bill.DoesNotExist, UnresolvedIdError):
                bills.json_to_db_id[named] = Bill.objects.get(
                    legislative_session__jurisdiction_id=self.jurisdiction_id,
                    legislative_session__identifier=data["legislative_session"],
                    identifier=text["identifier"],
                ).id
        return super().import_item(data, allow_duplicates)

    def _prepare_imports(self, dicts: Iterable[dict[str, Any]]) -> Any:
        # Core takes the identifier of the bill away before import_item sees it.
        for data in dicts:
            yield data.pop("_id"), data

    def get_object(self, data: dict[str, Any]) -> Any:
        if data.get("dedupe_key"):
            return VoteEvent.objects.get(
                dedupe_key=data["dedupe_key"],
                legislative_session__jurisdiction_id=self.jurisdiction_id,
            )
        return super().get_object(data)


class OracleEvents(_OneCachePerChamber, core.EventImporter):  # type: ignore[misc]
    pass


def scrape_order(data: dict[str, Any]) -> tuple[int, str]:
    try:
        return uuid.UUID(data["_id"]).time, data["_id"]
    except ValueError:
        return 0, data["_id"]


def load(paths: Sequence[Path], object_type: str) -> list[dict[str, Any]]:
    """The content of the files of one type, in scrape order."""
    files = [
        json.loads(path.read_bytes()) for path in paths if path.name.startswith(f"{object_type}_")
    ]
    return sorted(files, key=scrape_order)


def import_scrape(folder: Path, jurisdiction_id: str, postimport: bool = True) -> None:
    """Core's batch import of one finished scrape into the default database."""
    import_files(sorted(folder.glob("*.json")), jurisdiction_id, postimport)


def import_files(paths: Sequence[Path], jurisdiction_id: str, postimport: bool = True) -> None:
    """Core's batch import of these files into the default database."""
    jurisdictions = core.JurisdictionImporter(jurisdiction_id, postimport)
    bills = OracleBills(jurisdiction_id, postimport)
    votes = OracleVotes(jurisdiction_id, bills, postimport)
    events = OracleEvents(jurisdiction_id, votes, postimport)
    with transaction.atomic():
        jurisdictions.import_data(load(paths, "jurisdiction"), allow_duplicates=True)
        bills.import_data(load(paths, "bill"), allow_duplicates=True)
        _unlink_actions(bills, load(paths, "vote_event"))
        votes.import_data(load(paths, "vote_event"), allow_duplicates=True)
        events.import_data(load(paths, "event"), allow_duplicates=True)
        Jurisdiction.objects.filter(id=jurisdiction_id).update(latest_bill_update=datetime.now(UTC))


def _unlink_actions(bills: OracleBills, votes: list[dict[str, Any]]) -> None:
    # A stale vote event would keep its action from the scrape's own.
    named = {data["bill"] for data in votes}
    rows = [row for name, row in bills.json_to_db_id.items() if name in named]
    VoteEvent.objects.filter(bill_id__in=rows).update(bill_action=None)
