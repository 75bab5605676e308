"""Which row a file is: nothing is merged, moved or deleted only because two things look alike."""

import itertools
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.db import transaction
from openstates.data.models import Bill, Event, Organization, Person, VoteEvent

from realtime.domain.config import BULK, CORE
from realtime.finalization.row_matching import misplaced
from realtime.models import File, RaisedFlag
from tests import oracle, rows, scrapes
from tests.scrape_runs import Run
from tests.scrapes import Mail
from tests.support import Aws

WYOMING = scrapes.WYOMING.jurisdiction_id
Scraped = dict[str, Any]
Test = TypeVar("Test", bound=Callable[..., None])


def session(identifier: str, start: str, end: str) -> Scraped:
    return {
        "identifier": identifier,
        "name": identifier,
        "classification": "primary",
        "start_date": start,
        "end_date": end,
        "active": False,
    }


def with_sessions(*more: Scraped) -> Scraped:
    data = scrapes.jurisdiction()
    return {**data, "legislative_sessions": [*data["legislative_sessions"], *more]}


def vote(of: Scraped | str | None, motion: str = "passage", yes: int = 1, **more: Any) -> Scraped:
    """A vote event with so many yes votes, counted at a page of their own."""
    data = scrapes.vote_event(of, motion)
    data["counts"] = [{"option": "yes", "value": yes}]
    data["sources"] = [{"url": f"https://example.com/votes/{yes}", "note": ""}]
    return {**data, **more}


def yeses() -> list[tuple[str, int]]:
    """The identifier of the bill and the yes count of each vote event."""
    found = VoteEvent.objects.filter(counts__option="yes")
    return sorted(
        (bill or "", n) for bill, n in found.values_list("bill__identifier", "counts__value")
    )


def expected(folder: Path, *scraped: Iterable[Scraped]) -> list[str]:
    """What the oracle leaves of these scrapes, one after the other."""
    read = []
    for number, files in enumerate(scraped):
        (folder / str(number)).mkdir()
        for data in files:
            name = f"{scrapes.type_of(data)}_{data['_id'].replace('/', '-')}.json"
            (folder / str(number) / name).write_text(json.dumps(data))
        read.append(oracle.read(sorted((folder / str(number)).iterdir())))
    with transaction.atomic():
        savepoint = transaction.savepoint()
        oracle.import_scrapes(read, WYOMING)
        told = rows.dump()
        transaction.savepoint_rollback(savepoint)
    return told


def scrape(mail: Mail, files: Iterable[Scraped], *, at_once: bool = True) -> Run:
    """Publish a whole scrape and import it: at once, or each file alone."""
    run = Run(mail)
    for data in files:
        run.publish(data)
        if not at_once:
            mail.run()
    run.end()
    mail.run()
    return run


def assert_final(run: Run) -> None:
    assert (run.row.closed, bool(run.row.finalized_at)) == ("", True)
    assert not File.objects.filter(outcome__in=["failed", "deferred"]).exists()


def in_any_order(count: int) -> Callable[[Test], Test]:
    orders = list(itertools.permutations(range(count)))
    # Of the 24 of four, every fourth: each begins and ends one of them.
    some = orders[:: 4 if count > 3 else 1]
    return pytest.mark.parametrize("order", some, ids=lambda o: "".join(map(str, o)))


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    return mail


# -- vote events ------------------------------------------------------------------------------


@in_any_order(2)
def test_identity__one_dedupe_key_on_two_bills__each_bill_has_its_vote(
    mail: Mail, order: tuple[int, ...]
) -> None:
    one, other = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    votes = [vote(bill, dedupe_key="roll 29") for bill in (one, other)]
    files = [scrapes.jurisdiction(), one, other, *(votes[n] for n in order)]
    assert_final(scrape(mail, files, at_once=False))
    assert yeses() == [("HB 1", 1), ("HB 2", 1)]


def test_identity__key_comes_back_in_the_next_session__both_votes_stay(mail: Mail) -> None:
    then = scrapes.bill()
    now = {**scrapes.bill(), "legislative_session": "2032"}
    key = {"dedupe_key": "roll 1"}
    sessions = with_sessions(session("2032", "2032-01-10", "2032-03-10"))
    scrape(mail, [sessions, then, vote(then, yes=1, **key)])
    scrape(mail, [now, vote(now, yes=2, legislative_session="2032", **key)])
    assert sorted(
        VoteEvent.objects.values_list("legislative_session__identifier", "counts__value")
    ) == [(scrapes.SESSION, 1), ("2032", 2)]


