"""Received files in the ledger: which are known, and what became of each."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection
from django.db.models import Q

from realtime.domain.interfaces import Listed
from realtime.domain.results import FileIdentity, Result
from realtime.ledger.file_rows import row_of
from realtime.ledger.run_notices import note_runs
from realtime.models import File, Outcome


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


def recorded(identities: Collection[FileIdentity]) -> set[FileIdentity]:
    """Those of these files that have an outcome that stays: not parked, and not failed."""
    rows = File.objects.filter(
        bucket__in={identity.bucket for identity in identities},
        key__in=[identity.key for identity in identities],
    ).exclude(outcome__in=[Outcome.DEFERRED, Outcome.FAILED])
    found = {FileIdentity(*row) for row in rows.values_list("bucket", "key", "version")}
    return found & set(identities)


def known_keys(bucket: str, keys: Collection[str]) -> set[str]:
    """Those of `keys` under which any version is in the ledger."""
    return set(File.objects.filter(bucket=bucket, key__in=keys).values_list("key", flat=True))


# A store may list the time of an upload more finely than it tells it when the file is read. LIMIT
# keeps the planner from reading the whole table while its statistics are old.
_WITHOUT_OUTCOME = """
    SELECT nth FROM unnest(%(keys)s::text[], %(etags)s::text[], %(times)s::timestamptz[])
        WITH ORDINALITY AS listed (key, etag, uploaded_at, nth)
    WHERE (
        SELECT true FROM realtime_file AS file
        WHERE file.bucket = %(bucket)s AND file.key = listed.key AND file.etag = listed.etag
        AND file.last_modified > listed.uploaded_at - interval '1 second'
        AND file.last_modified < listed.uploaded_at + interval '1 second'
        AND (file.outcome <> 'deferred' OR file.reason = '')
        LIMIT 1
    ) IS NULL
    ORDER BY nth
