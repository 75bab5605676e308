"""Where a set could come to another end than one object after the other, ours do as core does."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models.signals import ModelSignal, post_save, pre_save
from openstates import importers as core
from openstates.data.models import (
    Bill,
    Event,
    EventLocation,
    EventRelatedEntity,
    LegislativeSession,
    Membership,
    Organization,
    Person,
    PersonVote,
    VoteEvent,
)
from openstates.exceptions import DataImportError

from realtime import importers as ours
from realtime.importers import BillImporter, VoteEventImporter
from realtime.importers.bulk import organizations
from realtime.importers.items import Applied, Item, Refused
from realtime.importers.rules import Rules
from realtime.importers.specs.spec import StoredRow
from tests import rows, scrapes
from tests.integration.importers.executing import import_batch, whats
from tests.integration.importers.test_same_as_core import CORE, JURISDICTION, OURS

pytestmark = pytest.mark.usefixtures("session")
ELSEWHERE = "ocd-jurisdiction/country:us/district:dc/government"
DEEP = "~" + "[" * 100_000


@pytest.fixture
def session(database: str) -> None:
    core.JurisdictionImporter(JURISDICTION).import_data([scrapes.jurisdiction()])


def both(act: Callable[[Any], Any]) -> tuple[Any, Any]:
    """What is told and left by `act` with core's importers, and with ours."""
    told = []
    for classes in (CORE, OURS):
        with transaction.atomic():
            savepoint = transaction.savepoint()
            try:
                said = act(classes)
            except Exception as exc:
                said = type(exc)
            told.append((said, rows.dump()))
            transaction.savepoint_rollback(savepoint)
    return told[0], told[1]


@contextmanager
def listening(signal: ModelSignal, sender: Any, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver, sender=sender)
    try:
        yield
    finally:
        signal.disconnect(receiver, sender=sender)


def bills(count: int) -> list[dict[str, Any]]:
    return [scrapes.bill(f"HB {number}") for number in range(count)]


def refuse_hb_2(sender: Any, instance: Any, **more: Any) -> None:
    if instance.identifier == "HB 2":
        raise LookupError("not this one")


# -- listeners -------------------------------------------------------------------------------


def test_import_batch__listener_refuses_one__costs_it_alone() -> None:
    batch = [Item(bill["_id"], bill) for bill in bills(5)]
    with listening(post_save, Bill, refuse_hb_2), transaction.atomic():
        outcomes = import_batch(BillImporter(JURISDICTION), batch)
    assert [isinstance(one, Refused) for one in outcomes] == [False, False, True, False, False]
    assert Bill.objects.count() == 4


def test_import_data__listener_refuses_one__raises_as_core_with_those_before_in() -> None:
    def act(classes: Any) -> None:
        with listening(post_save, Bill, refuse_hb_2):
            classes[0](JURISDICTION).import_data(bills(5))

    for classes in (CORE, OURS):
        with pytest.raises(DataImportError):
            act(classes)
        assert set(Bill.objects.values_list("identifier", flat=True)) >= {"HB 0", "HB 1"}
        assert not Bill.objects.filter(identifier__in=["HB 3", "HB 4"]).exists()
        Bill.objects.all().delete()


def test_import_data__listener_changes_what_is_saved__is_stored_so() -> None:
    def act(classes: Any) -> list[str]:
        heard = []

        def number(sender: Any, instance: Any, **more: Any) -> None:
            if instance.identifier not in heard:
                heard.append(instance.identifier)
            instance.title = f"number {len(heard)}"

        with listening(pre_save, Bill, number):
            classes[0](JURISDICTION).import_data(bills(3))
        return list(Bill.objects.order_by("identifier").values_list("title", flat=True))

    expected, got = both(act)
    assert got == expected
    assert got[0] == ["number 1", "number 2", "number 3"]


@pytest.mark.parametrize("listens", [False, True])
def test_import_batch__file_imported_again__goes_to_the_row_that_it_went_to(listens: bool) -> None:
    BillImporter(JURISDICTION).import_data([scrapes.bill("HB 1"), scrapes.bill("HB 2")])
    row = Bill.objects.get(identifier="HB 2")
    again = Item("an id", scrapes.bill("HB 1", "Again"), core_id=row.id)
    # With a listener, each object is imported alone, by core.
    with listening(pre_save, Bill if listens else Person, lambda **more: None):
        assert whats(import_batch(BillImporter(JURISDICTION), [again])) == ["update"]
    assert Bill.objects.get(title="Again").id == row.id