@in_any_order(4)
def test_identity__votes_without_a_bill_beside_those_with_one__none_lost_or_doubled(
    mail: Mail, tmp_path: Path, order: tuple[int, ...]
) -> None:
    one, other = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    bills = [scrapes.jurisdiction(), one, other]
    of = (one, None, other, None)
    votes = [vote(bill, yes=n, identifier="5") for n, bill in enumerate(of, start=1)]
    told = expected(tmp_path, [*bills, *votes])
    assert_final(scrape(mail, [*bills, *(votes[n] for n in order)], at_once=False))
    assert yeses() == [("", 2), ("", 4), ("HB 1", 1), ("HB 2", 3)]
    assert list(rows.differences(told, rows.dump())) == []


@in_any_order(2)
def test_identity__vote_without_a_bill_beside_one_with_it_of_no_run__both_stay(
    mail: Mail, order: tuple[int, ...]
) -> None:
    bill = scrapes.bill()
    votes = [vote(of, yes=n, identifier="5") for n, of in enumerate((bill, None), start=1)]
    for data in (scrapes.jurisdiction(), bill, *(votes[n] for n in order)):
        mail.publish(data)
        mail.run()
    assert yeses() == [("", 2), ("HB 1", 1)]


@in_any_order(3)
def test_identity__roll_calls_alike_but_for_sources_and_rolls__each_has_its_row(
    mail: Mail, order: tuple[int, ...]
) -> None:
    bill = scrapes.bill()
    calls = [vote(bill, yes=n) for n in (20, 11, 5)]
    files = [scrapes.jurisdiction(), bill, *(calls[n] for n in order)]
    run = scrape(mail, files, at_once=False)
    assert_final(run)
    assert yeses() == [("HB 1", 5), ("HB 1", 11), ("HB 1", 20)]
    flag = RaisedFlag.objects.get(kind="collision", resolved_at=None)
    assert (flag.object_type, flag.bill_identifier) == ("vote_event", "HB 1")
    assert flag.key != flag.other_key != ""


def test_identity__roll_calls_alike_scraped_again__each_finds_its_row(mail: Mail) -> None:
    bill = scrapes.bill()
    scrape(mail, [scrapes.jurisdiction(), bill, *(vote(bill, yes=n) for n in (20, 11, 5))])
    before = dict(VoteEvent.objects.values_list("counts__value", "id"))
    again = scrapes.bill()
    calls = {n: vote(again, yes=n) for n in (5, 20, 11)}
    calls[5]["result"] = "fail"
    run = scrape(mail, [again, *calls.values()], at_once=False)
    assert dict(VoteEvent.objects.values_list("counts__value", "id")) == before
    outcomes = File.objects.filter(run_id=run.id, object_type="vote_event")
    assert sorted(outcomes.values_list("outcome", flat=True)) == [
        "unchanged",
        "unchanged",
        "updated",
    ]


def test_identity__one_of_two_roll_calls_alike_is_gone__its_row_goes_and_the_other_stays(
    mail: Mail,
) -> None:
    bill = scrapes.bill()
    scrape(mail, [scrapes.jurisdiction(), bill, vote(bill, yes=20), vote(bill, yes=11)])
    kept = VoteEvent.objects.get(counts__value=11)
    again = scrapes.bill()
    scrape(mail, [again, vote(again, yes=11)])
    assert VoteEvent.objects.get() == kept


@in_any_order(2)
def test_identity__scrape_repeats_a_vote_without_its_roll__one_row_the_newer_wins(
    mail: Mail, order: tuple[int, ...]
) -> None:
    bill = scrapes.bill()
    bare = {**scrapes.vote_event(bill), "counts": [], "votes": []}
    calls = [bare, vote(bill, yes=20)]
    files = [scrapes.jurisdiction(), bill, *(calls[n] for n in order)]
    assert_final(scrape(mail, files, at_once=False))
    assert yeses() == [("HB 1", 20)]


