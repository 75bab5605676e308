"""Whatever is imported, our importers leave, return and signal what core's do."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_save
from hypothesis import HealthCheck, Phase, given, settings
from openstates import importers as core
from openstates.data.models import Bill, Event, Membership, Organization, Person, VoteEvent

from realtime import importers as ours
from tests import rows, scrapes
from tests.integration.importers import generated
from tests.oracle.importers import (
    NullCommittees,
    OneCachePerChamber,
    OwnBill,
    OwnCommittee,
    SessionOfTheDay,
)

JURISDICTION = scrapes.WYOMING.jurisdiction_id
MODELS = (Bill, VoteEvent, Event)


class CoreBills(NullCommittees, OneCachePerChamber, core.BillImporter):  # type: ignore[misc]
    pass


class CoreVotes(OwnBill, OwnCommittee, OneCachePerChamber, core.VoteEventImporter):  # type: ignore[misc]
    pass


class CoreEvents(SessionOfTheDay, OneCachePerChamber, core.EventImporter):  # type: ignore[misc]
    pass


CORE = (CoreBills, CoreVotes, CoreEvents)
OURS = (ours.BillImporter, ours.VoteEventImporter, ours.EventImporter)


def import_scrape(classes: Any, scrape: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Import all; the counts of core's record, or the exception's type."""
    scrape = copy.deepcopy(scrape)
    bills = classes[0](JURISDICTION)
    votes = classes[1](JURISDICTION, bills)
    events = classes[2](JURISDICTION, votes)
    records: dict[str, Any] = {}
    for importer, name in ((bills, "bill"), (votes, "vote_event"), (events, "event")):
        try:
            record = importer.import_data(scrape[name], allow_duplicates=True)[name]
        except Exception as exc:
            # As core, it leaves what came before the object that it refuses.
            records[name] = type(exc)
            continue
        whats = ("insert", "update", "noop")
        assert [len(record["records"][what]) for what in whats] == [record[w] for w in whats]
        records[name] = {what: record[what] for what in whats}
    return records


def named(row: Any) -> str:
    names = ("identifier", "dedupe_key", "motion_text", "start_date", "organization_id", "name")
    bill = getattr(row, "bill", None)
    values = [getattr(row, name, "") for name in names]
    return f"{type(row).__name__} {values} {bill.identifier if bill else ''}"


def times() -> dict[Any, Any]:
    return {row.pk: row.updated_at for model in MODELS for row in model._default_manager.all()}


@contextmanager
def listening() -> Iterator[list[tuple[str, bool]]]:
    heard: list[tuple[str, bool]] = []

    def hear(sender: Any, instance: Any, created: bool, **more: Any) -> None:
        heard.append((instance.pk, created))

    for model in MODELS:
        post_save.connect(hear, sender=model)
    try:
        yield heard
    finally:
        for model in MODELS:
            post_save.disconnect(hear, sender=model)


def story(classes: Any, scrapes: list[Any]) -> list[Any]:
    """What importing these one after the other leaves, returns, touches and signals."""
    told: list[Any] = []
    with transaction.atomic():
        for scrape in scrapes:
            before = times()
            with listening() as heard:
                records = import_scrape(classes, scrape)
            after = times()
            rows_now = {row.pk: named(row) for model in MODELS for row in model.objects.all()}
            told.append(rows.dump())
            told.append(records)
            told.append(sorted(rows_now[pk] for pk in after if before.get(pk) != after[pk]))
            created = {pk for pk, new in heard if new}
            told.append(
                sorted((rows_now.get(pk, ""), pk in created) for pk in {pk for pk, _ in heard})
            )
        transaction.set_rollback(True)
    return told


@pytest.fixture
def people(database: str) -> None:
    """A few members; one sat before the session, two share a name across the chambers."""
    chambers = {
        one.classification: one for one in Organization.objects.filter(jurisdiction_id=JURISDICTION)
    }
    for name, chamber, since, until in (
        ("Ada Plainsman", "lower", "", ""),
        ("Ada Plainsman", "upper", "", ""),
        ("Bo Ridge", "lower", "2020-01-01", "2030-12-01"),
        ("bo ridge", "upper", "2031-01-01", ""),
        ("ÜNAL GROẞ", "lower", "", ""),
    ):
        person = Person.objects.create(name=name, family_name=name.split()[-1])
        Membership.objects.create(
            person=person, organization=chambers[chamber], start_date=since, end_date=until
        )
    Organization.objects.create(
        name="Rules and Roads", classification="committee", jurisdiction_id=JURISDICTION
    )
    core.JurisdictionImporter(JURISDICTION).import_data([scrapes.jurisdiction()])


# A failure is told as the first difference; shrinking such scrapes would take minutes.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, *settings().suppress_health_check],
)
@given(scrapes=generated.successive())
def test_import_data__generated_scrapes__does_what_core_does(
    people: None, scrapes: list[Any]
) -> None:
    expected = story(CORE, scrapes)
    for wanted, got in zip(expected, story(OURS, scrapes), strict=True):
        if isinstance(wanted, list):
            assert list(rows.differences(list(map(str, wanted)), list(map(str, got)))) == []
        assert got == wanted
