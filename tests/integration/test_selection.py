"""Which files of a run are read and imported once more when it is finalized: those that may end
otherwise by then, and no others."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from openstates.data.models import (
    Bill,
    Event,
    Jurisdiction,
    LegislativeSession,
    Membership,
    Organization,
    Person,
    VoteEvent,
)

from realtime.domain.config import BULK, CORE
from realtime.files.refetch import read_again
from realtime.finalization import selection
from realtime.finalization.finalize import finalize_complete
from realtime.models import File, ScrapeRun
from tests import rows, scrapes
from tests.full_scrapes import full_person
from tests.scrape_runs import Run, command, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws

WYOMING = scrapes.WYOMING.jurisdiction_id


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    return mail


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The types of the files that finalizations read, in the order in which they did."""
    types: list[str] = []

    def note(store: Any, max_bytes: int, rows: Sequence[File]) -> Any:
        types.extend(row.object_type for row in rows)
        return read_again(store, max_bytes, rows)

    monkeypatch.setattr("realtime.finalization.steps.read_again", note)
    return types


def chamber(classification: str) -> Organization:
    return Organization.objects.get(jurisdiction_id=WYOMING, classification=classification)


def member(name: str, classification: str = "lower") -> Person:
    person = Person.objects.create(name=name)
    person.memberships.create(organization=chamber(classification))
    return person


def a_scrape() -> list[dict[str, Any]]:
    bills = [scrapes.bill("HB 1", actions=2), scrapes.bill("HB 2")]
    bills[1]["related_bills"] = [
        {"identifier": "HB 1", "legislative_session": scrapes.SESSION, "relation_type": "companion"}
    ]
    votes = [scrapes.vote_event(bill, action="reading 1") for bill in bills]
    return [*bills, *votes, scrapes.vote_event("HB 2", "by name"), scrapes.event(about="HB 1")]


@pytest.mark.parametrize("run_of", [1, 3, 10])
def test_finalize__nothing_has_changed_since_the_files_came__none_is_read(
    mail: Mail, read: list[str], run_of: int
) -> None:
    rng = random.Random(run_of)
    member("Ada Plainsman")
    for number in range(3):
        # Under a key of its own: within a second, the store cannot tell two uploads apart.
        files = [{**scrapes.jurisdiction(), "_id": f"scrape {number}"}, *a_scrape()]
        if number:
            # What was there before tells what each file means, in any order.
            rng.shuffle(files)
        run = Run(mail)
        for at in range(0, len(files), run_of):
            run.publish(*files[at : at + run_of])
            import_only(mail)
        run.end()
        assert mail.run().finalized == [run.id]
        assert read == []
    before = rows.dump()
    [told] = command(mail, "finalize_realtime", "--run", run.id, "--force", "--full")["runs"]
    assert (told["replayed"], told["changed"]) == (len(read), 0) == (7 + 1, 0)
    assert list(rows.differences(before, rows.dump())) == []


