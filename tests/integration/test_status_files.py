"""What waits and what failed, and which workers are busy, as the ledger and the locks say."""

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from realtime.backends.postgres import locks
from realtime.ledger import failures as failed_files
from realtime.ledger.failures import Group
from realtime.models import File, Outcome
from realtime.monitoring.status import file_lists, groups
from realtime.monitoring.status.file_lists import Which
from realtime.monitoring.status.paging import Cursor, Page, cursor
from realtime.monitoring.status.received import received
from realtime.monitoring.status.workers import busy
from tests.ledger_rows import NOW, OHIO, WYOMING, ago, file, run
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
    assert failed_files.discard([useless.id], "ada", "a test page") == [useless.id]
    found = [(one.jurisdiction_id, one.reason, one.files) for one in file_lists.failures()]
    assert found == [(WYOMING, "invalid", 2), (OHIO, "gone", 1)]
    (invalid,) = file_lists.failures(WYOMING)
    assert invalid.newest == ago(hours=2)


def test_discarded__failure__keeps_its_outcome_and_says_who_and_why() -> None:
    useless = file(ago(hours=1), Outcome.FAILED, reason="invalid")
    imported = file(ago(hours=1))
    ids = [useless.id, imported.id]
    assert failed_files.discard(ids, "ada", "nul\0") == [useless.id]
    assert failed_files.discard(ids, "bo", "again") == []
    row = File.objects.get(id=useless.id)
    assert (row.outcome, row.discarded_by, row.discard_note) == (Outcome.FAILED, "ada", "nul\\0")
    assert row.discarded_at is not None
    assert list(failed_files.retryable([], [], [])) == []
    assert failed_files.undiscard(ids) == [useless.id]
    again = File.objects.get(id=useless.id)
    assert (again.discarded_at, again.discarded_by, again.discard_note) == (None, "", "")


def test_failure_groups__of_several_places__counted_with_first_last_and_newest() -> None:
    told: dict[str, Any] = {
        "reason": "invalid",
        "field": "votes.1.note",
        "detail": "votes.1.note is 'x'",
    }
    for hours, whose in ((5, WYOMING), (4, WYOMING), (3, OHIO)):
        newest = file(ago(hours=hours), Outcome.FAILED, alike="a" * 16, jurisdiction_id=whose,
                      imported_at=ago(hours=hours), **told)  # fmt: skip
    file(ago(hours=1), Outcome.FAILED, reason="gone")
    useless = file(ago(hours=1), Outcome.FAILED, alike="a" * 16, **told)
    failed_files.discard([useless.id], "ada", "a test page")
    alike, unknown = groups.failures()
    assert alike == groups.Failures(
        "a" * 16, 3, ago(hours=5), ago(hours=3), newest.id, {WYOMING: 2, OHIO: 1},
        "invalid", "votes.#.note", "votes.#.note is <text>",
    )  # fmt: skip
    assert (unknown.alike, unknown.reason, unknown.pattern) == (None, "gone", "")
    assert groups.failure_group(Group("a" * 16)) == alike
    assert [one.files for one in groups.failures(OHIO)] == [1]
    assert [one.files for one in groups.failures(reason="gone")] == [1]
    assert [row.id for row in groups.files_of(Group("a" * 16, OHIO), 0, 9)] == [newest.id]
    assert groups.failure_group(Group("b" * 16)) is None


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


def test_listed__files_of_a_jurisdiction__by_their_outcome_and_when_they_got_it() -> None:
    old, new = file(ago(hours=5)), file(ago(hours=1), Outcome.FAILED, reason="gone")
    parked = file(ago(hours=1), Outcome.DEFERRED)
    discarded = file(ago(hours=2), Outcome.FAILED, reason="gone", discarded_at=NOW, archived_at=NOW)
    file(ago(hours=1), jurisdiction_id=OHIO)

    def listed(outcome: str = "", object_type: str = "", reason: str = "") -> list[File]:
        return list(file_lists.listed(Which(WYOMING, outcome, object_type, reason)).rows)

    assert listed() == [new, discarded, old]
    assert listed(Outcome.FAILED) == listed(Outcome.FAILED, "", "gone") == [new]
    assert listed(Outcome.FAILED, "", "invalid") == listed("", "event") == []
    assert listed(Outcome.DEFERRED) == [parked]
    assert listed(file_lists.UNARCHIVED) == [new, old]