@in_any_order(4)
def test_identity__scrape_repeats_a_vote_with_and_without_its_roll__as_in_scrape_order(
    mail: Mail, tmp_path: Path, order: tuple[int, ...]
) -> None:
    bill = scrapes.bill()
    bare = {**scrapes.vote_event(bill), "counts": [], "votes": []}
    calls = [vote(bill, yes=20), bare, vote(bill, yes=20), vote(bill, yes=11)]
    for data in calls:
        data["_id"] = scrapes.fresh_id()
    files = [scrapes.jurisdiction(), bill, *calls]
    told = expected(tmp_path, files)
    shuffled = [*files[:2], *(calls[n] for n in order)]
    assert_final(scrape(mail, shuffled, at_once=False))
    assert yeses() == [("HB 1", 11), ("HB 1", 20)]
    assert list(rows.differences(told, rows.dump())) == []


@pytest.mark.parametrize("scraped_before", [False, True], ids=["new", "scraped before"])
@in_any_order(2)
def test_identity__votes_alike_of_which_one_has_a_dedupe_key__each_has_its_row(
    mail: Mail, tmp_path: Path, order: tuple[int, ...], *, scraped_before: bool
) -> None:
    bill = scrapes.bill()
    before = [vote(bill, dedupe_key="K")] if scraped_before else []
    scrape(mail, [scrapes.jurisdiction(), bill, *before])
    again = scrapes.bill()
    calls = [vote(again, result="fail"), vote(again, dedupe_key="K")]
    for data in calls:
        data["_id"] = scrapes.fresh_id()
    told = expected(tmp_path, [again, *calls])
    run = Run(mail)
    for data in (again, *(calls[n] for n in order)):
        run.publish(data)
        mail.run()
    results = VoteEvent.objects.order_by("result").values_list("result", flat=True)
    assert list(results) == ["fail", "pass"], "before the run is final"
    run.end()
    mail.run()
    assert_final(run)
    # Core leaves a row its key, so that the vote without one has it if it has that row.
    found = rows.dump()
    if scraped_before:
        told, found = ([re.sub('"dedupe_key": (null|"K")', "", line) for line in one]
                       for one in (told, found))  # fmt: skip
    assert list(rows.differences(sorted(told), sorted(found))) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=["012", "210", "120"])
@pytest.mark.parametrize("case", ["bare repeat", "kept key", "identifier"])
def test_identity__three_votes_by_several_keys__as_in_scrape_order_and_finalized_once(
    mail: Mail, tmp_path: Path, case: str, order: tuple[int, ...]
) -> None:
    def bare(**more: Any) -> Scraped:
        return {**vote(again), "counts": [], "votes": [], **more}

    bill = scrapes.bill()
    before = [vote(bill, dedupe_key="K")] if case == "kept key" else []
    scrape(mail, [scrapes.jurisdiction(), bill, *before])
    again = scrapes.bill()
    calls = {
        "bare repeat": [bare(), vote(again, dedupe_key="K"), bare(result="fail")],
        "kept key": [vote(again, dedupe_key="K"), vote(again), bare(dedupe_key="K")],
        "identifier": [vote(again), vote(again, identifier="7"), vote(again, result="fail")],
    }[case]
    for data in calls:
        data["_id"] = scrapes.fresh_id()
    told = expected(tmp_path, [again, *calls])
    run = scrape(mail, [again, *(calls[n] for n in order)], at_once=False)
    assert_final(run)
    assert list(rows.differences(told, rows.dump())) == []
    assert misplaced(run.row, "vote_event") == [], "or finalizing it again would make new rows"


def test_identity__vote_corrected_by_the_next_scrape__one_row(mail: Mail) -> None:
    bill = scrapes.bill()
    scrape(mail, [scrapes.jurisdiction(), bill, vote(bill, yes=20)])
    again = scrapes.bill()
    scrape(mail, [again, vote(again, yes=21)])
    assert yeses() == [("HB 1", 21)]