# -- what is refused -------------------------------------------------------------------------


def test_import_data__stream_breaks__those_before_are_in() -> None:
    def stream() -> Iterator[dict[str, Any]]:
        yield from bills(3)
        raise json.JSONDecodeError("no JSON", "", 0)

    expected, got = both(lambda classes: classes[0](JURISDICTION).import_data(stream()))
    assert got == expected
    assert got[0] is json.JSONDecodeError
    assert len([line for line in got[1] if '"Bill"' in line]) == 3


def test_import_data__an_object_has_no_id__those_before_are_in() -> None:
    def act(classes: Any) -> None:
        some = bills(3)
        del some[2]["_id"]
        classes[0](JURISDICTION).import_data(some)

    expected, got = both(act)
    assert got == expected
    assert got[0] is KeyError


def test_import_data__database_refuses_what_one_names__raises_as_core() -> None:
    def act(classes: Any) -> None:
        some = bills(3)
        some[1]["from_organization"] = r'~{"extras": {"a": "\u0000"}}'
        with transaction.atomic():
            classes[0](JURISDICTION).import_data(some)

    expected, got = both(act)
    assert got == expected


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bill: bill.update(title="nul \0"),
        lambda bill: bill.update(extras={"a": "nul \0"}),
        lambda bill: bill.update(extras={"a": "half \ud800"}),
        lambda bill: bill.update(extras=None),
        lambda bill: bill["actions"][0].update(classification=["nul \0"]),
        lambda bill: bill["versions"][0].update(date="2031-01-01+"),
        lambda bill: bill["versions"][0]["links"][0].update(url="nul \0"),
        lambda bill: bill["sources"][0].update(note=None),
    ],
    ids=["title", "extras", "half", "null", "list", "long", "link", "null source"],
)
def test_import_batch__a_bad_object_overwritten_by_the_next__fails_all_the_same(
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    bad, good = scrapes.bill(), scrapes.bill()
    spoil(bad)
    good.update(title="good", extras={"a": 1})
    good["actions"][0]["classification"] = ["passage"]
    good["versions"] = good["sources"] = []
    with transaction.atomic():
        outcomes = import_batch(
            BillImporter(JURISDICTION),
            [Item(bill["_id"], bill) for bill in (scrapes.bill("HB 2"), bad, good)],
        )
    assert isinstance(outcomes[1], Refused)
    assert whats([outcomes[0], outcomes[2]]) == ["insert", "insert"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bill: bill["sponsorships"][0].update(person_id=DEEP),
        lambda bill: bill.update(from_organization=DEEP),
        lambda bill: bill.update(extras=nested(100_000)),
        lambda bill: bill["versions"][0].update(extras=nested(100_000)),
    ],
    ids=["person", "organization", "extras", "extras of a version"],
)
def test_import_batch__one_nested_too_deeply__costs_itself_alone(
    spoil: Callable[[dict[str, Any]], None],
) -> None:
    some = bills(4)
    spoil(some[1])
    with transaction.atomic():
        outcomes = import_batch(BillImporter(JURISDICTION), [Item(b["_id"], b) for b in some])
    assert [type(one) for one in outcomes].count(Applied) == 3
    assert isinstance(outcomes[1], Refused)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "named", [DEEP, '~{"identifier": ' + "[" * 100_000], ids=["list", "identifier"]
)
def test_import_batch__vote_of_a_bill_named_too_deeply__costs_itself_alone(named: str) -> None:
    importer = BillImporter(JURISDICTION)
    bill = scrapes.bill()
    importer.import_data([copy.deepcopy(bill)])
    some = [scrapes.vote_event(bill, motion) for motion in "abc"]
    some[1]["bill"] = named
    with transaction.atomic():
        outcomes = import_batch(
            VoteEventImporter(JURISDICTION, importer), [Item(vote["_id"], vote) for vote in some]
        )
    assert [type(one) for one in outcomes].count(Applied) == 2
    assert isinstance(outcomes[1], Refused)


def test_import_batch__event_about_what_is_named_too_deeply__costs_itself_alone() -> None:
    votes = VoteEventImporter(JURISDICTION, BillImporter(JURISDICTION))
    some = [scrapes.event(f"Hearing {n}", "HB 1") for n in range(3)]
    some[1]["agenda"][0]["related_entities"][0]["bill_id"] = DEEP
    with transaction.atomic():
        outcomes = import_batch(
            ours.EventImporter(JURISDICTION, votes), [Item(event["_id"], event) for event in some]
        )
    assert [type(one) for one in outcomes].count(Applied) == 2
    assert isinstance(outcomes[1], Refused)


