"""What goes wrong when a scrape is imported in pieces, and the test that would notice.

| what goes wrong when done naively | test |
|---|---|
| a vote names its bill by an `_id` that only the bill's own import knows | `test_import__votes_before_their_bill__parked_then_resumed`, `test_import__vote_names_a_bill_that_core_imported__found_by_identifier` (test_import_outcomes) |
| what core does after a whole scrape is done after a piece of it | `test_import__parts_of_one_scrape__delete_nothing_of_each_other` |
| a changed bill recreates its actions; a vote comes before its action, an event before its bill, a bill before its companion | `test_import__changed_bill__its_votes_keep_their_actions`, `test_import__action_arrives_after_the_vote_that_names_it__linked`, `test_import__companion_arrives_later__linked_both_ways` (test_import_outcomes), `test_finalize__event_before_its_bill__agenda_linked` (test_finalization) |
| messages come twice and in any order, old scrapes after new ones or at once | `test_import__message_comes_twice__second_ignored_without_the_object`, `test_import__older_scrape_after_a_newer_one__newer_stays` (test_import_outcomes), `test_import__bill_scraped_twice_in_one_tick__same_one_wins_in_any_order` |
| several files of a scrape are one row | `test_import__vote_event_scraped_twice__later_one_wins_in_any_order` (test_import_outcomes), `test_import__scrape_whose_files_share_rows__ends_as_cores_batch_import` (test_lookalikes) |
| two workers import one bill at once, and make two of it | `test_import__one_bill_by_two_workers_at_once__one_row` |
| core changes what it is given, and says nothing of what it skips | `test_import__action_names_an_unknown_committee__bill_fails_instead_of_being_skipped`, `test_import__file_breaks_its_whole_batch__found_by_halving_and_fails_alone` (test_hostile_input) |
| of two namesakes in two chambers the first to be looked up votes in both | `test_import__namesakes_in_two_chambers__each_votes_in_their_own` |
| a dedupe key is looked up in all jurisdictions | `test_import__dedupe_key_of_another_jurisdiction__leaves_its_vote_alone` |
| which files are one row depends on the order they come in | `test_finalize__key_and_identifier_votes_out_of_order__as_scrape_order_has_them` (test_finalization) |
| a vote event that is stale keeps its action from the one that took its place | `test_finalize__stale_vote_holds_an_action__action_goes_to_the_new_vote` |
| identifiers of bills are written in many ways, and a bill found by one may be the wrong one | `test_import__bill_identifier_written_as_a_scraper_does__found`, `test_finalize__vote_linked_by_identifier__relinked_when_its_bill_arrives` |
| core's cache of organizations outlives its rows; a person is given up half done; people come after what names them | `test_import__party_made_anew_between_two_runs__person_belongs_to_it`, `test_import__bad_person__fails_whole_and_neighbours_are_imported` (test_people), `test_finalize__people_after_what_names_them__resolved` |
| what refers to the children of a row is left behind when they are replaced | `test_import__changed_bill__text_of_its_old_version_goes` |
| Congress has two abbreviations | `test_import__congress__known_by_both_abbreviations` |
"""  # noqa: E501

import json
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from openstates.data.models import (
    Bill,
    Event,
    LegislativeSession,
    Membership,
    Organization,
    PersonVote,
    SearchableBill,
    VoteEvent,
)

from realtime.domain.config import BULK, CORE
from realtime.models import File
from tests import races, scrapes
from tests.schedules import content
from tests.scrapes import Mail
from tests.support import Aws

RUN = "5c3f3f0e-0000-4000-8000-000000000001"
BEFORE_ALL = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    assert mail.run().outcomes["unchanged"] == 1
    return mail


def end(mail: Mail, started_at: datetime = BEFORE_ALL, **objects: int) -> None:
    """Say that the run has ended."""
    mail.send(
        {
            "run_id": RUN,
            "bucket": mail.aws.bucket,
            "jurisdiction_id": scrapes.WYOMING.jurisdiction_id,
            "jurisdiction_name": "Wyoming",
            "run_finished": {
                "started_at": started_at.isoformat(),
                "finished_at": datetime.now(UTC).isoformat(),
                "objects": objects,
                "scrapers": {},
            },
        }
    )


def send_people(mail: Mail, *numbers: int, **fields: Any) -> None:
    for number, text in zip(numbers, content.people(numbers), strict=True):
        key = mail.put(text.encode(), f"wy/person_{scrapes.fresh_id()}-{number}.json")
        mail.send(mail.message(key, **fields))


