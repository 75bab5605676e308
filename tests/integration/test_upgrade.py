"""A ledger that the release before this one has filled: migrated, it goes on where it was."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from openstates.data.models import VoteEvent

from bench import upgrade
from realtime.files import archive, redrive
from realtime.models import File, Outcome, RaisedFlag
from tests import oracle, rows, scrapes
from tests.oracle.files import ScrapedFile, ticks
from tests.scrape_runs import Run, import_only
from tests.scrapes import Mail
from tests.support import Aws

WYOMING = scrapes.WYOMING.jurisdiction_id
Scraped = dict[str, Any]


@pytest.fixture
def mail(aws: Aws, database: str) -> Mail:
    """Wyoming's legislative session is in."""
    mail = Mail(aws, database)
    mail.publish(scrapes.jurisdiction())
    mail.run()
    return mail


def vote(of: Scraped, motion: str, yes: int = 1) -> Scraped:
    """A vote event that only its counts and sources tell from another of its bill."""
    return {
        **scrapes.vote_event(of, motion),
        "dedupe_key": "journal page 7",
        "counts": [{"option": "yes", "value": yes}],
        "sources": [{"url": f"https://example.com/votes/{yes}", "note": ""}],
    }


def expected(*scraped: Iterable[Scraped]) -> list[str]:
    """What core leaves of these scrapes, one after the other."""
    with transaction.atomic():
        oracle.import_scrapes(
            [
                [ScrapedFile(scrapes.type_of(one), json.dumps(one), ticks(one)) for one in files]
                for files in scraped
            ],
            WYOMING,
        )
        told = rows.dump()
        transaction.set_rollback(True)
    return told


def refuse(identifier: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON opencivicdata_bill FOR EACH ROW"
            f" WHEN (NEW.identifier = '{identifier}') EXECUTE FUNCTION refuse()"
        )


def mend() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION refuse CASCADE")


def merge(older: str, newer: str) -> None:
    """Make one row of these two files, as the release before did with votes alike."""
    kept = File.objects.get(key=newer).core_id
    VoteEvent.objects.get(id=File.objects.get(key=older).core_id).delete()
    File.objects.filter(key=older).update(core_id=kept, outcome=Outcome.INSERTED)
    File.objects.filter(key=newer).update(outcome=Outcome.UPDATED)


def go_back() -> None:
    """Leave the ledger as the release before would have: with its tables, and with what it wrote of
    a file's identity. It looked a dedupe key up everywhere, and kept nothing of the content."""
    call_command("migrate", "realtime", upgrade.BEFORE, verbosity=0)
    state = MigrationLoader(connection).project_state(("realtime", upgrade.BEFORE))
    key = hashlib.sha256(json.dumps(["journal page 7"]).encode()).hexdigest()[:24]
    for row in state.apps.get_model("realtime", "File").objects.exclude(identity=None):
        keys = [f"dedupe:{key}" if k.startswith("dedupe:") else k for k in row.identity["keys"]]
        del row.identity["content"]
        row.identity = {**row.identity, "keys": keys} if keys else None
        row.save()


def test_upgrade__all_in_flight__ends_as_core_and_deletes_only_what_core_does(
    mail: Mail,
) -> None:
    final, bill = Run(mail), scrapes.bill("HB 1")
    files = [bill, vote(bill, "passage"), scrapes.vote_event(bill, "veto"), scrapes.event("old")]
    whole, again = Run(mail), scrapes.bill("HB 1", actions=2)
    rest = [again, vote(again, "passage"), scrapes.event("new")]
    underway, other, late = Run(mail), scrapes.bill("HB 2"), scrapes.bill("HB 3")
    alike = [vote(other, "passage", yes) for yes in range(3)]
    imported = [other, *alike[:2]]
    parked, bad = scrapes.vote_event(late), scrapes.bill("HB 13")
    queued = [alike[2], late]
    told = expected(files, rest, [*imported, parked, bad, *queued])

    final.publish(*files)
    final.end()
    mail.run()
    whole.publish(*rest)
    whole.end()
    refuse("HB 13")
    waiting, failed = underway.publish(*imported, parked, bad)[-2:]
    import_only(mail)
    underway.publish(*queued)
    assert scrapes.outcomes([waiting, failed]) == {waiting: "deferred", failed: "failed"}
    assert final.row.finalized_at and not whole.row.finalized_at
    merge(*(mail.key(one) for one in alike[:2]))
    group = File.objects.get(key=failed).alike
    go_back()

    call_command("migrate", "realtime", verbosity=0)
    assert group and File.objects.get(key=failed).alike == group
    mend()
    report = mail.run()
    assert (report.outcomes["failed"], report.resumed) == (0, 1)
    assert whole.row.finalized_at and not whole.row.closed
    assert redrive.retry(mail.store, mail.queue, mail.config, {}, [], print)["retried"] == 1
    underway.end()
    mail.run()
    assert underway.row.finalized_at and not underway.row.closed
    assert list(rows.differences(told, rows.dump())) == []
    assert RaisedFlag.objects.filter(kind="collision", object_type="vote_event").exists()
    assert not File.objects.filter(outcome__in=[Outcome.FAILED, Outcome.DEFERRED]).exists()
    archive.archive(mail.store, mail.config)
    assert (mail.keys("wy/"), mail.waiting()) == ([], 0)


def test_migrate__large_ledger__not_written_anew_nor_locked_while_it_is_read(database: str) -> None:
    def stored() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_relation_filenode('realtime_file')")
            [found] = cursor.fetchone()
        return int(found)

    before = stored()
    costs = {cost.name: cost for cost in upgrade.measure(database, 1000)}
    assert stored() == before
    assert "realtime_file" in {table for table, _ in costs["0009_clocks"].held}
    assert costs["0009_clocks"].strongest[1] == "RowExclusiveLock"