def test_import_batch__interrupted_when_a_row_is_found__raises() -> None:
    class Interrupted(Rules):
        def found(self, item: Item, row: StoredRow) -> None:
            raise OperationalError("terminating connection")

    BillImporter(JURISDICTION).import_data(bills(1))
    with pytest.raises(OperationalError), transaction.atomic():
        import_batch(
            BillImporter(JURISDICTION), [Item(b["_id"], b) for b in bills(1)], Interrupted()
        )


def test_import_data__foreign_key_to_nothing__is_found_at_the_commit_as_by_core() -> None:
    def spoiled(importer: Any) -> Any:
        class Spoiling(importer):  # type: ignore[misc]
            def prepare_for_db(self, data: dict[str, Any]) -> Any:
                prepared = super().prepare_for_db(data)
                if prepared["identifier"] == "HB 1":
                    prepared["actions"][0]["organization_id"] = "ocd-organization/nobody"
                return prepared

        return Spoiling

    for classes in (CORE, OURS):
        with pytest.raises(IntegrityError), transaction.atomic():
            record = spoiled(classes[0])(JURISDICTION).import_data(bills(3))["bill"]
            assert record["insert"] == 3
        assert not Bill.objects.exists()


# -- what is named ---------------------------------------------------------------------------


def test_votes__committee_unresolved_by_a_sponsorship__skipped_as_by_core() -> None:
    def act(classes: Any) -> Any:
        bill = scrapes.bill()
        nobody = '~{"name": "No Such Committee"}'
        bill["sponsorships"] = [
            {"name": "x", "classification": "primary", "entity_type": "organization",
             "primary": True, "organization_id": nobody}
        ]  # fmt: skip
        vote = scrapes.vote_event(bill)
        vote["organization"] = nobody
        importer = classes[0](JURISDICTION)
        importer.import_data([bill])
        with transaction.atomic():
            record = classes[1](JURISDICTION, importer).import_data([vote])["vote_event"]
        return record["records"]

    expected, got = both(act)
    assert got == expected
    assert got[0] == {"insert": [], "update": [], "noop": []}


def test_import_data__what_is_named_comes_between_two_calls__found_as_by_core() -> None:
    late = {**scrapes.bill("HB 2"), "legislative_session": "2032"}
    late["from_organization"] = '~{"name": "Council", "classification": "committee"}'
    event = scrapes.event(about="HB 1")

    def act(classes: Any) -> Any:
        bills = classes[0](JURISDICTION)
        events = classes[2](JURISDICTION, classes[1](JURISDICTION, bills))

        def told(importer: Any, data: dict[str, Any]) -> Any:
            try:
                with transaction.atomic():
                    (counts,) = importer.import_data([copy.deepcopy(data)], True).values()
            except Exception as exc:
                return type(exc)
            return [counts[what] for what in ("insert", "update", "noop")]

        said = [told(events, event), told(bills, late)]
        LegislativeSession.objects.create(
            jurisdiction_id=JURISDICTION, identifier="2032", name="", start_date="", end_date=""
        )
        said.append(told(bills, late))
        Organization.objects.create(
            id="ocd-organization/00000000-0000-4000-8000-000000000000",
            name="Council",
            classification="committee",
            jurisdiction_id=JURISDICTION,
        )
        return [*said, told(bills, late), told(bills, scrapes.bill()), told(events, event)]

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected
    assert [1, 0, 0] == got[0][3] == got[0][4]
    assert LegislativeSession.DoesNotExist is got[0][1]


def two_sessions() -> None:
    LegislativeSession.objects.create(
        jurisdiction_id=JURISDICTION,
        identifier=scrapes.SESSION,
        name="",
        start_date="",
        end_date="",
    )


def two_places() -> None:
    for _ in range(2):
        EventLocation.objects.create(name="Room 1", jurisdiction_id=JURISDICTION)


def two_bills() -> None:
    session = LegislativeSession.objects.get(identifier=scrapes.SESSION)
    house = Organization.objects.get(jurisdiction_id=JURISDICTION, classification="lower")
    for title in ("first", "second"):
        Bill.objects.create(
            identifier="HB 1", title=title, legislative_session=session, from_organization=house
        )