@in_any_order(2)
def test_identity__two_measures_under_one_identifier__newer_wins_and_both_are_named(
    mail: Mail, order: tuple[int, ...]
) -> None:
    measures = [scrapes.bill(title=title) for title in ("Of bridges", "Of roads")]
    for number, data in enumerate(measures):
        data["sources"] = [{"url": f"https://example.com/{number}", "note": ""}]
    run = scrape(mail, [scrapes.jurisdiction(), *(measures[n] for n in order)], at_once=False)
    assert_final(run)
    assert Bill.objects.get().title == "Of roads"
    flag = RaisedFlag.objects.get(kind="collision", resolved_at=None)
    assert sorted(flag.detail["titles"]) == ["Of bridges", "Of roads"]
    assert len({*map(str, flag.detail["sources"])}) == 2
    keys = set(File.objects.filter(object_type="bill").values_list("key", flat=True))
    assert {flag.key, flag.other_key} == keys


def test_identity__bill_that_changes_from_scrape_to_scrape__no_collision(mail: Mail) -> None:
    scrape(mail, [scrapes.jurisdiction(), scrapes.bill(title="Of bridges")])
    scrape(mail, [scrapes.bill(title="Of roads"), scrapes.bill(title="Of roads")])
    assert not RaisedFlag.objects.filter(kind="collision").exists()


# -- whose vote -------------------------------------------------------------------------------


@in_any_order(3)
def test_identity__vote_whose_bill_came_after_its_namesake__is_that_bills(
    mail: Mail, tmp_path: Path, order: tuple[int, ...]
) -> None:
    sessions = with_sessions(session("2033", "2033-01-10", "2033-03-10"))
    ours, later = scrapes.bill(), {**scrapes.bill(), "legislative_session": "2033"}
    # Its session is that of the namesake, which it is taken for until its bill comes.
    mine = vote(later, "passage", yes=1, identifier="2")
    its = vote(ours, "passage", yes=1, identifier="2")
    told = expected(tmp_path, [sessions, ours, later, mine, its])
    rest = [later, mine, its]
    assert_final(scrape(mail, [sessions, ours, *(rest[n] for n in order)], at_once=False))
    found = VoteEvent.objects.values_list("bill__legislative_session__identifier", flat=True)
    assert sorted(found) == [scrapes.SESSION, "2033"]
    assert list(rows.differences(told, rows.dump())) == []


def test_identity__vote_taken_for_one_of_an_earlier_scrape__that_one_stays(mail: Mail) -> None:
    sessions = with_sessions(session("2033", "2033-01-10", "2033-03-10"))
    ours, later = scrapes.bill(), {**scrapes.bill(), "legislative_session": "2033"}
    scrape(mail, [sessions, ours, vote(ours, identifier="2")])
    before = VoteEvent.objects.get()
    assert_final(scrape(mail, [vote(later, identifier="2"), later], at_once=False))
    assert VoteEvent.objects.get(bill__legislative_session__identifier=scrapes.SESSION) == before
    assert VoteEvent.objects.filter(bill__legislative_session__identifier="2033").count() == 1


def test_identity__bill_named_by_identifier_alone__that_of_the_votes_session(mail: Mail) -> None:
    special = with_sessions(session("2031S1", "2031-02-20", "2031-03-01"))
    bill, other = scrapes.bill(), {**scrapes.bill(), "legislative_session": "2031S1"}
    named = vote(None, yes=2, bill='~{"identifier": "HB 1"}')
    scrape(mail, [special, bill, vote(bill, "reading"), named])
    again = {**named, "_id": scrapes.fresh_id()}
    run = scrape(mail, [scrapes.bill(), other, vote(bill, "reading"), again])
    assert_final(run)
    of = VoteEvent.objects.filter(counts__value=2)
    assert of.get().bill.legislative_session.identifier == scrapes.SESSION


def test_identity__vote_of_a_bill_of_another_session_only__waits(mail: Mail) -> None:
    special = with_sessions(session("2031S1", "2031-02-20", "2031-03-01"))
    run = Run(mail)
    run.publish(special, {**scrapes.bill(), "legislative_session": "2031S1"})
    run.publish(vote(None, bill='~{"identifier": "HB 1"}'))
    mail.run()
    assert not VoteEvent.objects.exists()
    assert File.objects.get(object_type="vote_event").outcome == "deferred"
    run.publish(scrapes.bill())
    mail.run()
    assert VoteEvent.objects.get().bill.legislative_session.identifier == scrapes.SESSION