def test_import__parts_of_one_scrape__delete_nothing_of_each_other(mail: Mail) -> None:
    bill = scrapes.bill()
    for file in (
        bill, scrapes.vote_event(bill, "one"), scrapes.event("First"),
        scrapes.vote_event(bill, "two"), scrapes.event("Second"),
    ):  # fmt: skip
        mail.publish(file, run_id=RUN)
        assert mail.run().outcomes["inserted"] == 1
    assert set(VoteEvent.objects.values_list("motion_text", flat=True)) == {"one", "two"}
    assert not Event.objects.filter(deleted=True).exists()


def test_import__one_bill_by_two_workers_at_once__one_row(mail: Mail) -> None:
    mail.publish(scrapes.bill(title="Old"), scrapes.bill(title="New"))
    worker = partial(mail.run, 1)
    races.together(mail.config.database_url, "INSERT ON opencivicdata_bill", worker, worker)
    while mail.run().received:
        pass
    assert Bill.objects.get().title == "New"
    assert File.objects.filter(object_type="bill").count() == 2


def test_import__action_names_an_unknown_committee__bill_fails_instead_of_being_skipped(
    mail: Mail,
) -> None:
    bill = scrapes.bill()
    bill["actions"][0]["organization_id"] = '~{"name": "Committee on Nothing"}'
    [key] = mail.publish(bill)
    assert mail.run().outcomes["failed"] == 1
    assert File.objects.get(key=key).reason == "unresolved"
    assert not Bill.objects.exists()


@pytest.mark.parametrize("importer", [BULK, CORE])
@pytest.mark.parametrize("first", ["lower", "upper"])
def test_import__namesakes_in_two_chambers__each_votes_in_their_own(
    mail: Mail, first: str, importer: str
) -> None:
    mail.importer = importer
    send_people(mail, 0, 1)
    mail.run()
    bill = scrapes.bill()
    mail.publish(bill)
    for chamber in (first, "upper" if first == "lower" else "lower"):
        vote = scrapes.vote_event(bill, f"motion of the {chamber} house")
        vote["organization"] = "~" + json.dumps({"classification": chamber})
        mail.publish(vote)
    mail.run()
    votes = PersonVote.objects.filter(voter_name="Ada Plainsman")
    found = dict(votes.values_list("vote_event__organization__classification", "voter"))
    assert found == {chamber: person for person, _, chamber, _ in content.PEOPLE[:2]}


@pytest.mark.parametrize("importer", [BULK, CORE])
def test_import__vote_of_a_bill_that_only_another_state_has__waits_for_its_own(
    mail: Mail, importer: str
) -> None:
    congress = "ocd-jurisdiction/country:us/government"
    house = Organization.objects.get(jurisdiction_id=congress, classification="lower")
    session = LegislativeSession.objects.create(
        jurisdiction_id=congress, identifier=scrapes.SESSION, name="", classification="primary"
    )
    Bill.objects.create(legislative_session=session, identifier="HB 9", from_organization=house)
    mail.importer = importer
    mail.publish(scrapes.vote_event("HB 9"))
    assert mail.run().outcomes["deferred"] == 1


def test_import__dedupe_key_of_another_jurisdiction__leaves_its_vote_alone(mail: Mail) -> None:
    elsewhere = "ocd-jurisdiction/country:us/district:dc/government"
    theirs = VoteEvent.objects.create(
        dedupe_key="11438",
        motion_text="theirs",
        start_date="2031-01-11",
        result="pass",
        organization=Organization.objects.get(
            jurisdiction_id=elsewhere, classification="legislature"
        ),
        legislative_session=_session(elsewhere),
    )
    bill = scrapes.bill()
    mail.publish(bill, {**scrapes.vote_event(bill, "ours"), "dedupe_key": "11438"})
    assert mail.run().outcomes["inserted"] == 2
    theirs.refresh_from_db()
    assert (theirs.motion_text, theirs.bill) == ("theirs", None)
    assert VoteEvent.objects.get(bill__isnull=False).motion_text == "ours"


@pytest.mark.parametrize("order", ["12", "21", "132"])
def test_import__bill_scraped_twice_in_one_tick__same_one_wins_in_any_order(
    mail: Mail, order: str
) -> None:
    bill = scrapes.bill()
    # Hosts that looked at their clocks at once.
    for host in order:
        mail.publish({**bill, "_id": f"{bill['_id'][:-1]}{host}", "title": f"Host {host}"})
        mail.run()
    assert Bill.objects.get().title == f"Host {max(order)}"


def _session(jurisdiction_id: str) -> LegislativeSession:
    return LegislativeSession.objects.create(
        jurisdiction_id=jurisdiction_id,
        identifier=scrapes.SESSION,
        name="",
        start_date="2031-01-01",
        end_date="2031-12-31",
    )


