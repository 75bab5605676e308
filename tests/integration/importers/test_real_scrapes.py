"""On real scrapes, one after the other, our importers leave and return what core's do."""

import os
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from openstates import importers as core

from realtime import importers as ours
from realtime.devstack import DevStack
from realtime.devstack.database import load_jurisdiction, load_people, using_database
from tests import oracle, rows
from tests.integration.importers import test_same_as_core as same
from tests.support import REAL_DATA, without_real_data

DISTRICT = "ocd-jurisdiction/country:us/district:dc/government"
WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
CONGRESS = "ocd-jurisdiction/country:us/government"
CORE = (core.JurisdictionImporter, *same.CORE)
OURS = (ours.JurisdictionImporter, *same.OURS)
# Of each folder; tests see no variable of ours, so it is read now.
MOST = int(os.environ.get("REALTIME_TEST_BILLS", "60"))
TYPES = ("jurisdiction", "bill", "vote_event", "event")


def read(folder: Path, most: int) -> dict[str, list[dict[str, Any]]]:
    paths = sorted(folder.glob("*.json"))
    scrape = {name: oracle.contents(paths, name) for name in TYPES}
    scrape["bill"] = scrape["bill"][:most]
    ids = {bill["_id"] for bill in scrape["bill"]}
    scrape["vote_event"] = [vote for vote in scrape["vote_event"] if vote["bill"] in ids]
    scrape["event"] = scrape["event"][:most]
    return scrape


def import_folder(classes: Any, jurisdiction_id: str, folder: Path, most: int) -> Any:
    scrape = read(folder, most)
    jurisdictions, bills = (one(jurisdiction_id) for one in classes[:2])
    votes = classes[2](jurisdiction_id, bills)
    importers = (jurisdictions, bills, votes, classes[3](jurisdiction_id, votes))
    records: dict[str, Any] = {}
    with transaction.atomic():
        for importer, name in zip(importers, TYPES, strict=True):
            if scrape[name]:
                records |= importer.import_data(scrape[name], allow_duplicates=True)
    return {
        name: [record[what] for what in ("insert", "update", "noop")]
        for name, record in records.items()
    }


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("abbr", "jurisdiction_id", "folders"),
    [
        ("wy", WYOMING, ["wy", "wy"]),
        ("dc", DISTRICT, ["dc-2025-12-04", "dc-2025-12-18", "dc-2026-01-06"]),
        ("us", CONGRESS, ["usa", "usa"]),
    ],
)
def test_import_data__real_scrapes_in_turn__as_core(
    stack: DevStack,
    seeded_template: str,
    database: str,
    abbr: str,
    jurisdiction_id: str,
    folders: list[str],
) -> None:
    if reason := without_real_data(*folders):
        pytest.skip(reason)
    told = []
    for number, classes in enumerate((CORE, OURS)):
        url = stack.postgres.create_database(f"real_{abbr}_{number}", template=seeded_template)
        with using_database(url):
            load_jurisdiction(abbr)
            if (REAL_DATA / "people" / abbr).is_dir():
                load_people(REAL_DATA / "people" / abbr)
            lines = []
            for folder in folders:
                records = import_folder(classes, jurisdiction_id, REAL_DATA / folder, MOST)
                lines.append((records, rows.dump()))
        told.append(lines)
        stack.postgres.drop_database(f"real_{abbr}_{number}")
    for (records, expected), (ours_records, got) in zip(*told, strict=True):
        assert list(rows.differences(expected, got)) == []
        assert ours_records == records