@pytest.mark.parametrize("make", [two_sessions, two_places, two_bills])
def test_import_data__two_rows_fit__refused_as_by_core(make: Callable[[], None]) -> None:
    make()

    def act(classes: Any) -> list[Any]:
        bills = classes[0](JURISDICTION)
        votes = classes[1](JURISDICTION, bills)
        events = classes[2](JURISDICTION, votes)
        told: list[Any] = []
        for importer, data in (
            (bills, scrapes.bill()),
            (votes, scrapes.vote_event("HB 1")),
            (events, scrapes.event(about="HB 1")),
        ):
            try:
                with transaction.atomic():
                    importer.import_data([data])
                told.append("in")
            except Exception as exc:
                told.append(type(exc))
        return told

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected
    assert got[0] != ["in", "in", "in"]


def imported(classes: Any, of: str, *successive: list[dict[str, Any]]) -> list[Any]:
    """Import these one after the other; what core's record counts, or what is raised."""
    told: list[Any] = []
    for scraped in successive:
        bills = classes[0](JURISDICTION)
        votes = classes[1](JURISDICTION, bills)
        importer = {"bill": bills, "vote_event": votes}.get(of) or classes[2](JURISDICTION, votes)
        counts = importer.import_data(copy.deepcopy(scraped), allow_duplicates=True)[of]
        told.append([counts[what] for what in ("insert", "update", "noop")])
    return told


def test_votes__alike_but_for_one_thing__are_rows_of_their_own_as_by_core() -> None:
    bill = {**scrapes.bill(), "_id": "bill"}
    one: dict[str, Any] = {**scrapes.vote_event("HB 1"), "votes": []}
    votes = [
        {**one, "_id": str(number), **other}
        for number, other in enumerate(
            (
                {},
                {"organization": '~{"classification": "upper"}'},
                {"start_date": "2031-01-12"},
                {"motion_text": "another"},
                {"motion_text": "numbered", "identifier": "1"},
                {"motion_text": "numbered", "identifier": "2"},
                {"motion_text": "keyed", "dedupe_key": "key"},
            )
        )
    ]
    # What another changes is not found by what it was.
    again = [
        {**votes[-1], "_id": "changed", "motion_text": "changed"},
        {**one, "_id": "new", "motion_text": "keyed"},
    ]

    def act(classes: Any) -> Any:
        imported(classes, "bill", [bill])
        return imported(classes, "vote_event", votes, votes, again)

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected
    assert got[0] == [[len(votes), 0, 0], [0, 0, len(votes)], [1, 1, 0]]


@pytest.mark.parametrize("order", [1, -1])
def test_versions__one_fits_two__taken_for_the_one_that_core_takes(order: int) -> None:
    def version(**link: str) -> dict[str, Any]:
        return {"note": "a", "date": "", "links": [{"url": "https://a.test", **link}]}

    pdf, html = version(media_type="application/pdf"), version(media_type="text/html")
    bill = scrapes.bill()
    after = [version(), pdf][::order]

    def act(classes: Any) -> Any:
        return imported(classes, "bill", *([{**bill, "versions": v}] for v in ([pdf, html], after)))

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected


def test_events__what_an_agenda_item_is_about_changes__stored_as_by_core() -> None:
    event = scrapes.event(about="HB 1")
    event["agenda"].append({**copy.deepcopy(event["agenda"][0]), "order": 1})
    changed = copy.deepcopy(event)
    changed["agenda"][0]["related_entities"][0]["note"] = "another"
    expected, got = both(lambda classes: imported(classes, "event", [event], [changed]))
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected


# Spellings that cores of different ages take for different committees.
SPELLINGS = (
    *("Roads & Bridges", "Roads and Bridges", "ROADS AND BRIDGES", "roads  and bridges"),
    *("Roads, and Bridges", "Roads&Bridges", "Road's and Bridges", " Roads and Bridges "),
    *("Bridges of the State", "bridges OF THE state", "Ponts & Chaussées", "PONTS AND CHAUSSÉES"),
    *("Twins", "twins", "100% _", "back\\slash", ""),
)