@pytest.mark.parametrize("failed", [0, 1])
def test_finalize__stale_vote_holds_an_action__action_goes_to_the_new_vote(
    mail: Mail, failed: int
) -> None:
    bill = scrapes.bill()
    mail.publish(bill, scrapes.vote_event(bill, "as it was called then", action="reading 1"))
    mail.run()
    started_at = datetime.now(UTC)
    again = scrapes.bill()
    vote = scrapes.vote_event(again, "as it is called now", action="reading 1")
    mail.publish(again, vote, run_id=RUN)
    if failed:
        mail.publish({**scrapes.event(), "name": None}, run_id=RUN)
    end(mail, started_at, bill=1, vote_event=1, event=failed)
    mail.run()
    tied = VoteEvent.objects.get(bill_action__description="reading 1")
    assert tied.motion_text == "as it is called now"
    # A run with a failed file deletes nothing.
    assert VoteEvent.objects.count() == 1 + failed


def test_import__bill_identifier_written_as_a_scraper_does__found(mail: Mail) -> None:
    mail.publish(scrapes.bill("HB0001"))
    mail.run()
    named_by_id = scrapes.vote_event(scrapes.bill("HB0001"), "one")
    mail.publish(named_by_id, scrapes.vote_event("HB0001", "two"))
    assert mail.run().outcomes["inserted"] == 2
    assert {vote.bill.identifier for vote in VoteEvent.objects.all()} == {"HB 1"}


def test_finalize__vote_linked_by_identifier__relinked_when_its_bill_arrives(mail: Mail) -> None:
    mail.publish(scrapes.bill("HB 1"))
    mail.run()
    bill = scrapes.bill("HB 2")
    # Until its bill comes, the identifier is all there is to go by.
    vote, again = ({**scrapes.vote_event(bill), "bill_identifier": "HB 1"} for _ in range(2))
    mail.publish(vote, run_id=RUN)
    mail.run()
    assert VoteEvent.objects.get().bill.identifier == "HB 1"
    # Scraped twice: the second finds no row of the right bill yet.
    mail.publish(bill, again, run_id=RUN)
    mail.run()
    assert VoteEvent.objects.count() == 2
    end(mail, bill=1, vote_event=2)
    mail.run()
    assert VoteEvent.objects.get().bill.identifier == "HB 2"


def test_import__party_made_anew_between_two_runs__person_belongs_to_it(mail: Mail) -> None:
    send_people(mail, 0)
    mail.run()
    Organization.objects.get(classification="party", name="Republican").delete()
    anew = Organization.objects.create(classification="party", name="Republican")
    send_people(mail, 1)
    assert mail.run().types["person"]["inserted"] == 1
    assert Membership.objects.get(organization=anew).person_id == content.PEOPLE[1][0]


def test_finalize__people_after_what_names_them__resolved(mail: Mail) -> None:
    bill = scrapes.bill()
    mail.publish(bill, scrapes.vote_event(bill), run_id=RUN)
    mail.run()
    assert not PersonVote.objects.exclude(voter=None).exists()
    send_people(mail, 0, 2, run_id=RUN)
    end(mail, bill=1, vote_event=1, person=2)
    mail.run()
    assert set(PersonVote.objects.values_list("voter_name", "voter_id")) == {
        ("Ada Plainsman", content.PEOPLE[0][0]),
        ("Bo Ridge", content.PEOPLE[2][0]),
    }
    assert Bill.objects.get().sponsorships.get().person_id == content.PEOPLE[0][0]


def test_import__changed_bill__text_of_its_old_version_goes(mail: Mail) -> None:
    mail.publish(scrapes.bill())
    mail.run()
    bill = Bill.objects.get()
    link = bill.versions.get().links.get()
    SearchableBill.objects.create(bill=bill, version_link=link, search_vector="", raw_text="old")
    changed = scrapes.bill()
    changed["versions"][0]["links"][0]["url"] = "https://example.com/2.pdf"
    mail.publish(changed)
    assert mail.run().outcomes["updated"] == 1
    assert bill.versions.get().links.get().url == "https://example.com/2.pdf"
    assert not SearchableBill.objects.exists()


@pytest.mark.parametrize("abbr", ["us", "usa"])
def test_import__congress__known_by_both_abbreviations(mail: Mail, abbr: str) -> None:
    congress = "ocd-jurisdiction/country:us/government"
    _session(congress)
    bill = scrapes.bill("HR 1")
    bill["jurisdiction"]["id"] = congress
    key = mail.put(bill, f"{abbr}/bill_{bill['_id']}.json")
    mail.send(mail.message(key, jurisdiction_id=congress))
    assert mail.run().outcomes["inserted"] == 1
    assert Bill.objects.get().legislative_session.jurisdiction_id == congress
