"""The ledger: what was received, what became of it, and what still waits."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from realtime.batching import FetchedFile, FileIdentity, Result
from realtime.errors import PoisonMessage
from realtime.messages import RunFinished
from realtime.models import File, Outcome, ScrapeRun, Suspect

# A parked file of no run is given up after this long.
PARKED_FOR = timedelta(hours=24)
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


def record(results: Iterable[Result], now: datetime) -> dict[FileIdentity, int]:
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
            row.acknowledged_at = old.acknowledged_at
            row.run_id = row.run_id or old.run_id
            row.file_archiving = row.file_archiving or old.file_archiving
            changed.append(row)
    created = File.objects.bulk_create(new)
    fields = [f.name for f in File._meta.concrete_fields if not f.primary_key]
    File.objects.bulk_update(changed, fields)
    return {FileIdentity(row.bucket, row.key, row.version): row.id for row in [*created, *changed]}


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


def fail_parked(row_id: int, problem: PoisonMessage) -> None:
    """Give a parked file up."""
    File.objects.filter(id=row_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.FAILED,
        reason=problem.reason,
        field=_storable(problem.field),
        detail=_storable(problem.detail),
        imported_at=database_now(),
    )


def supersede_parked(row_id: int) -> None:
    """A newer upload under its key has taken a parked file's place."""
    File.objects.filter(id=row_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.SUPERSEDED, imported_at=database_now()
    )


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
        jurisdiction_id=_storable(delivery.jurisdiction_id),
        object_type=result.object_type,
        run_id=delivery.run_id,
        outcome=result.outcome,
        row_id=result.row_id,
        bill_identifier=result.bill_identifier,
        tried_at=now,
        queued_at=delivery.queued_at,
        received_at=now,
        imported_at=None if result.outcome == Outcome.DEFERRED else now,
        file_archiving=delivery.file_archiving,
        traceback=_storable(result.traceback),
    )
    if result.problem:
        row.reason = result.problem.reason
        row.field = _storable(result.problem.field)
        row.detail = _storable(result.problem.detail)
        row.message = _storable(delivery.message)
    if result.file:
        _describe(row, result.file)
    if result.waiting_for:
        row.detail = _storable(str(result.waiting_for))
        row.session = result.waiting_for.session
        row.bill_scrape_id = result.waiting_for.bill_scrape_id
        row.bill_identifier = result.waiting_for.bill_identifier
        row.message = _storable(delivery.message)
    return row


def _describe(row: File, file: FetchedFile) -> None:
    content = file.content
    row.jurisdiction_id = file.jurisdiction_id
    row.scrape_id = _storable(content.scrape_id)
    row.order_ticks, row.order_stamp = content.order.ticks, content.order.stamp_ticks
    row.scraped_at = content.scraped_at
    if content.object_type in ("bill", "vote_event"):
        row.session = _text(content.data.get("legislative_session"))
    if content.object_type == "vote_event":
        row.bill_action = _text(content.data.get("bill_action"))
        bill = _text(content.data.get("bill"))
        row.bill_scrape_id = "" if bill.startswith("~") else bill


def _text(value: Any) -> str:
    return _storable(value) if isinstance(value, str) else ""


