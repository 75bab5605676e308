"""The sample legislature hangs together: the demo can only show what is sound."""

from pathlib import Path

from openstates import metadata
from openstates.models.people import Person

from realtime.demo import legislature, pages, people


def test_invent__twice__the_same_legislature_of_the_promised_size() -> None:
    sample = legislature.invent()

    assert sample == legislature.invent()
    sizes = [len(sample.legislators), len(sample.bills), len(sample.roll_calls)]
    assert [*sizes, len(sample.hearings)] == [20, 40, 60, 10]


def test_invent__every_name_used__is_that_of_one_thing() -> None:
    sample = legislature.invent()
    bills = {bill.identifier: bill for bill in sample.bills}
    members = {member.family_name: member for member in sample.legislators}

    assert len(bills) == len(sample.bills)
    assert len(members) == len(sample.legislators)
    for bill in sample.bills:
        assert not bill.companion or bills[bill.companion].companion == bill.identifier
        for roll_call in bill.roll_calls:
            actions = [action.text for action in bill.actions]
            assert actions.count(roll_call.action) == 1
            voters = [*roll_call.ayes, *roll_call.nays, *roll_call.excused]
            assert {members[voter].chamber for voter in voters} == {roll_call.chamber}
            assert len(set(voters)) == len(voters)
            assert roll_call.passed == (len(roll_call.ayes) > len(roll_call.nays))
    for hearing in sample.hearings:
        assert all(identifier in bills for identifier, _ in hearing.agenda)


def test_render__every_link__leads_to_a_page() -> None:
    site = pages.render(legislature.invent())

    links = {part.partition("'")[0] for page in site.values() for part in page.split("href='")[1:]}
    assert links
    assert links <= site.keys()


def test_write__every_person__is_one_that_core_accepts_for_a_real_district(tmp_path: Path) -> None:
    wyoming = metadata.lookup(abbr="wy")
    districts = {
        chamber.chamber_type: {district.name for district in chamber.districts}
        for chamber in wyoming.chambers
    }

    people.write(legislature.invent().legislators, tmp_path / "people")

    persons = [Person.load_yaml(path) for path in (tmp_path / "people").glob("*.yml")]
    assert len({person.id for person in persons}) == 20
    for person in persons:
        (role,) = person.roles
        assert role.jurisdiction == wyoming.jurisdiction_id
        assert role.district in districts[role.type]