def test_listed__files_of_a_run__all_of_them_by_outcome_and_page() -> None:
    ours = run(ago(hours=9)).run_id
    file(ago(hours=1))
    parked = file(ago(hours=3), Outcome.DEFERRED, run_id=ours)
    failed = file(ago(hours=4), Outcome.FAILED, run_id=ours, discarded_at=NOW)
    bill, vote = file(ago(hours=5), run_id=ours), file(ago(hours=6), Outcome.UPDATED, run_id=ours)

    def listed(outcome: str = "", at: Cursor | None = None) -> Page[File]:
        return file_lists.listed(Which(WYOMING, outcome, run_id=ours), at, 3)

    first = listed()
    assert first.rows == [parked, failed, bill]
    assert listed(at=cursor(str(first.older), "", int)).rows == [vote]
    assert listed(Outcome.FAILED).rows == [failed], "as the run's page counts them"
    assert listed(Outcome.DEFERRED).rows == [parked]
    assert listed(file_lists.UNARCHIVED).rows == [failed, bill, vote]
    assert file_lists.listed(Which(OHIO, run_id=ours)).rows == []


def test_listed__page_by_page__each_file_once_there_and_back() -> None:
    # A batch: its files have an outcome at one time.
    made = [file(ago(hours=1), imported_at=ago(minutes=n // 4)) for n in range(8)]
    expected = sorted(made, key=lambda one: (one.imported_at, one.id), reverse=True)
    pages = [file_lists.listed(Which(WYOMING), limit=3)]
    while pages[-1].older:
        at = cursor(str(pages[-1].older), "", int)
        pages.append(file_lists.listed(Which(WYOMING), at, 3))
        file(ago(hours=1), imported_at=NOW)  # moves none of them to another page
    assert [one for page in pages for one in page.rows] == expected
    back = file_lists.listed(Which(WYOMING), cursor("", str(pages[-1].newer), int), 3)
    assert (back.rows, pages[0].newer) == (pages[1].rows, None)
    assert cursor("nonsense~1", "", int) is None


def test_beside__failure_of_a_group__the_next_on_each_side_without_those_discarded() -> None:
    first, second, third = (
        file(ago(hours=9), Outcome.FAILED, reason="gone", imported_at=ago(hours=hours))
        for hours in (3, 2, 1)
    )
    file(ago(hours=9), Outcome.FAILED, reason="invalid")
    file(ago(hours=9), Outcome.FAILED, reason="gone", jurisdiction_id=OHIO)
    file(ago(hours=9), Outcome.FAILED, reason="gone", discarded_at=NOW)
    assert file_lists.beside(second) == (third.id, first.id)
    assert file_lists.beside(third) == (None, second.id)


def test_received__newest_file_and_the_longest_wait_lately() -> None:
    assert (received(NOW).newest, received(NOW).waited_seconds) == (None, None)
    file(ago(hours=3), to_receive=3600)
    assert received(NOW).waited_seconds is None, "nothing has been received lately"
    newest = file(ago(minutes=9), to_receive=90)
    file(ago(minutes=9), to_receive=300, bucket="")  # from a folder
    file(ago(minutes=9), to_receive=30)
    file(ago(hours=9), retried_at=ago(minutes=8), received_at=ago(minutes=4))
    found = received(NOW)
    assert found.waited_seconds == 90
    assert found.newest == newest.received_at


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
