"""The ledger: what was received, what became of it, and what still waits."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Least

from realtime.domain.messages import RunFinished
from realtime.domain.results import About, FetchedFile, FileIdentity, Result
from realtime.domain.scraped_object import time_of
from realtime.models import File, Outcome, ScrapeRun, Suspect

ATTEMPTS = 3


def database_now() -> datetime:
    """The database's clock, aware UTC; one clock for all hosts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def known(identities: Collection[FileIdentity]) -> dict[FileIdentity, File]:
    """The rows of these files, where there are any."""
    rows = File.objects.filter(
        bucket__in={identity.bucket for identity in identities},
        key__in={identity.key for identity in identities},
    )
    found = {FileIdentity(row.bucket, row.key, row.version): row for row in rows}
    return {identity: found[identity] for identity in identities if identity in found}


def known_keys(bucket: str, keys: Collection[str]) -> set[str]:
    """Those of `keys` under which some version has been received before."""
    return set(File.objects.filter(bucket=bucket, key__in=keys).values_list("key", flat=True))


def record(results: Sequence[Result], now: datetime) -> dict[FileIdentity, int]:
    """Write what became of files, each named once; returns the ids of their rows.

    Part of the caller's transaction. A file that has a row (it was parked) keeps it, and with it
    the time it was first queued; `now` is the database's.
    """
    rows = [_row(result, now) for result in results]
    existing = known([FileIdentity(row.bucket, row.key, row.version) for row in rows])
    new, changed = [], []
    for row in rows:
        old = existing.get(FileIdentity(row.bucket, row.key, row.version))
        if old is None:
            new.append(row)
        else:
            row.id, row.queued_at, row.received_at = old.id, old.queued_at, old.received_at
            row.acknowledged_at, row.retried_at = old.acknowledged_at, old.retried_at
            row.run_id = row.run_id or old.run_id
            row.file_archiving = row.file_archiving or old.file_archiving
            changed.append(row)
    created = File.objects.bulk_create(new)
    note_runs(results, now)
    fields = [f.name for f in File._meta.concrete_fields if not f.primary_key]
    File.objects.bulk_update(changed, fields)
    return {FileIdentity(row.bucket, row.key, row.version): row.id for row in [*created, *changed]}


_CORRECTED = (
    "outcome", "core_id", "reason", "field", "detail", "traceback",
    "bill_id", "bill_identifier", "bill_action", "identity",
)  # fmt: skip


def corrected_fields(row: File) -> list[Any]:
    """What `correct` would write of the row."""
    return [getattr(row, name) for name in _CORRECTED]


def describe_again(row: File, result: Result) -> None:
    """Let the row say what an import of its file found out anew."""
    if result.about.keys:
        row.bill_id = result.about.bill_id
        row.bill_action = sanitized(result.about.action)
        row.identity = identity_of(result.about)
    row.bill_identifier = result.bill_identifier or row.bill_identifier


def correct(rows: Collection[File]) -> None:
    """Write what has changed of rows whose files were imported once more."""
    File.objects.bulk_update(rows, _CORRECTED)


def record_unread(results: Sequence[Result], now: datetime) -> dict[FileIdentity, int]:
    """Write down files and messages that could not be read; returns the ids of their rows.

    Part of the caller's transaction. A file that has a row keeps it as it is: what one bad message
    says of a file must not undo what a good one brought about.
    """
    unique = {result.identity: result for result in results}
    existing = known(list(unique))
    File.objects.bulk_create(
        [_row(result, now) for identity, result in unique.items() if identity not in existing],
        ignore_conflicts=True,
    )
    return {identity: row.id for identity, row in known(list(unique)).items()}


def _row(result: Result, now: datetime) -> File:
    delivery = result.delivery
    row = File(
        bucket=result.identity.bucket,
        key=result.identity.key,
        version=result.identity.version,
        etag=result.identity.etag,
        version_id=result.identity.version_id,
        size=result.identity.size,
        last_modified=result.identity.last_modified,
        jurisdiction_id=sanitized(delivery.jurisdiction_id),
        object_type=result.object_type,
        run_id=delivery.run_id,
        outcome=result.outcome,
        core_id=result.core_id,
        bill_identifier=result.bill_identifier,
        bill_id=result.about.bill_id,
        bill_action=sanitized(result.about.action),
        identity=identity_of(result.about),
        tried_at=now,
        queued_at=delivery.queued_at,
        received_at=now,
        imported_at=None if result.outcome == Outcome.DEFERRED else now,
        file_archiving=delivery.file_archiving,
        traceback=sanitized(result.traceback),
    )
    if result.problem:
        row.reason = result.problem.reason
        row.field = sanitized(result.problem.field)
        row.detail = sanitized(result.problem.detail)
        row.message = sanitized(delivery.message)
    if result.file:
        _describe(row, result.file)
    if result.waiting_for:
        row.detail = sanitized(str(result.waiting_for))
        row.session = result.waiting_for.session
        row.bill_scrape_id = result.waiting_for.bill_scrape_id
        row.bill_identifier = result.waiting_for.bill_identifier
        row.message = sanitized(delivery.message)
    return row


