"""Bills, runs, files and names found by what people call them; prefixes of `--run`, `--key`."""

import io
import uuid
from typing import Any

import pytest
from django.contrib.postgres.search import SearchVector
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Value
from django.test import override_settings
from openstates.data.models import Bill

from realtime.ledger import flags, titles
from realtime.models import BillTitle, File, Outcome, RaisedFlag
from realtime.monitoring.labels import labels, row_labels
from realtime.monitoring.search.bill_search import BillFound
from realtime.monitoring.search.find import Found, find
from tests import scrapes
from tests.ledger_rows import WYOMING, ago, file, run
from tests.scrape_runs import Run, command
from tests.scrapes import Mail
from tests.support import Aws


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in, with HB 1 and HB 12 of bridges and of roads."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    mail.publish(
        scrapes.bill("HB 1", "An Act relating to bridges"),
        scrapes.bill("HB 12", "Of school-finance & roads"),
    )
    mail.run()
    return mail


def search(mail: Mail, text: str) -> Found:
    return find(text, mail.config.bucket)


def called(found: Found) -> list[str]:
    return [bill.identifier for bill in found.bills]


def test_find__bills_number_in_any_spelling__goes_to_that_bill(mail: Mail) -> None:
    expected = Bill.objects.get(identifier="HB 12").id
    for text in ("HB 12", "hb12", " h.b.  012 ", "HB-12", "wy hb12", "HB 12 WY", "Hb.12"):
        found = search(mail, text).the_one
        assert isinstance(found, BillFound), text
        assert (found.core_id, found.identifier, found.session) == (expected, "HB 12", "2031")
    for text in ("ut hb 12", "HB 13", "bridge wy hb", "' | \\ & :*", "%", "", "\0"):
        assert not search(mail, text), text


def test_find__number_of_an_extraordinary_session__found_as_typed_and_as_core_stores_it(
    mail: Mail,
) -> None:
    mail.publish(scrapes.bill("HB23B-1001", "Of things"), scrapes.bill("ABX1 5", "Of others"))
    mail.run()
    for stored, texts in {
        "HB 23B-1001": ("HB23B-1001", "hb23b-1001", "H.B. 23B-1001", "wy HB 23B-1001"),
        "ABX 1 5": ("ABX1 5", "abx1 5", "ABX 1 5", "ABX 1 5 wy"),
        "HB 12": ("HB 12 · Of school-finance & roads", "wy HB12 · Of anything", "hb12 ·"),
    }.items():
        for text in (*texts, f"{stored} · Of things"):
            found = search(mail, text).the_one
            assert isinstance(found, BillFound) and found.identifier == stored, text


def test_find__identifier_that_is_no_letters_and_number__found_as_it_is_typed(mail: Mail) -> None:
    mail.publish(scrapes.bill("Initiative #9 (amended)"))
    mail.run()
    [stored] = called(search(mail, "Initiative #9 (amended)"))
    assert called(search(mail, stored)) == [stored]


@pytest.mark.parametrize("letter", ["x", "é", "漢", "각", "\U00020000"])
def test_find__word_longer_than_postgresql_takes__nothing_is_called_so(
    mail: Mail, letter: str
) -> None:
    assert not search(mail, letter * 3_000)
    assert not search(mail, f"{letter * 1_000} {letter * 1_000} bridges")


def test_find__words_of_a_title__lists_bills_with_all_of_them(mail: Mail) -> None:
    for text, identifiers in {
        "bridges": ["HB 1"],
        "BRID relat": ["HB 1"],
        "wy school finance": ["HB 12"],
        "ut school finance": [],
        "of": ["HB 12"],
        "bridges roads": [],
    }.items():
        found = search(mail, text)
        assert called(found) == identifiers, text
        assert found.the_one is None, "a word is no name"


def test_find__letters_with_accents__found_with_and_without_them(mail: Mail) -> None:
    mail.publish(scrapes.bill("HB 40", "Ley del A\u00f1o, in honor of Jose\u0301 Núñez"))
    mail.run()
    RaisedFlag.objects.filter(kind="unmatched").update(subject="Peña-Ordóñez")
    for text in ("nunez", "Núñez", "NUN\u0303EZ", "ano jose", "Año José"):
        assert called(search(mail, text)) == ["HB 40"], text
    for text in ("pena", "Peña", "ordonez pena"):
        assert [flag.subject for flag in search(mail, text).names] == ["Peña-Ordóñez"], text
    assert not search(mail, "brídges roads")
    assert called(search(mail, "brídges")) == ["HB 1"]


