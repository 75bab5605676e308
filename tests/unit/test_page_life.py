"""The life of a file as the page tells it."""

from datetime import timedelta

from realtime.models import File, LoggedChange, Outcome
from realtime.page.life import life
from tests.ledger_rows import NOW, ago


def told(**fields: object) -> list[tuple[str, timedelta | None]]:
    times = {"queued_at": ago(minutes=9), "received_at": ago(minutes=8)}
    file = File(**{"bucket": "bucket", **times, **fields})
    changes = [LoggedChange(change="updated", at=at) for at in [file.imported_at] if at]
    return [(step.what, step.after) for step in life(file, changes, NOW)]


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_life__imported_file__each_step_and_how_long_it_took() -> None:
    assert told(
        outcome=Outcome.UPDATED,
        scraped_at=ago(minutes=20),
        last_modified=ago(minutes=10),
        imported_at=ago(minutes=5),
        acknowledged_at=ago(minutes=4),
        archived_at=ago(minutes=1),
        archived_key="archived/a",
    ) == [
        ("Scraped", None),
        ("Uploaded", minutes(10)),
        ("Queued", minutes(1)),
        ("Received", minutes(1)),
        ("Imported", minutes(3)),
        ("Row updated", minutes(0)),
        ("Acknowledged", minutes(1)),
        ("Archived", minutes(3)),
    ]


def test_life__parked_file__waits_until_now() -> None:
    assert told(outcome=Outcome.DEFERRED, paused_at=ago(minutes=8)) == [
        ("Queued", None),
        ("Received", minutes(1)),
        ("Paused", minutes(0)),
        ("Parked", minutes(8)),
    ]


def test_life__failure_that_was_sent_again__and_discarded_one() -> None:
    # A retry makes a new upload, and is the time from which its receipt counts.
    sent = {"retried_at": ago(minutes=2), "received_at": ago(minutes=2), "reason": "gone"}
    assert told(outcome=Outcome.DEFERRED, last_modified=ago(minutes=2), **sent) == [
        ("Queued", None),
        ("Sent again", minutes(7)),
        ("Waiting", minutes(2)),
    ]
    steps = told(
        outcome=Outcome.FAILED,
        imported_at=ago(minutes=7),
        archived_at=ago(minutes=6),
        discarded_at=ago(minutes=1),
    )
    assert [what for what, _ in steps[2:]] == ["Failed", "Row updated", "Gone", "Discarded"]