@pytest.mark.parametrize("normalizes", [True, False])
def test_committees__in_every_spelling__are_resolved_as_by_core(
    normalizes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organizations, "NORMALIZES", normalizes and organizations.NORMALIZES)
    chambers = Organization.objects.filter(jurisdiction_id=JURISDICTION)
    for name, others, chamber in (
        ("Roads and Bridges", ["Bridges of the State", "Ponts and Chaussées"], "lower"),
        ("Twins", [], "lower"),
        ("Twins", ["Ponts and chaussées"], "upper"),
    ):
        Organization.objects.create(
            name=name,
            other_names=[{"name": other} for other in others],
            classification="committee",
            jurisdiction_id=JURISDICTION,
            parent=chambers.get(classification=chamber),
        )
    committees = [
        {"name": name, **more}
        for name in SPELLINGS
        for more in (
            {},
            {"chamber": "lower"},
            {"chamber": "upper"},
            {"classification": "committee"},
        )
    ]

    def act(classes: Any) -> Any:
        bill = scrapes.bill()
        bill["sponsorships"] = [
            {"name": str(number), "classification": "primary", "entity_type": "organization",
             "primary": True, "organization_id": "~" + json.dumps(committee)}
            for number, committee in enumerate(committees)
        ]  # fmt: skip
        classes[0](JURISDICTION).import_data([bill])
        sponsors = Bill.objects.get().sponsorships
        return sponsors.exclude(organization=None).count()

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected
    assert len(SPELLINGS) < got[0] < len(committees)


@pytest.mark.parametrize("chamber", [None, "", "lower", "upper"])
@pytest.mark.parametrize("role", ["null", None, '{"title": "Senator"}'])
def test_votes__of_two_of_one_name__are_resolved_as_by_core(
    chamber: str | None, role: str | None
) -> None:
    house = Organization.objects.get(jurisdiction_id=JURISDICTION, classification="lower")
    for name in ("first", "second"):
        person = Person.objects.create(name="Ada Plainsman", family_name=name)
        Membership.objects.create(person=person, organization=house)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE opencivicdata_person SET \"current_role\" = %s WHERE family_name = 'second'",
            [role],
        )

    def act(classes: Any) -> None:
        bill = scrapes.bill()
        vote = scrapes.vote_event(bill)
        vote["votes"][0]["voter_id"] = '~{"name": "Ada Plainsman"}'
        bill["sponsorships"][0]["person_id"] = "~" + json.dumps(
            {"name": "Ada Plainsman", "chamber": chamber}
        )
        vote["votes"][1]["voter_id"] = bill["sponsorships"][0]["person_id"]
        importer = classes[0](JURISDICTION)
        importer.import_data([bill])
        classes[1](JURISDICTION, importer).import_data([vote])

    expected, got = both(act)
    assert got == expected


# The legislative session's first and last day, and those around them.
DAYS = ("2031-01-09", "2031-01-10", "2031-01-11", "2031-03-09", "2031-03-10", "2031-03-11")


def test_votes__seats_that_begin_and_end_around_the_session__are_resolved_as_by_core() -> None:
    house = Organization.objects.get(jurisdiction_id=JURISDICTION, classification="lower")
    seats = [(since, until) for since in ("", *DAYS) for until in ("", *DAYS)]
    for number, (since, until) in enumerate(seats):
        person = Person.objects.create(name="" if number % 2 else f"Member {number}")
        person.other_names.create(name=f"Member {number}")
        Membership.objects.create(
            person=person, organization=house, start_date=since, end_date=until
        )

    def act(classes: Any) -> int:
        bill = scrapes.bill()
        vote = scrapes.vote_event(bill)
        vote["votes"] = [
            {**vote["votes"][0], "voter_id": "~" + json.dumps({"name": f"Member {number}"})}
            for number in range(len(seats))
        ]
        importer = classes[0](JURISDICTION)
        importer.import_data([bill])
        classes[1](JURISDICTION, importer).import_data([vote])
        return int(PersonVote.objects.exclude(voter=None).count())

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected
    assert 0 < got[0] < len(seats)