def test_migrate__titles_that_were_noted_with_accents__found_as_written_then_without(
    mail: Mail,
) -> None:
    mail.publish(scrapes.bill("HB 40", "Of Núñez"))
    mail.run()
    call_command("migrate", "realtime", "0016_waiting", verbosity=0)
    BillTitle.objects.filter(core_id=Bill.objects.get(identifier="HB 40").id).update(
        words=SearchVector(Value("Of Núñez"), config="simple")
    )
    call_command("migrate", "realtime", verbosity=0)
    assert called(search(mail, "núñez")) == ["HB 40"] and not search(mail, "nunez")
    assert titles.note_all() == 1
    assert called(search(mail, "nunez")) == ["HB 40"]


def test_find__title_changed__old_words_forgotten_and_new_ones_found(mail: Mail) -> None:
    mail.publish(scrapes.bill("HB 1", "Of ferries"))
    mail.run()
    assert called(search(mail, "ferries")) == ["HB 1"]
    assert called(search(mail, "bridges")) == []


def test_note_all__bills_that_core_wrote_and_deleted__found_and_forgotten(mail: Mail) -> None:
    BillTitle.objects.filter(core_id=Bill.objects.get(identifier="HB 1").id).delete()
    other = Bill.objects.get(identifier="HB 12")
    other.title = "Of tunnels"
    other.save()
    BillTitle.objects.create(core_id="ocd-bill/gone", words="", updated_at=ago(days=1))
    assert titles.note_all() == 2
    assert called(search(mail, "bridges")) == ["HB 1"]
    assert called(search(mail, "tunnels")) == ["HB 12"]
    assert not BillTitle.objects.filter(core_id="ocd-bill/gone").exists()
    assert titles.note_all() == 0


def test_find__bill_that_only_a_parked_vote_names__lists_it_without_a_row(mail: Mail) -> None:
    mail.publish(scrapes.vote_event("HB 0077"))
    assert mail.run().outcomes["deferred"] == 1
    assert search(mail, "hb77").the_one == BillFound(WYOMING, scrapes.SESSION, "HB 77")
    assert search(mail, "wy hb77").bills and not search(mail, "ut hb77")


def test_find__vote_parked_of_a_bill_that_is_in__goes_to_that_bill(mail: Mail) -> None:
    named: dict[str, Any] = {"bill_named": "HB 12", "session": scrapes.SESSION}
    file(ago(hours=1), Outcome.DEFERRED, "vote_event", **named)
    found = search(mail, "hb 12").the_one
    assert isinstance(found, BillFound) and found.core_id


def test_find__id_or_its_beginning__goes_to_run_and_file(mail: Mail) -> None:
    row = file(ago(minutes=5))
    scrape = run(ago(hours=1))
    for cut in (8, 13, 36):
        assert search(mail, row.scrape_id[:cut].upper()).the_one == row
        assert search(mail, str(scrape.run_id)[:cut]).the_one == scrape
    assert not search(mail, row.scrape_id[:7])


def test_find__key_or_file_name__goes_to_the_file(mail: Mail) -> None:
    row = file(
        ago(minutes=5), bucket=mail.config.bucket.name, scrape_id="",
        archived_key="archived/2031-01-01/wy/bill_x.json", key=f"wy/bill_{uuid.uuid1()}.json",
    )  # fmt: skip
    name = row.key.partition("/")[2]
    whole = name.removeprefix("bill_").removesuffix(".json")
    for text in (row.key, name, f"archived/2031-01-01/{row.key}", f"s3://b/{row.key}", whole):
        assert search(mail, text).the_one == row, text


def test_find__cores_id__goes_to_the_bill_or_to_the_files_of_the_row(mail: Mail) -> None:
    bill = Bill.objects.get(identifier="HB 1")
    found = search(mail, bill.id).the_one
    assert isinstance(found, BillFound) and found.core_id == bill.id
    row = file(ago(minutes=5), object_type="event", core_id=f"ocd-event/{uuid.uuid4()}")
    assert search(mail, row.core_id).the_one == row


def test_find__name_among_the_unmatched__found_until_it_is_resolved(mail: Mail) -> None:
    [flag] = RaisedFlag.objects.filter(kind="unmatched")
    for text in ("plainsman", "ada PLAINS", "wy plainsman"):
        assert list(search(mail, text).names) == [flag]
    assert not search(mail, "ut plainsman").names
    flags.resolve([flag.pk], "ada", "so it is")
    assert not search(mail, "plainsman").names


