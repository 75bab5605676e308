"""Flags: what an import notices, keeps until it is put right, and never stops for."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from openstates.data.models import Bill, Membership, Organization, Person

from realtime.domain.config import BULK, CORE
from realtime.domain.flags import Flag
from realtime.ledger import flags, pauses
from tests import scrapes
from tests.flags import opened, raise_flag, resolved
from tests.scrape_runs import Run, command
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def imported(mail: Mail, *files: dict[str, Any]) -> None:
    mail.publish(*files)
    report = mail.run()
    assert not report.outcomes["failed"]


def test_flags__bill_loses_its_actions__shrunk_until_it_has_them_again(mail: Mail) -> None:
    for _ in range(2):
        imported(mail, scrapes.bill(actions=5))
    assert not opened("shrunk")
    imported(mail, scrapes.bill(actions=0))
    (flag,) = opened("shrunk")
    assert flag.detail == {"before": {"actions": 5}, "after": {"actions": 0}}
    assert (flag.bill_identifier, flag.session, flag.count) == ("HB 1", scrapes.SESSION, 1)
    imported(mail, scrapes.bill(actions=2))
    assert opened("shrunk"), "two of five are not what it had"
    imported(mail, scrapes.bill(actions=5))
    assert not opened("shrunk")


def test_flags__row_shrinks_twice__says_what_it_had_first(mail: Mail) -> None:
    for actions in (9, 4, 0):
        imported(mail, scrapes.bill(actions=actions))
    (flag,) = opened("shrunk")
    assert flag.detail == {"before": {"actions": 9}, "after": {"actions": 0}}
    assert flag.count == 2


def test_flags__row_loses_little__none(mail: Mail) -> None:
    for actions in (12, 8, 4, 1):
        imported(mail, scrapes.bill(actions=actions))
    assert not opened("shrunk")


@pytest.mark.parametrize(
    ("identifier", "characters"),
    [
        ("HB\u200b 2", ["U+200B ZERO WIDTH SPACE"]),
        ("HB 2\u20133", ["U+2013 EN DASH"]),
        ("HB 2`", ["U+0060 GRAVE ACCENT"]),
        ("HB 2\u00a0A", ["U+00A0 NO-BREAK SPACE"]),
        ("HB\u00a02", []),
        ("HB-2", []),
    ],
)
def test_flags__odd_characters_of_an_identifier__flagged_as_stored(
    mail: Mail, identifier: str, characters: list[str]
) -> None:
    imported(mail, scrapes.bill(identifier))
    assert [c for flag in opened("odd-identifier") for c in flag.detail["characters"]] == characters


def test_flags__roll_unlike_its_counts__until_a_later_file_adds_up(mail: Mail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    vote["counts"][0]["value"] = 3
    imported(mail, bill, vote)
    (flag,) = opened("roll-unlike-counts")
    assert flag.detail == {"twice": [], "unlike": {"yes": {"counted": 3, "listed": 1}}}
    assert (flag.object_type, flag.bill_identifier) == ("vote_event", "HB 1")
    imported(mail, scrapes.vote_event(bill))
    assert not opened("roll-unlike-counts")


def test_flags__voter_twice_in_a_roll__flagged(mail: Mail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    vote["votes"].append(vote["votes"][0])
    vote["counts"][0]["value"] = 2
    imported(mail, bill, vote)
    assert [flag.detail for flag in opened("roll-unlike-counts")] == [
        {"twice": ["Ada Plainsman"], "unlike": {}}
    ]


def member(name: str, chamber: str = "lower") -> Person:
    organization = Organization.objects.get(
        jurisdiction_id=scrapes.WYOMING.jurisdiction_id, classification=chamber
    )
    person = Person.objects.create(name=name, current_role={"type": chamber})
    Membership.objects.create(person=person, organization=organization, start_date="2030-01-01")
    return person


def test_flags__names_of_nobody__one_each_until_somebody_answers(mail: Mail) -> None:
    bill = scrapes.bill()
    bill["sponsorships"][0] |= {"entity_type": "organization", "person_id": None}
    bill["sponsorships"][0] |= {"organization_id": '~{"name": "Rules"}', "name": "Rules"}
    votes = [scrapes.vote_event(bill, motion) for motion in ("passage", "concurrence")]
    imported(mail, bill, *votes)
    found = {flag.subject: flag for flag in opened("unmatched")}
    assert set(found) == {"Ada Plainsman (lower)", "Bo Ridge (lower)", "Rules"}
    ada = found["Ada Plainsman (lower)"]
    assert (ada.count, ada.object_type, ada.key) == (2, "person", mail.key(votes[1]))
    assert ada.detail == {"name": "Ada Plainsman", "chamber": "lower"}
    assert found["Rules"].object_type == "organization"

    member("Ada Plainsman")
    imported(mail, scrapes.vote_event(bill, "veto"))
    assert [flag.subject for flag in opened("unmatched")] == ["Bo Ridge (lower)", "Rules"]


def test_flags__name_of_two_people__ambiguous_until_one_is_left(mail: Mail) -> None:
    bill = scrapes.bill()
    _, other = member("Ada Plainsman"), member("Ada Plainsman")
    imported(mail, bill, scrapes.vote_event(bill))
    (flag,) = [flag for flag in opened("ambiguous") if flag.object_type == "vote_event"]
    assert flag.detail == {"names": ["Ada Plainsman (lower)"]}
    assert "Ada Plainsman (lower)" not in {flag.subject for flag in opened("unmatched")}

    other.memberships.all().delete()
    imported(mail, scrapes.vote_event(bill))
    assert not [flag for flag in opened("ambiguous") if flag.object_type == "vote_event"]


def test_flags__same_file_again__counted_once_and_hold_nothing_up(mail: Mail) -> None:
    keys = mail.publish(scrapes.bill("HB `1"))
    mail.run()
    mail.send(mail.message(keys[0]))
    assert mail.run().outcomes["ignored"] == 1
    assert [flag.count for flag in opened("odd-identifier")] == [1]


def test_flags__resolved_by_a_person__raised_again_as_a_new_one(mail: Mail) -> None:
    imported(mail, scrapes.bill("HB `1"))
    (flag,) = opened("odd-identifier")
    assert flags.resolve([flag.id], "kim", "that is its name\0") == [flag.id]
    assert flags.resolve([flag.id], "kim", "") == []
    flag.refresh_from_db()
    assert (flag.resolved_by, flag.resolution) == ("kim", "that is its name\\0")
    imported(mail, scrapes.bill("HB `1", title="Of roads"))
    assert [one.count for one in opened("odd-identifier")] == [1]
    assert flags.reopen([flag.id]) == [], "it was raised anew"
    (anew,) = opened("odd-identifier")
    flags.resolve([anew.id], "kim", "again")
    assert flags.reopen([flag.id, anew.id]) == [anew.id], "one is open at a time"
    (again,) = opened("odd-identifier")
    assert (again.id, again.resolved_by) == (anew.id, "")


def test_flags__names_too_long_to_tell_apart__are_one(mail: Mail) -> None:
    bill = scrapes.bill()
    vote = scrapes.vote_event(bill)
    names = ("x" * 5000, "x" * 5001)
    vote["votes"] = [
        {"option": "yes", "voter_name": "A", "voter_id": f'~{{"name": "{name}"}}', "note": ""}
        for name in names
    ]
    imported(mail, bill, vote)
    assert [(flag.subject, flag.count) for flag in opened("unmatched", object_type="person")] == [
        ("Ada Plainsman", 1),
        ("x" * 200 + " (lower)", 1),
    ]


def test_flags_realtime__listed_by_kind_and_resolved_with_a_note(mail: Mail) -> None:
    def told(*arguments: str) -> str:
        output = io.StringIO()
        with override_settings(REALTIME=mail.config):
            call_command("flags_realtime", *arguments, stdout=output)
        return output.getvalue()

    imported(mail, scrapes.bill("HB 1`"))
    listed = json.loads(told("--json", "--kind", "odd-identifier", "--jurisdiction", "wy"))
    (flag,) = listed["list"]
    assert (listed["open"], flag["bill_identifier"], flag["count"]) == (1, "HB 1`", 1)
    assert "wy odd-identifier HB 1` · " in told("--kind", "odd-identifier")
    assert told("--kind", "odd-identifier", "--jurisdiction", "dc") == ""
    with pytest.raises(CommandError, match="--note belong together"):
        told("--resolve", str(flag["id"]))
    assert told("--resolve", str(flag["id"]), "--note", "so be it") == f"{flag['id']} resolved\n"
    with pytest.raises(CommandError, match="no open flag"):
        told("--resolve", str(flag["id"]), "--note", "again")
    assert told("--kind", "odd-identifier") == ""


def test_status__flags_and_pauses__shown_and_in_its_json(mail: Mail) -> None:
    imported(mail, scrapes.bill("HB `1"))
    pauses.pause(scrapes.WYOMING.jurisdiction_id, "kim", "a test")
    mail.publish(scrapes.bill("HB 2"))
    mail.run()
    found = command(mail, "status_realtime")
    kinds = {one["kind"]: one["count"] for one in found["flags"]["list"]}
    assert kinds == {"odd-identifier": 1, "unmatched": 1}
    assert found["flags"]["open"] == 2
    (pause,) = found["paused"]["list"]
    assert (pause["jurisdiction_id"], pause["by"]) == (scrapes.WYOMING.jurisdiction_id, "kim")
    assert [one["waiting_for"] for one in found["parked"]["list"]] == ["paused: a test"]
    output = io.StringIO()
    with override_settings(REALTIME=mail.config):
        call_command("status_realtime", stdout=output)
    assert "wy by kim" in output.getvalue()
    assert "bill paused: a test" in output.getvalue()


def test_flags__of_two_files__name_both(mail: Mail) -> None:
    first, second = scrapes.bill(), scrapes.bill("HB 2")
    imported(mail, first, second)
    row = Bill.objects.get(identifier="HB 1").id
    flag = Flag("collision", "bill", row, row, {"titles": []}, other_scrape_id=second["_id"])
    raised = raise_flag(flag)
    assert (raised.other_key, raised.bill_identifier) == (mail.key(second), "HB 1")
    assert raise_flag(flag).count == 2
    imported(mail, scrapes.bill())
    assert opened("collision"), "only a person resolves it"


def test_flags__row_deleted_by_a_finalization__resolved(mail: Mail) -> None:
    first, bill = Run(mail), scrapes.bill()
    odd = scrapes.vote_event(bill, "old")
    odd["counts"][0]["value"] = 3
    first.publish(bill, odd, scrapes.vote_event(bill, "kept"))
    first.end()
    mail.run()
    assert opened("roll-unlike-counts")
    second, bill = Run(mail), scrapes.bill()
    second.publish(bill, scrapes.vote_event(bill, "kept"))
    second.end()
    mail.run()
    assert not opened("roll-unlike-counts")
    assert [one.resolution for one in resolved("roll-unlike-counts")] == ["the row was deleted"]


def test_flags__names_that_resolve_when_the_run_is_final__gone(mail: Mail) -> None:
    run, bill = Run(mail), scrapes.bill()
    run.publish(bill, scrapes.vote_event(bill))
    mail.run()
    before = {flag.subject: flag.count for flag in opened("unmatched")}
    member("Ada Plainsman")
    run.end()
    mail.run()
    after = {flag.subject: flag.count for flag in opened("unmatched")}
    assert after == {"Bo Ridge (lower)": before["Bo Ridge (lower)"]}, "not counted once more"