def test_finalize__a_vote_of_a_bill_failed__that_bill_keeps_its_votes(mail: Mail) -> None:
    bill, other = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    scrape(
        mail,
        [scrapes.jurisdiction(), bill, other, *(vote(b, m) for b in (bill, other) for m in "ab")],
    )
    again, too = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    unknown = {**vote(again, "b"), "organization": '~{"name": "No such committee"}'}
    run = scrape(mail, [again, too, vote(again, "a"), unknown, vote(too, "a")])
    assert (run.row.closed, bool(run.row.finalized_at)) == ("", True)
    assert File.objects.get(outcome="failed").reason == "unresolved"
    left = VoteEvent.objects.values_list("bill__identifier", "motion_text")
    assert sorted(left) == [("HB 1", "a"), ("HB 1", "b"), ("HB 2", "a")]


def test_finalize__committee_has_become_ambiguous__the_vote_that_is_in_stays(mail: Mail) -> None:
    def committee(parent: str) -> None:
        Organization.objects.create(
            name="Rules",
            classification="committee",
            jurisdiction_id=WYOMING,
            parent=Organization.objects.get(jurisdiction_id=WYOMING, classification=parent),
        )

    committee("lower")
    bill = scrapes.bill()
    run = Run(mail)
    by = '~{"classification": "committee", "name": "Rules"}'
    run.publish(scrapes.jurisdiction(), bill, vote(bill, organization=by))
    mail.run()
    committee("upper")
    run.end()
    mail.run()
    assert_final(run)
    assert yeses() == [("HB 1", 1)]


# -- references -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "meant"),
    [
        ("2031-01-12", scrapes.SESSION),
        ("2031-12-31", scrapes.SESSION),
        ("2032-02-01", "2032S1"),
        ("2030-12-31", None),
    ],
    ids=["within", "after", "covered by the special session", "before all"],
)
def test_agenda__bill_of_several_sessions__that_of_the_day_never_a_later_one(
    mail: Mail, day: str, meant: str | None
) -> None:
    special = session("2032S1", "2032-01-20", "2032-03-01")
    bills = [scrapes.bill(), {**scrapes.bill(), "legislative_session": "2032S1"}]
    hearing = {**scrapes.event(about="HB 1"), "start_date": f"{day}T09:00:00+00:00"}
    data = with_sessions(special)
    data["legislative_sessions"][0] |= {"start_date": "2031-01-02", "end_date": "2031-03-10"}
    assert_final(scrape(mail, [data, *bills, hearing]))
    entity = Event.objects.get().agenda.get().related_entities.get()
    found = entity.bill and entity.bill.legislative_session.identifier
    assert found == meant


def test_agenda__two_sessions_of_the_day_have_the_bill__linked_to_neither(mail: Mail) -> None:
    data = with_sessions(session("2031S1", "2031-01-10", "2031-01-20"))
    data["legislative_sessions"][0] |= {"start_date": "2031-01-02", "end_date": "2031-03-10"}
    bills = [scrapes.bill(), {**scrapes.bill(), "legislative_session": "2031S1"}]
    hearing = {**scrapes.event(about="HB 1"), "start_date": "2031-01-12T09:00:00+00:00"}
    assert_final(scrape(mail, [data, *bills, hearing]))
    assert Event.objects.get().agenda.get().related_entities.get().bill is None
    assert RaisedFlag.objects.get(kind="ambiguous").detail["bill"] == "HB 1"


@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
@pytest.mark.parametrize("first", [0, 1], ids=["sponsor first", "action first"])
def test_reference__committee_of_both_chambers__null_whatever_the_split(
    mail: Mail, first: int, at_once: bool
) -> None:
    for chamber in ("lower", "upper"):
        Organization.objects.create(
            name="Agriculture",
            classification="committee",
            jurisdiction_id=WYOMING,
            parent=Organization.objects.get(jurisdiction_id=WYOMING, classification=chamber),
        )
    named = '~{"classification": "committee", "name": "Agriculture"}'
    entity = {"name": "Agriculture", "entity_type": "organization", "organization_id": named}
    sponsored, acting = scrapes.bill("HB 41"), scrapes.bill("HB 40")
    sponsored["sponsorships"] = [
        {**entity, "classification": "primary", "primary": True, "person_id": None}
    ]
    acting["actions"][0]["related_entities"] = [entity]
    bills = [sponsored, acting] if first == 0 else [acting, sponsored]
    assert_final(scrape(mail, [scrapes.jurisdiction(), *bills], at_once=at_once))
    dump = rows.dump()
    assert sum('"Agriculture"' in line and '"": "Bill"' in line for line in dump) == 2
    flags = RaisedFlag.objects.filter(kind="ambiguous", resolved_at=None)
    assert sorted(flags.values_list("bill_identifier", "detail__names__0")) == [
        ("HB 40", "Agriculture"),
        ("HB 41", "Agriculture"),
    ]