def test_finalize__two_files_of_one_object_in_one_place__only_the_last_is_read_and_nothing_is_new(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    for name in ("first", "second"):
        data = scrapes.jurisdiction()
        data["legislative_sessions"][0]["name"] = name
        run.publish({**data, "_id": f"scrape {name}"})
        import_only(mail)
    # As of a clock that is ahead: both come when the store received them, in one second.
    File.objects.update(order_ticks=1, scrape_id=WYOMING, order_stamp=1)
    before = Jurisdiction.objects.get(id=WYOMING).updated_at
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == ["jurisdiction"]
    assert LegislativeSession.objects.get().name == "second"
    assert Jurisdiction.objects.get(id=WYOMING).updated_at == before


def come(person: Person) -> None:
    Person.objects.create(name="Bo Ridge").memberships.create(organization=chamber("lower"))


def leave(person: Person) -> None:
    Membership.objects.filter(person=person).update(end_date="2030-12-31")


def lose_office(person: Person) -> None:
    Person.objects.filter(id=person.id).update(current_role=None)


def get_a_name(person: Person) -> None:
    person.other_names.create(name="Bo Ridge")


def marry(person: Person) -> None:
    Person.objects.filter(id=person.id).update(family_name="Bo Ridge")


def go_elsewhere(person: Person) -> None:
    Membership.objects.filter(person=person).update(organization=chamber("upper"))


def found_a_committee(person: Person) -> None:
    Organization.objects.create(
        name="Rules", classification="committee", jurisdiction_id=WYOMING, parent=chamber("lower")
    )


def name_a_chamber(person: Person) -> None:
    Organization.objects.filter(id=chamber("lower").id).update(other_names=[{"name": "House"}])


@pytest.mark.parametrize(
    "happens",
    [come, leave, lose_office, get_a_name, marry, go_elsewhere, found_a_committee, name_a_chamber],
)  # fmt: skip
def test_finalize__what_names_mean_has_changed__every_file_is_read(
    mail: Mail, read: list[str], happens: Callable[[Person], None]
) -> None:
    ada = member("Ada Plainsman")
    Person.objects.filter(id=ada.id).update(current_role={"title": "Representative"})
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), *a_scrape())
    import_only(mail)
    happens(ada)
    run.publish(scrapes.bill("HB 3"))
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == ["jurisdiction", *["bill"] * 2, *["vote_event"] * 3, "event"], "not HB 3"


def test_finalize__session_has_other_dates_since__files_before_it_are_read(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    first, longer = scrapes.jurisdiction(), scrapes.jurisdiction()
    run.publish(first, scrapes.bill("HB 1"))
    import_only(mail)
    longer["legislative_sessions"][0]["end_date"] = "2031-04-01"
    # Under a key of its own: within a second, the store cannot tell two uploads apart.
    longer["_id"] = "longer"
    run.publish(longer, scrapes.bill("HB 2"))
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == ["bill"], "HB 1"
    assert LegislativeSession.objects.get(jurisdiction_id=WYOMING).end_date == "2031-04-01"


def test_finalize__people_of_another_state_changed__no_file_is_read(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), *a_scrape())
    import_only(mail)
    elsewhere = Organization.objects.exclude(jurisdiction_id=WYOMING).filter(classification="lower")
    Person.objects.create(name="Bo Ridge").memberships.create(organization=elsewhere[0])
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == []


def test_finalize__people_in_the_files_of_the_run__those_before_them_are_read(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    bill, late = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    run.publish(scrapes.jurisdiction(), bill)
    import_only(mail)
    person = {**full_person(), "name": "Ada Plainsman"}
    mail.send(mail.message(mail.put(person, "wy/person_1.json"), run_id=run.id))
    run.publish(late)
    run.objects["person"] = 1
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == ["jurisdiction", "bill"]
    assert set(Bill.objects.values_list("sponsorships__person__name", flat=True)) == {
        "Ada Plainsman"
    }


def test_finalize__bills_of_an_agenda_came_later__only_events_that_name_them_are_read(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"))
    import_only(mail)
    hearings = {name: scrapes.event(name, about=name) for name in ("HB 1", "HB 2", "HB 3")}
    run.publish(*hearings.values())
    import_only(mail)
    run.publish(scrapes.bill("HB 2"), scrapes.bill("SB 2"))
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == ["event"]
    linked = Event.objects.filter(agenda__related_entities__bill__isnull=False)
    assert sorted(linked.values_list("name", flat=True)) == ["HB 1", "HB 2"]


def test_finalize__bill_of_an_agenda_is_gone__event_is_read(mail: Mail, read: list[str]) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), scrapes.bill("HB 1"), scrapes.event(about="HB 1"))
    import_only(mail)
    Bill.objects.all().delete()
    run.end()
    assert mail.run().finalized == [run.id]
    # Once more after the vote events: by then the bill is there again, as another row.
    assert read == ["bill", "event"]
    assert Event.objects.get().agenda.get().related_entities.get().bill == Bill.objects.get()


