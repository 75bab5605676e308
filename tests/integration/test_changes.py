"""The change log: what imports and finalizations did, in an order that never changes."""

import io
import json
import random
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from openstates.data.models import Bill, Event, VoteEvent

from realtime.backends.postgres import locks
from realtime.devstack import DevStack
from realtime.devstack.database import using_database
from realtime.domain.config import BULK, CORE
from realtime.finalization import finalize
from realtime.ledger import changes, retention
from realtime.ledger import files as ledger_files
from realtime.ledger.changes import Cursor, Logged
from realtime.models import LoggedChange, RaisedFlag, ScrapeRun
from realtime.monitoring.change_events import cloud_event
from tests import races, scrapes
from tests.change_events import valid
from tests.full_scrapes import (
    full_bill,
    full_event,
    full_jurisdiction,
    full_person,
    full_vote_event,
)
from tests.scrape_runs import Run, import_only
from tests.scrapes import Mail
from tests.support import Aws, wait_until

WYOMING = scrapes.WYOMING.jurisdiction_id


@pytest.fixture(params=[BULK, pytest.param(CORE, marks=pytest.mark.long)])
def mail(request: Any, aws: Aws, database: str) -> Mail:
    mail = Mail(aws, database)
    mail.importer = request.param
    mail.publish(scrapes.jurisdiction())
    mail.run()
    LoggedChange.objects.all().delete()
    return mail


def logged(**only: Any) -> list[Logged]:
    found = changes.read(Cursor())
    return [one for one in found if all(getattr(one, n) == v for n, v in only.items())]


def told(mail: Mail, *arguments: str) -> str:
    output = io.StringIO()
    with override_settings(REALTIME=mail.config):
        call_command("changes_realtime", *arguments, stdout=output)
    return output.getvalue()


def test_changes__bill_in_three_versions__what_differed_each_time(mail: Mail) -> None:
    for bill in (
        scrapes.bill(actions=2),
        scrapes.bill(actions=2),
        scrapes.bill(title="Of roads", actions=5),
    ):
        mail.publish(bill)
        mail.run()
    inserted, updated = logged()
    assert (inserted.verb, inserted.fields, inserted.before) == ("inserted", [], {})
    kinds = ("actions", "other_identifiers", "sources", "sponsorships", "versions")
    assert inserted.after == {**dict.fromkeys(kinds, 1), "actions": 2}
    assert (updated.verb, updated.fields) == ("updated", ["actions", "title"])
    assert (updated.before["actions"], updated.after["actions"]) == (2, 5)
    assert updated.core_id == inserted.core_id == Bill.objects.get().id
    assert (updated.bill_identifier, updated.session) == ("HB 1", scrapes.SESSION)


def test_changes__run_that_deletes_and_marks__each_row_and_the_run(mail: Mail) -> None:
    first, bill = Run(mail), scrapes.bill()
    old, kept = (scrapes.vote_event(bill, motion) for motion in ("old", "kept"))
    first.publish(bill, old, kept, scrapes.event("Gone"), scrapes.event("Stays"))
    first.end()
    mail.run()
    gone = VoteEvent.objects.get(motion_text="old").id
    second, bill = Run(mail), scrapes.bill()
    second.publish(bill, scrapes.vote_event(bill, "kept"), scrapes.event("Stays"))
    second.end()
    mail.run()
    (deleted,) = logged(verb="deleted")
    assert (deleted.core_id, deleted.object_type, str(deleted.run_id)) == (
        gone, "vote_event", second.id,
    )  # fmt: skip
    assert deleted.before == {"counts": 2, "sources": 1, "votes": 2}
    assert (deleted.bill_identifier, deleted.session) == ("HB 1", scrapes.SESSION)
    (marked,) = logged(verb="marked")
    assert marked.core_id == Event.objects.get(name="Gone").id
    assert [one.core_id for one in logged(object_type="run")] == [first.id, second.id]
    for one in logged():
        valid(cloud_event(one))
    assert not RaisedFlag.objects.filter(subject=gone, resolved_at=None).exists()


