"""People, through core's own load_person."""

import json
from typing import Any

import pytest
from openstates.data.models import Jurisdiction, Person, PersonVote

from realtime.models import File
from tests import races, scrapes
from tests.scrapes import Mail
from tests.support import Aws

DC = "ocd-jurisdiction/country:us/district:dc/government"
ADA = "ocd-person/9995703e-90eb-4d20-a2f6-bfd9542102bd"


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    return Mail(aws, database)


def person(**changes: Any) -> dict[str, Any]:
    return {
        "id": ADA,
        "name": "Ada Plainsman",
        "party": [{"name": "Republican"}],
        "roles": [
            {
                "type": "lower",
                "district": "3",
                "jurisdiction": scrapes.WYOMING.jurisdiction_id,
                "start_date": "2031-01-01",
            }
        ],
        **changes,
    }


def send(mail: Mail, data: dict[str, Any], key: str, stamp: str = "2021-01-01") -> str:
    key = f"wy/person_{key}.json"
    mail.put(json.dumps(data).encode(), key, **{"scraped-at": f"{stamp}T00:00:00+00:00"})
    mail.send(mail.message(key))
    return key


def test_import__person_then_votes__voter_resolved(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    send(mail, person(), "1")
    bill = scrapes.bill()
    mail.publish(scrapes.vote_event(bill), bill)
    assert mail.run().types["person"]["inserted"] == 1
    voters = dict(PersonVote.objects.values_list("voter_name", "voter_id"))
    assert voters == {"Ada Plainsman": ADA, "Bo Ridge": None}
    jurisdiction = Jurisdiction.objects.get(id=scrapes.WYOMING.jurisdiction_id)
    assert jurisdiction.latest_people_update.year > 2021


def test_import__person_again__unchanged_then_updated_never_older(mail: Mail) -> None:
    def updated() -> Any:
        return Jurisdiction.objects.get(id=scrapes.WYOMING.jurisdiction_id).latest_people_update

    send(mail, person(), "1", "2021-01-01")
    assert mail.run().outcomes["inserted"] == 1
    inserted = updated()
    send(mail, person(), "2", "2021-01-02")
    assert mail.run().outcomes["unchanged"] == 1
    assert updated() == inserted
    send(mail, person(email="ada@example.com"), "4", "2021-01-04")
    assert mail.run().outcomes["updated"] == 1
    assert updated() > inserted
    send(mail, person(email="old@example.com"), "3", "2021-01-03")
    assert mail.run().outcomes["superseded"] == 1
    assert Person.objects.get().email == "ada@example.com"


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"party": [{"name": "Whigs"}]}, "invalid", "party.0.name"),
        ({"id": "ada"}, "invalid", "id"),
        ({"roles": [{**person()["roles"][0], "district": "999"}]}, "unresolved", "roles"),
    ],
)
def test_import__bad_person__fails_whole_and_neighbours_are_imported(
    mail: Mail, changes: dict[str, Any], reason: str, field: str
) -> None:
    key = send(mail, person(**changes), "1")
    bo = "ocd-person/1995703e-90eb-4d20-a2f6-bfd9542102bd"
    send(mail, person(id=bo, name="Bo Ridge"), "2")
    report = mail.run()
    assert (report.outcomes["failed"], report.outcomes["inserted"]) == (1, 1)
    row = File.objects.get(key=key)
    assert (row.reason, row.field) == (reason, field)
    assert row.detail
    assert list(Person.objects.values_list("name", flat=True)) == ["Bo Ridge"]


def test_import__one_person_by_workers_of_two_jurisdictions_at_once__newer_stays(
    mail: Mail,
) -> None:
    def imported(abbr: str, jurisdiction_id: str, name: str, stamp: str) -> None:
        data = json.dumps(person(name=name, roles=[])).encode()
        key = mail.put(data, f"{abbr}/person_1.json", **{"scraped-at": f"{stamp}T00:00:00+00:00"})
        mail.send(mail.message(key, jurisdiction_id=jurisdiction_id))
        mail.run()

    races.together(
        mail.config.database_url,
        "INSERT ON opencivicdata_person",
        lambda: imported("wy", scrapes.WYOMING.jurisdiction_id, "Ada New", "2021-02-01"),
        lambda: imported("dc", DC, "Ada Old", "2021-01-01"),
    )
    assert scrapes.outcomes() == {"wy/person_1.json": "inserted", "dc/person_1.json": "superseded"}
    assert Person.objects.get().name == "Ada New"
