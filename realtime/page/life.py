"""The life of a file: what happened to it, when, and how long each step took."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from realtime.models import APPLIED, File, LoggedChange, Outcome


@dataclass(frozen=True)
class Step:
    """Something that happened: `what` in a word or two, `detail` in a few more.

    `at` is None for what lasts until now. `after` is how long it took since the step before, None
    for the first. `tone` is a CSS class: good, bad, warn or nothing.
    """

    what: str
    at: datetime | None
    detail: str = ""
    tone: str = ""
    after: timedelta | None = None


def life(file: File, changes: Sequence[LoggedChange], now: datetime) -> list[Step]:
    """What happened to a file, in the order in which it happened.

    `changes` are those that it made. The ledger keeps the last attempt: a retry takes the place of
    the one before it.
    """
    steps = sorted(_steps(file, changes), key=lambda step: step.at or now)
    before: datetime | None = None
    timed = []
    for step in steps:
        at = step.at or now
        timed.append(replace(step, after=None if before is None else max(at - before, timedelta())))
        before = at
    return timed


def _steps(file: File, changes: Sequence[LoggedChange]) -> Iterator[Step]:
    # Sorting keeps the order of those at the same time, as received and parked are.
    if file.scraped_at:
        yield Step("Scraped", file.scraped_at, "by the scraper's clock")
    if file.last_modified and not file.retried_at:
        yield Step("Uploaded", file.last_modified)
    yield Step("Queued", file.queued_at)
    if file.retried_at:
        yield Step("Sent again", file.retried_at, tone="warn")
    else:
        yield Step("Received", file.received_at, "from the queue" if file.bucket else "")
    if file.paused_at:
        yield Step("Paused", file.paused_at, "parked, because its jurisdiction was paused", "warn")
    if file.imported_at is None:
        yield _waiting(file)
    else:
        yield _finished(file, file.imported_at)
    for change in changes:
        yield Step(f"Row {change.change}", change.at, ", ".join(change.fields), "good")
    if file.acknowledged_at:
        yield Step("Acknowledged", file.acknowledged_at, "its message left the queue")
    if file.archived_at:
        if file.archived_key:
            yield Step("Archived", file.archived_at, f"moved to {file.archived_key}")
        else:
            yield Step("Gone", file.archived_at, "deleted, or found missing")
    if file.discarded_at:
        yield Step("Discarded", file.discarded_at, f"by {file.discarded_by}")


def _waiting(file: File) -> Step:
    if file.retried_at and file.reason:
        return Step("Waiting", None, "for the next import run", "warn")
    return Step("Parked", None, f"waiting for {file.detail}" if file.detail else "", "warn")


def _finished(file: File, at: datetime) -> Step:
    if file.outcome == Outcome.FAILED:
        return Step("Failed", at, file.reason, "bad")
    applied = file.outcome in APPLIED
    what = "Imported" if applied else file.outcome.capitalize()
    return Step(what, at, Outcome(file.outcome).label, "good" if applied else "")
