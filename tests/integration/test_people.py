"""People, through core's own load_person."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import pytest
from django.db import connection, transaction
from openstates.data.models import (
    BillSponsorship,
    EventParticipant,
    Jurisdiction,
    LegislativeSession,
    Membership,
    Organization,
    Person,
    PersonVote,
)

from realtime.backends.postgres.locks import PEOPLE, number
from realtime.domain.config import BULK, CORE
from realtime.domain.scraped_object import ticks_of
from realtime.finalization import people
from realtime.finalization.finalize import finalize_anyway, finalize_complete
from realtime.finalization.forecast import losses
from realtime.finalization.state_machine import OutOfTime
from realtime.ledger.complete_runs import steps_to
from realtime.models import File, ListedPerson, LoggedChange, ScrapeRun
from tests import oracle, races, rows, scrapes
from tests.flags import opened, resolved
from tests.scrape_runs import Run, context_of, import_only
from tests.scrapes import Mail
from tests.support import Aws, wait_until

DC = "ocd-jurisdiction/country:us/district:dc/government"
ADA = "ocd-person/9995703e-90eb-4d20-a2f6-bfd9542102bd"
NEW_ADA = "ocd-person/3995703e-90eb-4d20-a2f6-bfd9542102bd"
BO = "ocd-person/1995703e-90eb-4d20-a2f6-bfd9542102bd"
ADA_AS_CHAIR = {
    "name": "Ada Plainsman",
    "entity_type": "person",
    "note": "chair",
    "person_id": '~{"name": "Ada Plainsman"}',
}


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
    send(mail, person(id=BO, name="Bo Ridge"), "2")
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


def listing(one: dict[str, Any]) -> list[dict[str, str]]:
    """The identifiers of somebody who was this person before."""
    return [{"scheme": "openstates", "identifier": one["id"]}]


def new_ada(**changes: Any) -> dict[str, Any]:
    """Ada under a new id. Her file lists the old one."""
    return person(id=NEW_ADA, other_identifiers=listing(person()), **changes)


def sponsors() -> dict[str, str | None]:
    """Who sponsors each bill, as far as that is resolved."""
    return dict(BillSponsorship.objects.values_list("bill__identifier", "person_id"))


def people_updated() -> datetime:
    """When the jurisdiction says that its people changed."""
    updated: datetime = Jurisdiction.objects.get(
        id=scrapes.WYOMING.jurisdiction_id
    ).latest_people_update
    return updated


class Part:
    """One scrape run, written now and sent later."""

    def __init__(self, mail: Mail, *files: dict[str, Any]) -> None:
        self.run = Run(mail)
        self.mail = mail
        # The clock may give the same microsecond twice, and the time is in the key.
        now = datetime.now(UTC)
        self.files = [(data, now + timedelta(microseconds=at)) for at, data in enumerate(files)]

    def send(self) -> None:
        for data, time in self.files:
            self._send(data, time)

    def import_each(self, order: Sequence[int] = ()) -> None:
        """Import the files one by one, in this order of theirs or as they were scraped."""
        for at in order or range(len(self.files)):
            self._send(*self.files[at])
            import_only(self.mail)

    def _send(self, data: dict[str, Any], time: datetime) -> None:
        if "_id" in data:
            self.run.publish(data)
            return
        key = f"wy/person_{data['id'][11:]}_{ticks_of(time)}.json"
        self.mail.put(json.dumps(data).encode(), key, **{"scraped-at": time.isoformat()})
        self.mail.send(self.mail.message(key, run_id=self.run.id))
        self.run.objects["person"] = self.run.objects.get("person", 0) + 1

    def as_scraped(self) -> list[oracle.ScrapedFile]:
        def ticks(data: dict[str, Any], time: datetime) -> int:
            return ticks_of(time) if "_id" not in data else oracle.ticks(data)

        return [
            oracle.ScrapedFile(
                "person" if "_id" not in data else scrapes.type_of(data),
                json.dumps(data),
                ticks(data, time),
            )
            for data, time in self.files
        ]


def as_core(parts: Sequence[Part]) -> list[str]:
    """What core leaves of these, one after the other."""
    with transaction.atomic():
        oracle.import_scrapes(
            [part.as_scraped() for part in parts], scrapes.WYOMING.jurisdiction_id
        )
        dump = rows.dump()
        transaction.set_rollback(True)
    return dump


def imported(parts: Sequence[Part]) -> None:
    """Import each by itself in this order, and finalize all when all are there."""
    for part in parts:
        part.send()
        import_only(part.mail)
    for part in parts:
        part.run.end()
    parts[0].mail.run()
    assert not ScrapeRun.objects.filter(finalized_at=None).exists()


def about_ada(mail: Mail) -> list[Part]:
    """Ada, a scrape that names her; Ada under a new id, another scrape."""
    bill = scrapes.bill()
    hearing = scrapes.event()
    hearing["participants"] = [ADA_AS_CHAIR]
    return [
        Part(mail, person()),
        Part(mail, bill, scrapes.vote_event(bill), hearing),
        Part(mail, new_ada()),
        Part(mail, scrapes.bill(), scrapes.bill("HB 2")),
    ]


@pytest.mark.parametrize(
    ("importer", "order"),
    [
        (BULK, (0, 1, 2, 3)),
        (BULK, (3, 2, 1, 0)),
        (BULK, (2, 0, 1, 3)),
        (BULK, (1, 0, 3, 2)),
        (CORE, (0, 1, 2, 3)),
        (CORE, (3, 2, 1, 0)),
    ],
)
def test_import__person_under_a_new_id_that_lists_the_old__merged_as_os_people_does(
    mail: Mail, importer: str, order: tuple[int, ...]
) -> None:
    mail.importer = importer
    mail.publish(scrapes.jurisdiction())
    mail.run()
    parts = about_ada(mail)
    expected = as_core(parts)
    imported([parts[number] for number in order])
    assert list(rows.differences(expected, rows.dump())) == []
    assert list(Person.objects.values_list("id", flat=True)) == [NEW_ADA]
    for model, who in ((BillSponsorship, "person_id"), (EventParticipant, "person_id")):
        assert set(model.objects.values_list(who, flat=True)) == {NEW_ADA}
    assert PersonVote.objects.get(voter_name="Ada Plainsman").voter_id == NEW_ADA


def test_import__old_file_of_a_merged_person__superseded_unless_it_is_newer(mail: Mail) -> None:
    old, new, newer = Part(mail, person()), Part(mail, new_ada()), Part(mail, person())
    imported([new])
    imported([old])
    late = File.objects.get(run_id=old.run.id)
    assert (late.outcome, late.core_id) == ("superseded", NEW_ADA)
    imported([newer])
    assert set(Person.objects.values_list("id", flat=True)) == {ADA, NEW_ADA}


@pytest.mark.parametrize("importer", [BULK, CORE])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0)])
def test_import__one_run_has_both_the_person_and_who_lists_it__two_persons_as_core(
    mail: Mail, importer: str, order: tuple[int, ...]
) -> None:
    mail.importer = importer
    mail.publish(scrapes.jurisdiction())
    mail.run()
    before = about_ada(mail)[:2]
    both = Part(mail, person(), new_ada(), scrapes.bill("HB 2"))
    expected = as_core([*before, both])
    imported(before)
    both.import_each(order)
    both.run.end()
    mail.run()
    assert list(rows.differences(expected, rows.dump())) == []
    assert Person.objects.count() == 2
    assert sponsors() == {"HB 1": ADA, "HB 2": None}
    assert not ListedPerson.objects.exists()


@pytest.mark.parametrize("importer", [BULK, CORE])
def test_finalize__person_listed_in_the_run__stays_until_its_end_and_is_merged_then(
    mail: Mail, importer: str
) -> None:
    mail.importer = importer
    mail.publish(scrapes.jurisdiction())
    imported(about_ada(mail)[:2])
    new = Part(mail, new_ada(), scrapes.bill("HB 2"))
    new.import_each()
    mail.publish(scrapes.bill("HB 3"))
    mail.run()
    assert sponsors() == {"HB 1": ADA, "HB 2": ADA, "HB 3": ADA}
    before = people_updated()
    new.run.end()
    mail.run()
    assert list(Person.objects.values_list("id", flat=True)) == [NEW_ADA]
    assert sponsors() == {"HB 1": NEW_ADA, "HB 2": NEW_ADA, "HB 3": NEW_ADA}
    merged = LoggedChange.objects.get(change="merged")
    assert (merged.core_id, str(merged.run_id)) == (ADA, new.run.id)
    assert merged.before == {"billsponsorship": 3, "personvote": 1, "eventparticipant": 1}
    assert merged.file_id == File.objects.get(object_type="person", run_id=new.run.id).id
    assert people_updated() > before


def test_finalize__stopped_between_two_merges__next_call_merges_the_rest(
    mail: Mail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "PAGE", 1)
    done(Part(mail, *[of(n) for n in (1, 2, 3)]))
    new = Part(mail, *[of(n + 4, other_identifiers=listing(of(n))) for n in (1, 2, 3)])
    new.import_each()
    new.run.end()
    import_only(mail)
    left = set()
    while new.run.row.finalized_at is None:
        one_transaction = chain([False, False], repeat(True))
        with suppress(OutOfTime):
            list(finalize_complete(context_of(mail, one_transaction.__next__)))
        left.add(Person.objects.count())
    assert left == {6, 5, 4, 3}
    names = Person.objects.order_by("name").values_list("name", flat=True)
    assert list(names) == ["Member 5", "Member 6", "Member 7"]
    assert LoggedChange.objects.filter(change="merged").count() == 3


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_finalize__two_persons_of_the_run_list_one__newest_file_wins(
    mail: Mail, order: tuple[int, ...]
) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    before = about_ada(mail)[:2]
    both = Part(
        mail, person(id=BO, name="Bo Ridge", other_identifiers=listing(person())), new_ada()
    )
    expected = as_core([*before, both])
    imported(before)
    both.import_each(order)
    both.run.end()
    mail.run()
    assert list(rows.differences(expected, rows.dump())) == []
    assert sponsors() == {"HB 1": NEW_ADA}


@pytest.mark.parametrize(("brought", "left"), [(BO, {BO, NEW_ADA}), (ADA, {BO, ADA, NEW_ADA})])
def test_import__late_file_of_a_final_run_lists_a_person__merged_at_once_if_not_of_the_run(
    mail: Mail, brought: str, left: set[str]
) -> None:
    imported([Part(mail, person(), person(id=BO))])
    run = Part(mail, person(id=brought), new_ada())
    late = run.files.pop()
    done(run)
    run.files = [late]
    run.import_each()
    assert set(Person.objects.values_list("id", flat=True)) == left


def test_import__old_file_comes_while_the_merge_is_undecided__a_person(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    mail.run()
    before = about_ada(mail)[:2]
    both = Part(mail, new_ada(), person())
    expected = as_core([*before, both])
    both.import_each([0])
    for part in before:
        done(part)
    both.import_each([1])
    both.run.end()
    mail.run()
    assert list(rows.differences(expected, rows.dump())) == []
    assert sponsors() == {"HB 1": ADA}


def test_import__person_who_was_there_lists_another__their_name_stays_ambiguous(
    mail: Mail,
) -> None:
    mail.publish(scrapes.jurisdiction())
    imported([Part(mail, person(), person(id=NEW_ADA))])
    Part(mail, new_ada(), scrapes.bill()).import_each()
    assert sponsors() == {"HB 1": None}


def test_finalize__newer_file_of_a_listed_person_has_come__two_persons(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    imported(about_ada(mail)[:2])
    new, newer = Part(mail, new_ada()), Part(mail, person())
    imported([new, newer])
    assert set(Person.objects.values_list("id", flat=True)) == {ADA, NEW_ADA}
    assert sponsors() == {"HB 1": ADA}


def test_finalize__newer_file_of_the_run_lists_nobody__two_persons(mail: Mail) -> None:
    imported([Part(mail, person())])
    imported([Part(mail, new_ada(), person(id=NEW_ADA))])
    assert Person.objects.count() == 2


def test_finalize__run_closed_before_its_end__listed_person_merged_once_it_is_complete(
    mail: Mail,
) -> None:
    mail.publish(scrapes.jurisdiction())
    imported(about_ada(mail)[:2])
    new = Part(mail, new_ada())
    new.import_each()
    done(Part(mail, scrapes.bill("HB 2")))
    assert new.run.row.closed == "unfinished"
    assert sponsors() == {"HB 1": ADA, "HB 2": ADA}
    new.run.end()
    mail.run()
    assert sponsors() == {"HB 1": NEW_ADA, "HB 2": NEW_ADA}


def test_finalize__file_of_a_person_failed__listed_person_merged_only_by_force(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    imported(about_ada(mail)[:2])
    new = Part(mail, new_ada(), person(id=BO, party=[{"name": "Whigs"}]))
    new.import_each()
    new.run.end()
    mail.run()
    assert new.run.row.closed == "failed-files"
    assert sponsors() == {"HB 1": ADA}
    for force, merged in ((False, []), (True, [ADA])):
        [(_, lost)] = losses(steps_to(new.run.row, force=force))
        assert (lost.people, lost.all) == (merged, merged), "as it is said before"
    list(finalize_anyway(steps_to(new.run.row, force=True), context_of(mail)))
    assert sponsors() == {"HB 1": NEW_ADA}


def test_import__file_of_no_run_lists_a_person__merged_at_once_and_logged(mail: Mail) -> None:
    mail.publish(scrapes.jurisdiction())
    send(mail, person(), "1")
    bill, hearing = scrapes.bill(), scrapes.event()
    hearing["participants"] = [ADA_AS_CHAIR]
    mail.publish(bill, scrapes.vote_event(bill), hearing)
    mail.run()
    key = send(mail, new_ada(), "2", "2021-01-02")
    mail.run()
    assert EventParticipant.objects.get().person_id == NEW_ADA
    merged = LoggedChange.objects.get(change="merged")
    assert (merged.object_type, merged.core_id) == ("person", ADA)
    assert merged.before == {"billsponsorship": 1, "personvote": 1, "eventparticipant": 1}
    assert merged.file_id == File.objects.get(key=key).id
    assert LoggedChange.objects.get(core_id=NEW_ADA).file_id == merged.file_id


def test_import__merged_person_sits_on_committees__new_one_does_once_each(mail: Mail) -> None:
    send(mail, person(), "1")
    mail.run()
    rules, ways = (
        Organization.objects.create(
            name=name, classification="committee", jurisdiction_id=scrapes.WYOMING.jurisdiction_id
        )
        for name in ("Rules", "Ways and Means")
    )
    send(mail, person(id=NEW_ADA), "2", "2021-01-02")
    mail.run()
    for committee, who in ((rules, ADA), (ways, ADA), (ways, NEW_ADA)):
        Membership.objects.create(organization=committee, person_id=who, role="member")
    send(mail, new_ada(), "3", "2021-01-03")
    mail.run()
    seats = Membership.objects.filter(organization__classification="committee")
    assert sorted(seats.values_list("organization__name", "person_id")) == [
        ("Rules", NEW_ADA),
        ("Ways and Means", NEW_ADA),
    ]
    assert not Membership.objects.filter(person=None).exists()


def test_import__person_merged_where_the_website_has_its_tables__they_follow(mail: Mail) -> None:
    send(mail, person(), "1")
    mail.run()
    tables = {
        "people_admin_unmatchedname": "matched_person_id",
        "people_admin_persondelta": "person_id",
        "people_admin_personretirement": "person_id",
    }
    with connection.cursor() as cursor:
        for table, column in tables.items():
            cursor.execute(
                f"CREATE TABLE {table} ({column} text REFERENCES opencivicdata_person (id));"
                f"INSERT INTO {table} VALUES ('{ADA}')"
            )
    send(mail, new_ada(), "2", "2021-01-02")
    assert mail.run().outcomes["inserted"] == 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT array_agg(matched_person_id) FROM people_admin_unmatchedname),"
            " (SELECT count(*) FROM people_admin_persondelta),"
            " (SELECT count(*) FROM people_admin_personretirement)"
        )
        assert cursor.fetchone() == ([NEW_ADA], 0, 0)


def test_import__two_persons_that_list_each_other_by_two_workers__no_deadlock(mail: Mail) -> None:
    def worker(abbr: str, jurisdiction_id: str, data: dict[str, Any]) -> None:
        try:
            key = mail.put(json.dumps(data).encode(), f"{abbr}/person_1.json")
            mail.send(mail.message(key, jurisdiction_id=jurisdiction_id))
            assert not mail.run().outcomes["released"]
        finally:
            connection.close()

    with races.session(mail.config.database_url) as cursor, ThreadPoolExecutor(2) as threads:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [PEOPLE, number(NEW_ADA)])
        wy = threads.submit(worker, "wy", scrapes.WYOMING.jurisdiction_id, new_ada())
        assert wait_until(lambda: races.waiting(cursor) == 1)
        dc = threads.submit(worker, "dc", DC, person(other_identifiers=listing(new_ada())))
        assert wait_until(lambda: races.waiting(cursor) == 2)
        cursor.execute("SELECT pg_advisory_unlock_all()")
        wy.result()
        dc.result()
    assert Person.objects.count() == 1


def test_import__merged_while_another_jurisdiction_names_the_person__follows(mail: Mail) -> None:
    send(mail, person(), "1")
    mail.run()
    council = Organization.objects.get(classification="legislature", jurisdiction_id=DC)
    Membership.objects.create(organization=council, person_id=ADA)
    LegislativeSession.objects.create(jurisdiction_id=DC, identifier=scrapes.SESSION, name="2031")

    def bill_of_dc() -> None:
        data = scrapes.bill(actions=0) | {"jurisdiction": {"id": DC}}
        data["from_organization"] = '~{"classification": "legislature"}'
        mail.send(mail.message(mail.put(data, "dc/bill_1.json"), jurisdiction_id=DC))
        mail.run()

    def merge() -> None:
        send(mail, new_ada(), "2", "2021-01-02")
        mail.run()

    races.together(
        mail.config.database_url, "INSERT ON opencivicdata_billsponsorship", bill_of_dc, merge
    )
    assert set(scrapes.outcomes().values()) == {"inserted"}
    assert BillSponsorship.objects.get().person_id == NEW_ADA


def done(part: Part) -> None:
    """Import and finalize a run."""
    part.send()
    part.run.end()
    part.mail.run()
    assert part.run.row.finalized_at


def of(number: int, chamber: str = "lower", **changes: Any) -> dict[str, Any]:
    """Somebody of a chamber."""
    role = {**person()["roles"][0], "type": chamber, "district": str(number)}
    role["start_date"] = "2021-01-01"
    id = f"ocd-person/{number:08}-90eb-4d20-a2f6-bfd9542102bd"
    return person(id=id, name=f"Member {number}", **{"roles": [role], **changes})


def missing() -> list[str]:
    return [flag.detail["name"] for flag in opened("person-missing")]


def test_finalize__run_of_people_without_one_who_was_there__flagged_until_brought(
    mail: Mail,
) -> None:
    everyone = [of(number) for number in (1, 2, 3, 4)]
    done(Part(mail, *everyone))
    assert not missing()
    done(Part(mail, *everyone[:2]))
    assert missing() == ["Member 3", "Member 4"]
    (flag, _) = opened("person-missing")
    assert (flag.object_type, flag.core_id) == ("person", everyone[2]["id"])
    assert flag.detail == {"name": "Member 3", "chamber": "lower"}
    assert Person.objects.count() == 4
    left = {**everyone[3]["roles"][0], "end_date": "2021-02-01"}
    done(Part(mail, *everyone[:3], everyone[3] | {"roles": [left]}))
    assert not missing()
    assert len(resolved("person-missing")) == 2
    done(Part(mail, *everyone[:3]))
    assert not missing()


def test_finalize__missing_person_is_merged__flag_resolved(mail: Mail) -> None:
    seat = of(3)["roles"]
    done(Part(mail, person(roles=seat), of(1)))
    done(Part(mail, of(1)))
    assert missing() == ["Ada Plainsman"]
    done(Part(mail, of(1), new_ada(roles=seat)))
    assert not missing()
    assert set(Person.objects.values_list("id", flat=True)) == {NEW_ADA, of(1)["id"]}


def test_finalize__run_says_nothing_about_who_is_missing__none_flagged(mail: Mail) -> None:
    everyone = [of(number) for number in (1, 2, 3)]
    done(Part(mail, *everyone, of(9, "upper")))
    done(Part(mail, everyone[0]))
    done(Part(mail, of(9, "upper")))
    mail.publish(scrapes.jurisdiction())
    done(Part(mail, scrapes.bill()))
    done(Part(mail, *everyone[:2], of(9, "upper", roles=[of(999)["roles"][0]])))
    assert File.objects.filter(outcome="failed").count() == 1
    assert not missing()
    closed = Part(mail, *everyone[:2], scrapes.bill() | {"title": None})
    done(closed)
    assert closed.run.row.closed
    assert not missing()
    newer = Part(mail, everyone[2])
    without = Part(mail, *everyone[:2])
    without.run.started_at = newer.run.started_at
    newer.send()
    done(without)
    assert not missing(), "a newer file has brought them"


def test_import__person_merged_into_one_that_is_unchanged__counts_as_updated(mail: Mail) -> None:
    send(mail, new_ada(), "1", "2021-01-01")
    mail.run()
    send(mail, person(), "2", "2021-01-02")
    assert mail.run().outcomes["inserted"] == 1
    before = Jurisdiction.objects.get(id=scrapes.WYOMING.jurisdiction_id).latest_people_update
    send(mail, new_ada(), "3", "2021-01-03")
    assert mail.run().outcomes["updated"] == 1
    after = Jurisdiction.objects.get(id=scrapes.WYOMING.jurisdiction_id).latest_people_update
    assert after > before
    assert list(Person.objects.values_list("id", flat=True)) == [NEW_ADA]