"""


def without_outcome(bucket: str, uploads: Sequence[Listed]) -> list[Listed]:
    """Those of these uploads that the ledger has no outcome for, or that were put back by a retry.
    Parked files have one."""
    with connection.cursor() as cursor:
        cursor.execute(
            _WITHOUT_OUTCOME,
            {
                "bucket": bucket,
                "keys": [one.key for one in uploads],
                "etags": [one.etag for one in uploads],
                "times": [one.last_modified for one in uploads],
            },
        )
        return [uploads[nth - 1] for (nth,) in cursor.fetchall()]


def record(
    results: Sequence[Result], now: datetime, referents: int | None = None
) -> dict[FileIdentity, int]:
    """Write the outcomes of files, one result a file; returns the ids of their rows.

    Runs in the caller's transaction. `now` is the database's time, `referents` a digest of what
    the names in the files could mean when they were imported. A file that has a row, because it
    was parked, keeps that row and the time it was first queued.
    """
    rows = [row_of(result, now, referents) for result in results]
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
    ids = _insert(new)
    note_runs(results, now)
    _update(changed, _ALL_BUT_ID)
    return ids | {FileIdentity(row.bucket, row.key, row.version): row.id for row in changed}


# A file under retry is parked and keeps the reason of its failure until it has an outcome. So a
# call can find the files of an earlier one that was killed before it sent their messages.
UNDER_RETRY = Q(outcome=Outcome.DEFERRED) & ~Q(reason="")
# What a file that cannot be read says of its failure.
_FAILED = (
    "outcome", "reason", "field", "detail", "alike", "traceback", "tried_at", "imported_at",
)  # fmt: skip

_ALL_BUT_ID = [f.attname for f in File._meta.concrete_fields if not f.primary_key]
_CORRECTED = (
    "outcome", "core_id", "reason", "field", "detail", "alike", "traceback",
    "bill_id", "bill_identifier", "bill_action", "identity", "referents",
)  # fmt: skip


def corrected_fields(row: File) -> list[Any]:
    """The values of the fields that `correct` writes."""
    return [getattr(row, name) for name in _CORRECTED]


def correct(rows: Collection[File]) -> None:
    """Save rows whose files were imported again."""
    _update(rows, _CORRECTED)


def doubt(core_ids: Collection[str]) -> None:
    """Another file was applied to these rows of core's, and has left them: what the files that
    they still are of say is not known to be what is there."""
    File.objects.filter(core_id__in=core_ids).exclude(core_id="").update(referents=None)


def _insert(rows: Collection[File]) -> dict[FileIdentity, int]:
    """Insert the rows, in this order, in one statement; returns their ids. (Django's bulk_create
    spends more time on each value than the import of the file takes.)"""
    if not rows:
        return {}
    columns = _columns(_ALL_BUT_ID)
    listed = ", ".join(f'"{column}"' for column in columns.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO realtime_file ({listed})"
            f" SELECT {listed} FROM json_populate_recordset(NULL::realtime_file, %s)"
            " RETURNING bucket, key, version, id",
            [_as_json(rows, columns)],
        )
        return {FileIdentity(*identity): row_id for *identity, row_id in cursor.fetchall()}


def _update(rows: Collection[File], names: Collection[str]) -> None:
    """Save these fields of the rows, in one statement that costs about what an INSERT does.
    (Django's bulk_update evaluates a CASE of all rows for each field of each row.)"""
    if not rows:
        return
    columns = _columns(names)
    settings = ", ".join(f'"{column}" = new."{column}"' for column in columns.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE realtime_file AS file SET {settings}"
            " FROM json_populate_recordset(NULL::realtime_file, %s) AS new"
            " WHERE file.id = new.id",
            [_as_json(rows, {"id": "id", **columns})],
        )


def _columns(names: Collection[str]) -> dict[str, str]:
    fields = (f for f in File._meta.concrete_fields if f.attname in names)
    return {field.attname: str(field.column) for field in fields}


def _as_json(rows: Collection[File], columns: Mapping[str, str]) -> str:
    values = [{column: getattr(row, name) for name, column in columns.items()} for row in rows]
    return json.dumps(values, cls=_Encoder)


class _Encoder(DjangoJSONEncoder):
    def default(self, value: Any) -> Any:
        # Django's own cuts microseconds off.
        return value.isoformat() if isinstance(value, datetime) else super().default(value)


def record_unread(results: Sequence[Result], now: datetime) -> dict[FileIdentity, int]:
    """Record files and messages that could not be read; returns the ids of their rows.

    Runs in the caller's transaction. An existing row is left unchanged, so that a bad message
    about a file cannot undo the outcome of a good one; but a file under retry fails again.
    """
    unique = {result.identity: result for result in results}
    existing = known(list(unique))
    File.objects.bulk_create(
        [row_of(result, now) for identity, result in unique.items() if identity not in existing],
        ignore_conflicts=True,
    )
    retried = File.objects.select_for_update().filter(
        UNDER_RETRY, id__in=[row.id for row in existing.values()]
    )
    failed = []
    for row in retried.order_by("id"):
        why = row_of(unique[FileIdentity(row.bucket, row.key, row.version)], now)
        for name in _FAILED:
            setattr(row, name, getattr(why, name))
        failed.append(row)
    _update(failed, _FAILED)
    return {identity: row.id for identity, row in known(list(unique)).items()}


def under_retry(bucket: str, keys: Collection[str]) -> dict[str, FileIdentity]:
    """The files under these keys that failed, were sent again, and have no outcome yet."""
    rows = File.objects.filter(UNDER_RETRY, bucket=bucket, key__in=keys)
    return {row.key: FileIdentity(row.bucket, row.key, row.version) for row in rows}


def acknowledged(ids: Collection[int], now: datetime) -> None:
    """Record that the messages of these files have been deleted from the queue."""
    File.objects.filter(id__in=ids, acknowledged_at=None).update(acknowledged_at=now)