def test_changes__vote_tied_to_an_action_and_untied__each_is_a_change_of_the_vote(
    mail: Mail,
) -> None:
    bill = scrapes.bill(actions=0)
    mail.publish(bill, scrapes.vote_event(bill, action="reading 1"))
    mail.run()
    with_action = scrapes.bill(actions=1)
    [action] = with_action["actions"]
    moved = scrapes.bill(actions=0)
    moved["actions"] = [{**action, "description": "filed"}, {**action}]
    ties = []
    for data in (with_action, moved, scrapes.bill(actions=0)):
        before = len(logged())
        mail.publish(data)
        mail.run()
        new = logged()[before:]
        assert new[0].object_type == "bill"
        ties.append([(one.object_type, one.verb, one.fields) for one in new[1:]])
        for one in new[1:]:
            assert one.before == one.after == {"counts": 2, "sources": 1, "votes": 2}
            assert (one.bill_identifier, one.file_id) == ("HB 1", None)
            valid(cloud_event(one))
    changed = [("vote_event", "updated", ["bill_action"])]
    assert ties == [changed, [], changed], "an equal action in the place of another is the same"


def test_changes__vote_that_was_tied_moves_to_its_own_bill__told_that_it_has_no_action(
    mail: Mail,
) -> None:
    run = Run(mail)
    namesake, own = scrapes.bill(), scrapes.bill()
    own["legislative_session"] = "2032"
    data = scrapes.jurisdiction()
    [session] = data["legislative_sessions"]
    data["legislative_sessions"] = [session, {**session, "identifier": "2032"}]
    run.publish(data, namesake)
    mail.run()
    # Its own bill has not come: it is imported as a vote on the bill of that number in its session.
    run.publish({**scrapes.vote_event(own, action="reading 1")})
    mail.run()
    assert VoteEvent.objects.get().bill_action is not None
    own["actions"] = []
    run.publish(own)
    run.end()
    mail.run()
    vote = VoteEvent.objects.get()
    assert (vote.bill.legislative_session.identifier, vote.bill_action) == ("2032", None)
    fields = [one.fields for one in logged(core_id=vote.id, verb="updated")]
    assert ["bill_action"] in fields


def test_changes__run_whose_votes_name_no_action_any_more__each_is_a_change_by_the_run(
    mail: Mail,
) -> None:
    for action in ("reading 1", None):
        run, bill = Run(mail), scrapes.bill()
        run.publish(bill, scrapes.vote_event(bill, action=action))
        run.end()
        mail.run()
    assert VoteEvent.objects.get().bill_action is None
    *_, untied, final = logged(run_id=uuid.UUID(run.id))
    assert (untied.object_type, untied.verb, untied.fields, final.verb) == (
        "vote_event", "updated", ["bill_action"], "finalized",
    )  # fmt: skip


def test_changes__transaction_still_open__not_passed_by(mail: Mail) -> None:
    other = psycopg2.connect(mail.config.database_url)
    with other.cursor() as cursor:
        # It has its number, and will commit a row that comes before those of others.
        cursor.execute("SELECT pg_current_xact_id()")
        mail.publish(scrapes.bill("HB 1"))
        mail.run()
        assert logged() == []
        cursor.execute(
            "INSERT INTO realtime_change (xid, at, jurisdiction_id, object_type, change, core_id,"
            " bill_identifier, session, fields, before, after)"
            " VALUES (pg_current_xact_id()::text::bigint, now(), '', 'person', 'merged', 'early',"
            " '', '', '[]', '{}', '{}')"
        )
    other.commit()
    other.close()
    assert [one.object_type for one in logged()] == ["person", "bill"]