def test_reference__voters_of_a_committee__members_first_then_chamber_then_legislature(
    mail: Mail,
) -> None:
    of = {one.classification: one for one in Organization.objects.filter(jurisdiction_id=WYOMING)}
    committee, other = (
        Organization.objects.create(
            name=name, classification="committee", jurisdiction_id=WYOMING, parent=of["lower"]
        )
        for name in ("Rules", "Roads")
    )
    people = {}
    for name, places in {
        "Ana Solo": [of["lower"], committee],
        "ana solo": [of["upper"]],
        "Bo Vane": [of["lower"]],
        "bo vane": [of["upper"], other],
        "Di Unger": [of["upper"], other],
    }.items():
        people[name] = Person.objects.create(name=name)
        for place in places:
            people[name].memberships.create(organization=place)
    bill = scrapes.bill()
    data = vote(bill, organization='~{"classification": "committee", "name": "Rules"}')
    data["votes"] = [
        {"option": "yes", "voter_name": name, "voter_id": f'~{{"name": "{name}"}}', "note": ""}
        for name in ("Ana Solo", "Bo Vane", "Di Unger", "Nobody")
    ]
    assert_final(scrape(mail, [scrapes.jurisdiction(), bill, data]))
    found = dict(VoteEvent.objects.get().votes.values_list("voter_name", "voter_id"))
    assert found == {
        "Ana Solo": people["Ana Solo"].id,
        "Bo Vane": people["Bo Vane"].id,
        "Di Unger": people["Di Unger"].id,
        "Nobody": None,
    }


def test_reference__voter_with_an_id_of_the_scrapers__by_it_or_else_by_name(mail: Mail) -> None:
    lower = Organization.objects.get(jurisdiction_id=WYOMING, classification="lower")
    named, known = Person.objects.create(name="Ana Solo"), Person.objects.create(name="Bo Vane")
    known.identifiers.create(scheme="leg", identifier="7")
    for person in (named, known):
        person.memberships.create(organization=lower)
    bill = scrapes.bill()
    data = vote(bill)
    data["votes"] = [
        {
            "option": "yes",
            "voter_name": n,
            "voter_id": f'~{{"name": "{n}", "id": "{i}"}}',
            "note": "",
        }
        for n, i in (("Ana Solo", "123"), ("B. Vane", "7"), ("C. Vane", "8"))
    ]
    assert_final(scrape(mail, [scrapes.jurisdiction(), bill, data]))
    found = dict(VoteEvent.objects.get().votes.values_list("voter_name", "voter_id"))
    assert found == {"Ana Solo": named.id, "B. Vane": known.id, "C. Vane": None}


def test_reference__related_bill_written_otherwise__linked(mail: Mail) -> None:
    one, other = scrapes.bill("HB 1"), scrapes.bill("HB 2")
    one["related_bills"] = [
        {"identifier": "hb2", "legislative_session": scrapes.SESSION, "relation_type": "companion"}
    ]
    assert_final(scrape(mail, [scrapes.jurisdiction(), one, other]))
    assert '"related_bill": "' in next(
        line for line in rows.dump() if '"identifier": "HB 1"' in line
    )


@pytest.mark.parametrize(
    "asked", ["name__regex", "memberships__organization__name__contains", "extras__a"]
)
def test_reference__pseudo_id_asks_for_more_than_equal_fields__file_fails_and_says_so(
    mail: Mail, asked: str
) -> None:
    bill = scrapes.bill()
    data = vote(bill)
    data["votes"][0]["voter_id"] = "~" + json.dumps({asked: "(a+)+$"})
    mail.publish(scrapes.jurisdiction(), bill, data)
    mail.run()
    failed = File.objects.get(outcome="failed")
    assert failed.reason == "invalid"
    assert asked in failed.detail