def test_finalize__agenda_names_a_vote_event__event_is_read_and_linked(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    bill, hearing = scrapes.bill("HB 1"), scrapes.event()
    hearing["agenda"] = [
        {
            "description": "votes",
            "classification": [],
            "order": "0",
            "subjects": [],
            "notes": [],
            "extras": {},
            "media": [],
            "related_entities": [
                {
                    "name": "RC 1",
                    "entity_type": "vote_event",
                    "note": "",
                    "vote_event_id": '~{"identifier": "RC 1"}',
                }
            ],
        }
    ]
    run.publish(scrapes.jurisdiction(), bill, hearing)
    import_only(mail)
    run.publish({**scrapes.vote_event(bill), "identifier": "RC 1"})
    run.end()
    assert mail.run().finalized == [run.id]
    assert set(read) == {"event"}
    entity = Event.objects.get().agenda.get().related_entities.get()
    assert entity.vote_event == VoteEvent.objects.get()


def test_finalize__voter_with_an_id_that_came_later__read_and_found_by_it(
    mail: Mail, read: list[str]
) -> None:
    person = member("Bo Vane")
    bill = scrapes.bill("HB 1")
    vote = scrapes.vote_event(bill)
    vote["votes"][0]["voter_id"] = '~{"name": "B. Vane", "id": "7"}'
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), bill)
    import_only(mail)
    run.publish(vote)
    import_only(mail)
    person.identifiers.create(scheme="leg", identifier="7")
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == ["vote_event"]
    assert VoteEvent.objects.get().votes.filter(voter=person).exists()


@pytest.mark.parametrize(
    ("gone", "types"), [(VoteEvent, ["vote_event"]), (Event, ["event"])], ids=["vote", "event"]
)
def test_finalize__row_is_gone__its_file_is_read_and_makes_it_again(
    mail: Mail, read: list[str], gone: Any, types: list[str]
) -> None:
    run = Run(mail)
    bill = scrapes.bill("HB 1")
    run.publish(scrapes.jurisdiction(), bill, scrapes.vote_event(bill), scrapes.event())
    import_only(mail)
    gone.objects.all().delete()
    run.end()
    assert mail.run().finalized == [run.id]
    assert read == types
    assert gone.objects.count() == 1


def test_finalize__files_imported_by_the_release_before__all_are_read(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), *a_scrape())
    import_only(mail)
    File.objects.update(referents=None)
    run.end()
    assert mail.run().finalized == [run.id]
    assert len(read) == 7
    ScrapeRun.objects.update(finalized_at=None)
    assert len(list(finalize_complete(context_of(mail)))) == 1
    assert len(read) == 7, "now it is known what they were resolved among"


def test_finalize_realtime__full__every_file_is_read_and_what_others_changed_put_right(
    mail: Mail, read: list[str]
) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), *a_scrape())
    import_only(mail)
    Bill.objects.filter(identifier="HB 1").update(title="By hand")
    run.end()
    import_only(mail)
    [told] = command(mail, "finalize_realtime", "--full")["runs"]
    assert (told["replayed"], told["changed"]) == (8, 1)
    assert len(read) == 8, "the event once more, after the vote events"
    assert not Bill.objects.filter(title="By hand").exists()


def test_chosen__place_within_a_step__what_comes_after_it(mail: Mail) -> None:
    run = Run(mail)
    run.publish(scrapes.jurisdiction(), *[scrapes.bill(f"HB {n}") for n in range(4)])
    import_only(mail)
    every = selection.chosen(run.row, "bill", selection.Place(), all_files=True)
    files = File.objects.in_bulk(every)
    assert [files[id].scrape_id for id in every] == sorted(
        file.scrape_id for file in files.values()
    )
    after = selection.place_of(files[every[1]])
    assert selection.chosen(run.row, "bill", after, all_files=True) == every[2:]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE realtime_file SET referents = NULL WHERE id = %s", [every[3]])
    assert selection.chosen(run.row, "bill", after) == every[3:]