def test_changes__commits_in_the_other_order__read_in_one_order_and_none_passed_by(
    mail: Mail,
) -> None:
    """Of two jurisdictions: those of one wait for one another."""
    read: list[Logged] = []

    def read_on() -> list[str]:
        read.extend(changes.read(read[-1].cursor if read else Cursor()))
        return [one.core_id for one in read]

    with closing(psycopg2.connect(mail.config.database_url)) as first:
        with first.cursor() as cursor:
            log_from(cursor, "first")
            with races.session(mail.config.database_url) as second:
                log_from(second, "second")
                # It has the greater number, and is committed: `id > since` reads it now and
                # never reads the first.
                assert read_on() == []
        first.commit()
        assert read_on() == ["first", "second"]
    assert read_on() == ["first", "second"]


def log_from(cursor: Any, core_id: str) -> None:
    cursor.execute(
        "INSERT INTO realtime_change (xid, at, jurisdiction_id, object_type, change, core_id,"
        " bill_identifier, session, fields, before, after)"
        " VALUES (pg_current_xact_id()::text::bigint, now(), '', 'person', 'merged', %s,"
        " '', '', '[]', '{}', '{}')",
        [core_id],
    )


def test_changes__batch_that_waits_for_its_jurisdiction__logged_after_what_it_waits_for(
    mail: Mail,
) -> None:
    mail.publish(scrapes.bill())
    url = mail.config.database_url
    with races.session(url) as other, races.session(url) as onlooker:
        other.execute("BEGIN")
        other.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, locks.number(WYOMING)]
        )
        with ThreadPoolExecutor(1) as worker:
            done = worker.submit(mail.run)
            assert wait_until(lambda: races.waiting(onlooker) == 1)
            # Only now the transaction that was first takes its number.
            log_from(other, "first")
            other.execute("COMMIT")
            done.result()
            worker.submit(lambda: connection.close()).result()
    assert [one.verb for one in logged()] == ["merged", "inserted"]