def _storable(text: str) -> str:
    """What PostgreSQL can hold of hostile text: no NUL, no lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def acknowledged(ids: Collection[int], now: datetime) -> None:
    """The messages of these files are gone from the queue."""
    File.objects.filter(id__in=ids, acknowledged_at=None).update(acknowledged_at=now)


def store_run(run: RunFinished, now: datetime) -> None:
    """Remember that a scrape run ended. Saying so twice changes nothing."""
    ScrapeRun.objects.get_or_create(
        run_id=run.run_id,
        defaults={
            "bucket": run.bucket,
            "jurisdiction_id": run.jurisdiction_id,
            "jurisdiction_name": run.jurisdiction_name,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "objects_sent": dict(run.objects),
            "scrapers": {
                name: {
                    "args": scraper.args,
                    "started_at": scraper.started_at.isoformat(),
                    "finished_at": scraper.finished_at.isoformat(),
                    "objects": dict(scraper.objects),
                }
                for name, scraper in run.scrapers.items()
            },
            "received_at": now,
        },
    )


# Each branch looks its rows up by an index of our own table: the bills that a parked vote event
# may wait for came through the ledger too.
_WAKEABLE = """
    SELECT parked.id FROM realtime_file AS parked
    WHERE parked.outcome = 'deferred' AND parked.id <> ALL(%(tried)s) AND (
      (parked.bill_scrape_id <> '' AND EXISTS (
        SELECT 1 FROM realtime_file AS bill
        WHERE bill.jurisdiction_id = parked.jurisdiction_id AND bill.object_type = 'bill'
          AND bill.scrape_id = parked.bill_scrape_id AND bill.row_id <> ''))
      OR (parked.bill_identifier <> '' AND EXISTS (
        SELECT 1 FROM realtime_file AS bill
        WHERE bill.jurisdiction_id = parked.jurisdiction_id AND bill.object_type = 'bill'
          AND bill.session = parked.session AND bill.bill_identifier = parked.bill_identifier
          AND bill.row_id <> '' AND bill.imported_at > parked.tried_at))
      OR (parked.bill_scrape_id = '' AND parked.bill_identifier = '' AND EXISTS (
        SELECT 1 FROM opencivicdata_legislativesession AS session
        WHERE session.jurisdiction_id = parked.jurisdiction_id
          AND session.identifier = parked.session))
    ) ORDER BY parked.order_ticks, parked.scrape_id LIMIT %(limit)s
"""

_RUNS_WITH_ONLY_PARKED = """
    SELECT run.run_id FROM realtime_run AS run
    JOIN realtime_file AS file ON file.run_id = run.run_id
    WHERE run.finalized_at IS NULL
      AND run.run_id IN (
        SELECT run_id FROM realtime_file WHERE outcome = 'deferred' AND run_id IS NOT NULL)
    GROUP BY run.run_id
    HAVING count(DISTINCT (file.bucket, file.key)) >= (
      SELECT coalesce(sum(value::numeric), 0) FROM jsonb_each_text(run.objects_sent))
"""


def wakeable(limit: int, tried: Collection[int]) -> list[File]:
    """Up to `limit` parked files whose wait is over, but for those already `tried`."""
    with connection.cursor() as cursor:
        cursor.execute(_WAKEABLE, {"limit": limit, "tried": list(tried)})
        ids = [row[0] for row in cursor.fetchall()]
    return list(File.objects.filter(id__in=ids)) if ids else []


def overdue(limit: int, tried: Collection[int], now: datetime) -> list[File]:
    """Up to `limit` parked files that have waited long enough for a last try.

    Those of a run that is complete but for its parked files, and those of no run after 24 hours.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RUNS_WITH_ONLY_PARKED)
        runs = [row[0] for row in cursor.fetchall()]
    waited = Q(run_id__in=runs) | Q(run_id=None, received_at__lt=now - PARKED_FOR)
    parked = File.objects.filter(waited, outcome=Outcome.DEFERRED).exclude(id__in=tried)
    return list(parked.order_by("order_ticks", "scrape_id")[:limit])


def start_attempt(message_id: str, body: str) -> bool:
    """Record, in a transaction of its own, that a suspicious message is about to be tried.

    False when earlier attempts have left no result as often as is allowed.
    """
    with transaction.atomic():
        suspect, _ = Suspect.objects.select_for_update().get_or_create(
            message_id=message_id, defaults={"body": _storable(body)}
        )
        if suspect.attempts >= ATTEMPTS:
            return False
        suspect.attempts += 1
        suspect.save()
    return True


def end_attempt(message_id: str) -> None:
    """The process survived the attempt, whatever came of it."""
    Suspect.objects.filter(message_id=message_id).delete()