def test_labels__files_of_each_kind__named_as_people_do(mail: Mail) -> None:
    bill = scrapes.bill("HB 1", "An Act relating to bridges")
    vote = scrapes.vote_event(bill)
    broken = {**scrapes.bill("HB 03"), "title": None}
    orphan = scrapes.vote_event(broken, "of a bill that failed")
    late = {**scrapes.vote_event("HB 4"), "motion_text": None}
    files = [bill, vote, broken, orphan, late, scrapes.event("A meeting")]
    keys = mail.publish(*files)
    mail.run()
    rows = File.objects.filter(key__in=keys)
    found = labels(rows)
    event = "A meeting · "
    assert [found[rows.get(key=key).id].partition("203")[0] for key in keys] == [
        "HB 1 · An Act relating to bridges", "Vote on HB 1 · passage", "HB 3", "Vote on HB 3",
        "Vote on HB 4", event,
    ]  # fmt: skip
    assert row_labels(["ocd-bill/gone", ""]) == {}


def finalize(mail: Mail, text: str) -> Any:
    return command(mail, "finalize_realtime", "--run", text)


def test_finalize_realtime__beginning_of_a_run_id__means_that_run_if_no_other(mail: Mail) -> None:
    scrape = Run(mail)
    scrape.publish(scrapes.bill("HB 1"))
    with pytest.raises(CommandError, match="knows no such run"):
        finalize(mail, scrape.id[:8])
    mail.run()
    with pytest.raises(CommandError, match=f"{scrape.id}: it has not said that it ended"):
        finalize(mail, scrape.id[:8])
    with pytest.raises(CommandError, match="not the id of a run, nor its first 8"):
        finalize(mail, scrape.id[:7])
    other = run(ago(hours=1), run_id=f"{scrape.id[:8]}{str(uuid.uuid4())[8:]}")
    with pytest.raises(CommandError, match="not unique: ") as caught:
        finalize(mail, scrape.id[:8])
    assert scrape.id in str(caught.value) and str(other.run_id) in str(caught.value)
    with pytest.raises(CommandError, match="has not said that it ended"):
        finalize(mail, scrape.id)


def retry(mail: Mail, *keys: str) -> Any:
    return command(mail, "retry_realtime", *(part for key in keys for part in ("--key", key)))


def test_retry_realtime__beginning_of_a_key_or_id__means_that_file_if_no_other(mail: Mail) -> None:
    bills = [{**scrapes.bill(f"HB {n}"), "title": None} for n in range(20, 27)]
    keys = mail.publish(*bills)
    assert mail.run().outcomes["failed"] == 7
    with pytest.raises(CommandError, match="not unique: wy/bill") as caught:
        retry(mail, "wy/bill_")
    assert str(caught.value).count("wy/bill_") == 1 + 5 and str(caught.value).endswith(", …")
    for unknown in ("bill_none.json", "", "%"):
        with pytest.raises(CommandError, match="the ledger knows no such file"):
            retry(mail, unknown)
    assert retry(mail, bills[0]["_id"][:13])["retried"] == 1
    assert retry(mail, f"failed/{keys[1][:-6]}", keys[2][3:20])["retried"] == 2
    assert retry(mail, keys[3], keys[4].split("/")[1], f"failed/{keys[5]}")["retried"] == 3
    known = File.objects.filter(outcome=Outcome.INSERTED, object_type="bill")[0].key
    assert retry(mail, known)["retried"] == 0, "known, and not failed"


def test_flags_realtime__flag_of_a_row__says_its_title(mail: Mail) -> None:
    mail.publish(scrapes.bill("HB 30`", "Of odd signs"))
    mail.run()
    output = io.StringIO()
    with override_settings(REALTIME=mail.config):
        call_command("flags_realtime", "--kind", "odd-identifier", stdout=output)
    assert "HB 30` · Of odd signs of 2031" in output.getvalue()


@pytest.mark.parametrize(
    ("migration", "index"),
    [
        ("0013_search", "realtime_change_deleted"),
        ("0014_operator_actions", "realtime_file_alike"),
        ("0016_waiting", "realtime_file_waited"),
        ("0017_accents", "realtime_flag_words"),
    ],
)
def test_migrate__interrupted__goes_on_where_it_was(
    database: str, migration: str, index: str
) -> None:
    call_command("migrate", "realtime", migration, verbosity=0)
    with connection.cursor() as cursor:
        # As a build that was cut off leaves it.
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", [index]
        )
        cursor.execute("DELETE FROM django_migrations WHERE name = %s", [migration])
    call_command("migrate", "realtime", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [index])
        assert cursor.fetchone() == (True,)