def test_finalize__run_given_up_while_its_jurisdiction_is_locked__waits_for_the_lock(
    mail: Mail,
) -> None:
    run = Run(mail)
    run.end()
    import_only(mail)
    ScrapeRun.objects.update(attempts=finalize.ATTEMPTS)
    with races.session(mail.config.database_url) as other:
        other.execute(
            "BEGIN; SELECT pg_advisory_xact_lock(%s, %s)",
            [locks.JURISDICTIONS, locks.number(WYOMING)],
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("realtime.finalization.finalize._LOCK_WAIT", 0.05)
            finalize._give_up(run.row)
            assert logged(object_type="run") == []
        other.execute("COMMIT")
        finalize._give_up(run.row)
    assert [one.verb for one in logged(object_type="run")] == ["closed"]


def test_log__committed__readers_are_told(mail: Mail) -> None:
    with closing(psycopg2.connect(mail.config.database_url)) as raw:
        raw.autocommit = True
        raw.cursor().execute(f"LISTEN {changes.CHANNEL}")
        mail.publish(scrapes.bill())
        mail.run()
        raw.poll()
        assert [notice.channel for notice in raw.notifies] == [changes.CHANNEL]


def test_changes_realtime__since_a_cursor__the_rest_as_cloud_events(mail: Mail) -> None:
    mail.publish(scrapes.bill("HB 1"), scrapes.bill("HB 2"), scrapes.bill("HB 3"))
    mail.run()
    events = [valid(line) for line in told(mail, "--json").splitlines()]
    assert [event["data"]["bill_identifier"] for event in events] == ["HB 1", "HB 2", "HB 3"]
    first = events[0]
    assert first["specversion"] == "1.0"
    assert first["type"] == "org.openstates.realtime.bill.inserted"
    assert first["source"] == scrapes.WYOMING.jurisdiction_id
    assert first["data"]["id"] == Bill.objects.get(identifier="HB 1").id
    links = first["data"]["links"]
    assert links["openstates"] == "https://openstates.org/wy/bills/2031/HB1/"
    assert links["file"] in [mail.config.bucket.url_of(key) for key in mail.keys("archived/")]
    rest = told(mail, "--json", "--since", first["id"], "--jurisdiction", "wy").splitlines()
    assert [json.loads(line)["id"] for line in rest] == [event["id"] for event in events[1:]]
    assert told(mail, "--jurisdiction", "dc") == ""
    assert "bill inserted" in told(mail).splitlines()[0]
    with pytest.raises(CommandError, match=r"'yesterday' is no cursor.* is no time"):
        told(mail, "--since", "yesterday")


def test_changes_realtime__since_a_time__those_from_then_on(mail: Mail) -> None:
    for bill in ("HB 1", "HB 2"):
        mail.publish(scrapes.bill(bill))
        mail.run()
    old, new = logged()
    LoggedChange.objects.filter(id=old.cursor.id).update(at=new.at - timedelta(hours=30))
    for time in ("24h", "1d", new.at.isoformat()):
        assert "HB 2" in told(mail, "--since", time)
        assert "HB 1" not in told(mail, "--since", time)
    assert "HB 1" in told(mail, "--since", "2d")
    assert told(mail, "--since", "2099-01-01") == ""


def test_changes_realtime__later_ones_may_be_pruned__says_so(
    mail: Mail, capsys: pytest.CaptureFixture[str]
) -> None:
    for bill in ("HB 1", "HB 2", "HB 3"):
        mail.publish(scrapes.bill(bill))
        mail.run()
    first, second, _ = logged()
    assert "HB 2" in told(mail, "--since", str(first.cursor))
    assert capsys.readouterr().err == ""
    LoggedChange.objects.filter(id__lte=second.cursor.id).delete()
    assert "HB 3" in told(mail, "--since", str(first.cursor))
    assert "may have been deleted (REALTIME_CHANGES_DAYS)" in capsys.readouterr().err
    told(mail, "--since", "0-0")
    assert capsys.readouterr().err == ""


def test_changes_realtime__cursor_of_another_database__error(mail: Mail) -> None:
    with pytest.raises(CommandError, match="cursor of another database"):
        told(mail, "--since", "999999999-1")


def test_changes_realtime__bill__its_own_changes_and_its_votes(mail: Mail) -> None:
    bill, other = scrapes.bill("HB 1"), scrapes.bill("HB 12")
    mail.publish(bill, other, scrapes.vote_event(bill))
    mail.run()
    lines = told(mail, "--bill", "hb1", "--jurisdiction", "wy").splitlines()
    assert [line.split()[4] for line in lines] == ["bill", "vote_event"]
    assert told(mail, "--bill", "HB 1", "--jurisdiction", "dc") == ""
    with pytest.raises(CommandError, match="--bill needs --jurisdiction"):
        told(mail, "--bill", "HB 1")


def test_prune_changes__older_than_asked__gone(mail: Mail) -> None:
    mail.publish(scrapes.bill())
    mail.run()
    now = ledger_files.database_now()
    LoggedChange.objects.update(at="2031-01-01T00:00:00Z")
    assert retention.prune_changes(now) == 0
    LoggedChange.objects.update(at="2020-01-01T00:00:00Z")
    assert retention.prune_changes(now) == 1
    assert logged() == []


# -- both importers ------------------------------------------------------------------------------


def versions() -> Iterator[list[dict[str, Any]]]:
    """Successive scrapes: all is new, the same, much of it changed, all of it poorer."""
    rng = random.Random(5)
    bills = [full_bill(f"HB {n}") for n in range(1, 5)]
    votes = [full_vote_event(bill, f"vote of {bill['identifier']}") for bill in bills]
    events = [full_event("Hearing"), full_event("Markup")]
    yield [full_jurisdiction(), *bills, *votes, *events]
    for poorer in (False, True):
        again = []
        for data in (*bills, *votes, *events):
            data = {**json.loads(json.dumps(data)), "_id": scrapes.fresh_id()}
            for name, value in data.items():
                if isinstance(value, list) and (poorer or rng.random() < 0.2):
                    data[name] = value[: len(value) // 2]
            if rng.random() < 0.5:
                data["extras"] = {"again": rng.random()}
            again.append(data)
        names = {old["_id"]: new["_id"] for old, new in zip(bills, again, strict=False)}
        for data in again:
            if "bill" in data:
                data["bill"] = names[data["bill"]]
        yield again


def noted() -> tuple[list[Any], list[Any]]:
    """The log and the flags, without generated ids and times."""
    names = ("object_type", "change", "bill_identifier", "session", "fields", "before", "after")
    log = LoggedChange.objects.order_by("xid", "id").values_list(*names)
    flags = RaisedFlag.objects.order_by("kind", "subject", "id").values_list(
        "kind", "object_type", "bill_identifier", "detail", "count", "resolved_by"
    )
    return sorted(log, key=str), sorted(flags, key=str)


def test_changes_and_flags__of_both_importers__are_equal(
    stack: DevStack, seeded_template: str, aws: Aws, database: str
) -> None:
    scraped = list(versions())
    found = []
    for importer in ("bulk", "core"):
        url = stack.postgres.create_database(f"noted_{importer}", template=seeded_template)
        with using_database(url):
            mail = Mail(aws, url)
            mail.importer = importer
            for files in scraped:
                run = Run(mail)
                run.publish(*files)
                run.end()
                assert not mail.run().outcomes["failed"]
            found.append(noted())
            for one in changes.read(Cursor()):
                valid(cloud_event(one))
        stack.postgres.drop_database(f"noted_{importer}")
    assert found[0] == found[1]
    log, flags = found[0]
    assert {one[1] for one in log} >= {"inserted", "updated", "finalized"}
    assert {one[0] for one in flags} >= {"shrunk", "unmatched"}


def test_import_batch__flags_and_changes__three_statements_whatever_its_size(mail: Mail) -> None:
    statements: list[str] = []

    def note(execute: Any, sql: str, *arguments: Any) -> Any:
        if "realtime_flag" in sql or "realtime_change" in sql:
            statements.append(sql)
        return execute(sql, *arguments)

    for actions in (9, 0):
        mail.publish(*(scrapes.bill(f"HB `{n}", actions=actions) for n in range(20)))
        with connection.execute_wrapper(note):
            mail.run()
    assert RaisedFlag.objects.filter(kind="shrunk").count() == 20
    assert len(statements) <= 2 * 3
    # Of these the feed takes one, the notice included.
    assert sum("realtime_change" in sql for sql in statements) <= 2


def test_changes__people_and_jurisdictions__logged_with_what_they_have(mail: Mail) -> None:
    data = scrapes.jurisdiction()
    data["legislative_sessions"] = [
        *data["legislative_sessions"],
        {**data["legislative_sessions"][0], "identifier": "2031S1", "name": "Special"},
    ]
    mail.publish(data)
    person = {**full_person(), "party": [{"name": "Republican"}]}
    key = mail.put(json.dumps(person).encode(), "wy/person_1.json")
    mail.send(mail.message(key))
    mail.run()
    (jurisdiction,) = logged(object_type="jurisdiction")
    assert (jurisdiction.verb, jurisdiction.core_id) == ("updated", scrapes.WYOMING.jurisdiction_id)
    assert "legislative_sessions" in jurisdiction.fields
    sessions = "legislative_sessions"
    assert jurisdiction.after[sessions] == jurisdiction.before[sessions] + 1
    (one,) = logged(object_type="person")
    assert (one.verb, one.core_id) == ("inserted", person["id"])


def test_changes__sessions_of_an_older_jurisdiction_file__logged(mail: Mail) -> None:
    older = scrapes.jurisdiction()
    older["legislative_sessions"][0] |= {"identifier": "2030", "name": "2030"}
    key = mail.put(older, "wy/jurisdiction_older.json", **{"scraped-at": "2020-01-01T00:00:00Z"})
    mail.send(mail.message(key))
    assert mail.run().outcomes["superseded"] == 1
    (one,) = logged()
    assert (one.object_type, one.verb, one.fields) == (
        "jurisdiction", "updated", ["legislative_sessions"],
    )  # fmt: skip
