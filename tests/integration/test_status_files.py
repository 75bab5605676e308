"""What waits and what failed, and which workers are busy, as the ledger and the locks say."""

from contextlib import closing

import psycopg2
import pytest

from realtime.backends.postgres import locks
from realtime.ledger import failures as failed_files
from realtime.models import File, Outcome
from realtime.monitoring.status import file_lists
from realtime.monitoring.status.received import received
from realtime.monitoring.status.workers import busy
from tests.ledger_rows import NOW, OHIO, WYOMING, ago, file
from tests.support import wait_until

pytestmark = pytest.mark.usefixtures("database")


def test_parked__by_what_they_wait_for__longest_first() -> None:
    for hours in (1, 2):
        first = file(
            ago(hours=hours), Outcome.DEFERRED, "vote_event", detail="bill HB 1 of session 2031"
        )
    file(ago(hours=9), Outcome.DEFERRED, jurisdiction_id=OHIO, detail="legislative session 2032")
    # Failed once, and sent again.
    file(ago(hours=5), Outcome.DEFERRED, reason="invalid", detail="title: is too long")
    found = [(one.jurisdiction_id, one.waiting_for, one.files) for one in file_lists.parked()]
    assert found == [
        (OHIO, "legislative session 2032", 1),
        (WYOMING, "", 1),
        (WYOMING, "bill HB 1 of session 2031", 2),
    ]
    assert file_lists.parked()[-1].since == first.received_at
    assert [one.files for one in file_lists.parked(OHIO)] == [1]


def test_failures__by_reason__without_those_discarded() -> None:
    for hours in (3, 2):
        file(ago(hours=hours), Outcome.FAILED, reason="invalid", imported_at=ago(hours=hours))
    file(ago(hours=1), Outcome.FAILED, reason="gone", jurisdiction_id=OHIO)
    useless = file(ago(hours=1), Outcome.FAILED, reason="invalid")
    assert failed_files.discard([useless.id], "ada", "a test page") == 1
    found = [(one.jurisdiction_id, one.reason, one.files) for one in file_lists.failures()]
    assert found == [(WYOMING, "invalid", 2), (OHIO, "gone", 1)]
    (invalid,) = file_lists.failures(WYOMING)
    assert invalid.newest == ago(hours=2)


def test_discarded__failure__keeps_its_outcome_and_says_who_and_why() -> None:
    useless = file(ago(hours=1), Outcome.FAILED, reason="invalid")
    imported = file(ago(hours=1))
    ids = [useless.id, imported.id]
    assert failed_files.discard(ids, "ada", "nul\0") == 1
    assert failed_files.discard(ids, "bo", "again") == 0
    row = File.objects.get(id=useless.id)
    assert (row.outcome, row.discarded_by, row.discard_note) == (Outcome.FAILED, "ada", "nul\\0")
    assert row.discarded_at is not None
    assert list(failed_files.retryable([], [], [])) == []


def test_unarchived__files_that_have_an_outcome_and_are_still_in_the_root() -> None:
    file(ago(hours=1), archived_at=ago(minutes=5))
    file(ago(hours=1), Outcome.DEFERRED)
    oldest = file(ago(hours=2))
    file(ago(hours=1), Outcome.FAILED)
    (found,) = file_lists.unarchived()
    assert (found.files, found.since) == (2, oldest.imported_at)
    assert file_lists.unarchived(OHIO) == []


def test_unarchived__more_than_are_counted__are_counted_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_lists, "AT_MOST", 2)
    for hours in (1, 2, 3):
        oldest = file(ago(hours=hours))
    (found,) = file_lists.unarchived()
    assert (found.files, found.since) == (2, oldest.imported_at)


def test_newest__files_of_a_jurisdiction__by_their_import() -> None:
    old, new = file(ago(hours=5)), file(ago(hours=1), Outcome.FAILED)
    file(ago(hours=1), Outcome.DEFERRED)
    file(ago(hours=1), jurisdiction_id=OHIO)
    assert file_lists.newest(WYOMING) == [new, old]
    assert file_lists.newest(WYOMING, limit=1) == [new]


def test_received__newest_file_and_the_longest_wait_lately() -> None:
    assert (received(NOW).newest, received(NOW).waited_seconds) == (None, None)
    file(ago(hours=3), to_receive=3600)
    assert received(NOW).waited_seconds is None, "nothing has been received lately"
    file(ago(minutes=9), to_receive=90)
    file(ago(minutes=9), to_receive=300, bucket="")  # from a folder
    newest = file(ago(minutes=9), to_receive=30)
    file(ago(hours=9), retried_at=ago(minutes=8), received_at=ago(minutes=8))
    found = received(NOW)
    assert found.waited_seconds == 90
    assert found.newest is not None and found.newest > newest.queued_at


def test_busy_workers__their_slots_and_what_they_import(database: str) -> None:
    assert busy([WYOMING]) == []
    with closing(psycopg2.connect(database)) as other, other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 7)", [locks.SLOTS])
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [locks.JURISDICTIONS, locks.number(WYOMING)]
        )
        (worker,) = busy([OHIO, WYOMING])
        assert (worker.slot, worker.jurisdiction_ids) == (7, (WYOMING,))
        assert worker.since is not None
        assert busy([OHIO])[0].jurisdiction_ids == ()
    assert wait_until(lambda: busy([WYOMING]) == [], 10), "the session has ended"