def _describe(row: File, file: FetchedFile) -> None:
    content = file.content
    row.jurisdiction_id = file.jurisdiction_id
    row.scrape_id = sanitized(content.scrape_id)
    row.order_ticks, row.order_stamp = content.order.ticks, content.order.stamp_ticks
    row.scraped_at = content.scraped_at
    if content.object_type in ("bill", "vote_event"):
        row.session = _text(content.data.get("legislative_session"))
    if content.object_type == "vote_event":
        bill = _text(content.data.get("bill"))
        row.bill_scrape_id = "" if bill.startswith("~") else bill


def identity_of(about: About) -> dict[str, Any] | None:
    """`about` as the column `identity` holds it."""
    if not about.keys:
        return None
    return {"keys": list(about.keys), "date": about.date, "organization_id": about.organization_id}


def _text(value: Any) -> str:
    return sanitized(value) if isinstance(value, str) else ""


def sanitized(text: str) -> str:
    """What PostgreSQL can hold of hostile text: no NUL, no lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def acknowledged(ids: Collection[int], now: datetime) -> None:
    """The messages of these files are gone from the queue."""
    File.objects.filter(id__in=ids, acknowledged_at=None).update(acknowledged_at=now)


def note_runs(results: Iterable[Result], now: datetime) -> None:
    """Remember the scrape runs that these files belong to, before they have said that they ended.

    Part of the caller's transaction.
    """
    began: dict[UUID, tuple[datetime, Result]] = {}
    for result in results:
        run_id = result.delivery.run_id
        if run_id is not None and result.file is not None:
            time = min(time_of(result.file.content.order.ticks), now)
            if run_id not in began or time < began[run_id][0]:
                began[run_id] = (time, result)
    if not began:
        return
    ScrapeRun.objects.bulk_create(
        [
            ScrapeRun(
                run_id=run_id,
                bucket=result.identity.bucket,
                jurisdiction_id=sanitized(result.file.jurisdiction_id) if result.file else "",
                started_at=time,
            )
            for run_id, (time, result) in sorted(began.items())
        ],
        ignore_conflicts=True,
    )
    for run_id, (time, _) in sorted(began.items()):
        ScrapeRun.objects.filter(run_id=run_id, finished_at=None, started_at__gt=time).update(
            started_at=time
        )


def store_run(run: RunFinished, now: datetime) -> None:
    """Remember that a scrape run ended. Saying so twice changes nothing.

    A run did not begin later than the first of its files that is in, nor than now: one that said
    so would make everything scraped since look old.
    """
    ScrapeRun.objects.bulk_create(
        [
            ScrapeRun(
                run_id=run.run_id,
                bucket=run.bucket,
                jurisdiction_id=run.jurisdiction_id,
                started_at=min(run.started_at, now),
            )
        ],
        ignore_conflicts=True,
    )
    unfinished = ScrapeRun.objects.filter(run_id=run.run_id, finished_at=None)
    # Forced before it ended: what it brought since is settled after all.
    unfinished.filter(finalized_at__isnull=False).update(
        finalized_at=None, closed="", closed_at=None
    )
    unfinished.update(
        jurisdiction_id=run.jurisdiction_id,
        jurisdiction_name=run.jurisdiction_name,
        started_at=Least("started_at", Value(run.started_at)),
        finished_at=min(run.finished_at, now),
        objects_sent=dict(run.objects),
        scrapers={
            name: {
                "args": scraper.args,
                "started_at": scraper.started_at.isoformat(),
                "finished_at": scraper.finished_at.isoformat(),
                "objects": dict(scraper.objects),
            }
            for name, scraper in run.scrapers.items()
        },
        received_at=now,
        # What was begun without knowing all of it is begun again.
        step="",
        cursor=None,
    )


def start_attempt(message_id: str, body: str) -> bool:
    """Record, in a transaction of its own, that a suspicious message is about to be tried.

    False when earlier attempts have left no result as often as is allowed.
    """
    with transaction.atomic():
        suspect, _ = Suspect.objects.select_for_update().get_or_create(
            message_id=message_id, defaults={"body": sanitized(body)}
        )
        if suspect.attempts >= ATTEMPTS:
            return False
        suspect.attempts += 1
        suspect.save()
    return True


def end_attempt(message_id: str) -> None:
    """The process survived the attempt, whatever came of it."""
    Suspect.objects.filter(message_id=message_id).delete()
