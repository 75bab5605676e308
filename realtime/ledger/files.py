"""The ledger of files: records their outcomes, their runs, and attempts on suspect messages."""

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
from realtime.domain.text import sanitized
from realtime.models import File, Outcome, ScrapeRun, Suspect

ATTEMPTS = 3


def database_now() -> datetime:
    """The database's clock, aware UTC: one clock for all hosts."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def known(identities: Collection[FileIdentity]) -> dict[FileIdentity, File]:
    """The ledger's row of each of these files that has one."""
    rows = File.objects.filter(
        bucket__in={identity.bucket for identity in identities},
        key__in={identity.key for identity in identities},
    )
    found = {FileIdentity(row.bucket, row.key, row.version): row for row in rows}
    return {identity: found[identity] for identity in identities if identity in found}


def known_keys(bucket: str, keys: Collection[str]) -> set[str]:
    """Those of `keys` under which any version is in the ledger."""
    return set(File.objects.filter(bucket=bucket, key__in=keys).values_list("key", flat=True))


def record(results: Sequence[Result], now: datetime) -> dict[FileIdentity, int]:
    """Write the outcomes of files, one result a file; returns the ids of their rows.

    Runs in the caller's transaction. `now` is the database's time. A file that has a row, because
    it was parked, keeps that row and the time it was first queued.
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
    """The values of the fields that `correct` writes."""
    return [getattr(row, name) for name in _CORRECTED]


def describe_again(row: File, result: Result) -> None:
    """Update the row's bill, action and lookup keys from a repeated import of its file."""
    if result.about.keys:
        row.bill_id = result.about.bill_id
        row.bill_action = sanitized(result.about.action)
        row.identity = identity_of(result.about)
    row.bill_identifier = result.bill_identifier or row.bill_identifier


def correct(rows: Collection[File]) -> None:
    """Save rows whose files were imported again."""
    File.objects.bulk_update(rows, _CORRECTED)


def record_unread(results: Sequence[Result], now: datetime) -> dict[FileIdentity, int]:
    """Record files and messages that could not be read; returns the ids of their rows.

    Runs in the caller's transaction. An existing row is left unchanged, so that a bad message
    about a file cannot undo the outcome of a good one.
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
    """The value of the column `identity` for `about`."""
    if not about.keys:
        return None
    return {"keys": list(about.keys), "date": about.date, "organization_id": about.organization_id}


def _text(value: Any) -> str:
    return sanitized(value) if isinstance(value, str) else ""


def acknowledged(ids: Collection[int], now: datetime) -> None:
    """Record that the messages of these files have been deleted from the queue."""
    File.objects.filter(id__in=ids, acknowledged_at=None).update(acknowledged_at=now)


def note_runs(results: Iterable[Result], now: datetime) -> None:
    """Record the scrape runs of these files, with the earliest scrape time as their start.

    A run that has ended keeps its start. Runs in the caller's transaction.
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
    """Record that a scrape run ended. Idempotent.

    The start is never later than the run's first recorded file, nor than `now`: a later one would
    make newer objects look stale.
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
    # Finalized with --force before its end arrived: finalize it again, with the files since then.
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
        # A finalization that began without the run's end starts over.
        step="",
        cursor=None,
    )


def start_attempt(message_id: str, body: str) -> bool:
    """Record, in a transaction of its own, an attempt to import a suspect message.

    False, and nothing recorded, when ATTEMPTS attempts have ended without a result.
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
    """Forget the attempts on a message: the process survived the last one."""
    Suspect.objects.filter(message_id=message_id).delete()