@pytest.mark.parametrize("on_and_on", [False, True])
def test_events__on_days_around_a_session__about_the_bill_of_the_session_then(
    on_and_on: bool,
) -> None:
    EventLocation.objects.create(name="Room 1", jurisdiction_id=ELSEWHERE)
    dates = [("2029", "2029-01-10", "2029-03-10"), ("2032", "2032-01-10", "2032-03-10")]
    if on_and_on:
        dates.append(("special", "2031-03-10", ""))
    for identifier, since, until in dates:
        LegislativeSession.objects.create(
            jurisdiction_id=JURISDICTION,
            identifier=identifier,
            name="",
            start_date=since,
            end_date=until,
        )

    def act(classes: Any) -> list[str]:
        importer = classes[0](JURISDICTION)
        importer.import_data(
            [
                {**scrapes.bill(), "legislative_session": identifier}
                for identifier in (scrapes.SESSION, *(identifier for identifier, *_ in dates))
            ]
        )
        events = [{**scrapes.event(day, "HB 1"), "start_date": f"{day}T09:00:00"} for day in DAYS]
        votes = classes[1](JURISDICTION, importer)
        classes[2](JURISDICTION, votes).import_data(events)
        assert not Event.objects.filter(location__jurisdiction_id=ELSEWHERE).exists()
        about = EventRelatedEntity.objects.order_by("agenda_item__event__start_date")
        return list(about.values_list("bill__legislative_session__identifier", flat=True))

    expected, got = both(act)
    assert got == expected
    assert got[0][1] == scrapes.SESSION
    assert got[0][0] == "2029", "what last began, where none was on"


@pytest.mark.parametrize(
    ("of", "name", "row"),
    [
        ("bill", "versions", {"date": "", "links": []}),
        ("bill", "sources", {"url": "https://a.test"}),
        ("event", "documents", {"date": "", "links": [{"url": "https://a.test"}]}),
    ],
)
@pytest.mark.parametrize("after", ["abb", "bba"])
def test_import_data__one_of_two_alike_changes__updated_as_by_core(
    of: str, name: str, row: dict[str, Any], after: str
) -> None:
    def scraped(notes: str) -> dict[str, Any]:
        data = scrapes.bill() if of == "bill" else scrapes.event()
        return {**data, name: [{**copy.deepcopy(row), "note": note} for note in notes]}

    def act(classes: Any) -> Any:
        told = []
        for notes in ("aab", after, after[::-1]):
            bills = classes[0](JURISDICTION)
            events = classes[2](JURISDICTION, classes[1](JURISDICTION, bills))
            importer = bills if of == "bill" else events
            counts = importer.import_data([scraped(notes)])[of]
            told.append([counts[what] for what in ("insert", "update", "noop")])
        return told

    expected, got = both(act)
    assert list(rows.differences(expected[1], got[1])) == []
    assert got == expected
    assert got[0] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize("action", ["nul \0", "half \ud800", 5, ["a"], ""])
def test_votes__odd_action__as_core(action: Any) -> None:
    def act(classes: Any) -> None:
        bill = scrapes.bill()
        bill["actions"][0]["description"] = "5"
        vote = scrapes.vote_event(bill)
        vote["bill_action"] = action
        importer = classes[0](JURISDICTION)
        importer.import_data([bill])
        with transaction.atomic():
            classes[1](JURISDICTION, importer).import_data([vote])

    expected, got = both(act)
    assert got == expected


def test_postimport__vote_imported_through_core__its_bill_counts_as_imported() -> None:
    def act(classes: Any) -> list[str]:
        bill = scrapes.bill()
        importer = classes[0](JURISDICTION)
        importer.import_data([copy.deepcopy(bill)])
        classes[1](JURISDICTION, importer).import_data([scrapes.vote_event(bill, "stale")])
        vote = scrapes.vote_event(bill, "new")
        # PostgreSQL's own way to write an array.
        vote.update(dedupe_key="key", motion_classification="{passage}")
        classes[1](JURISDICTION, importer).import_data([vote])
        return list(VoteEvent.objects.values_list("motion_text", flat=True))

    expected, got = both(act)
    assert got == expected
    assert got[0] == ["new"]


def test_bill__action_of_an_empty_vote_replaced__vote_stays_as_with_core() -> None:
    def act(classes: Any) -> int:
        bill = scrapes.bill()
        vote = scrapes.vote_event(bill, action="reading 1")
        # Whatever refers to the vote event would keep it from being deleted.
        vote.update(counts=[], votes=[], sources=[])
        importer = classes[0](JURISDICTION)
        importer.import_data([copy.deepcopy(bill)])
        classes[1](JURISDICTION, importer).import_data([vote])
        bill["actions"][0]["description"] = "reading 2"
        classes[0](JURISDICTION).import_data([bill])
        return int(VoteEvent.objects.filter(bill_action=None).count())

    expected, got = both(act)
    assert got == expected
    assert got[0] == 1
