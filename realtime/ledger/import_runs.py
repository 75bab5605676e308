"""Import runs in the ledger: a row when one begins, and what it did when it ends."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from realtime.domain.text import sanitized
from realtime.models import ImportRun

# Characters of an error that are kept.
_TOLD = 500
# User and password in a URL; a password may hold anything.
_CREDENTIALS = re.compile(r"(?<=://)\S+(?=@)")

_BEGIN = """
    INSERT INTO realtime_import_run
      (way, host, request_id, process_id, backend_pid, import_run_id, runs, started_at, began_at,
       is_idle, counts, seconds, requests, statements, cpu_seconds, error)
    VALUES (%(way)s, %(host)s, %(request_id)s, %(process_id)s, pg_backend_pid(),
            %(import_run_id)s, 1, clock_timestamp(), clock_timestamp(),
            false, '{}', '{}', '{}', 0, 0, '')
    RETURNING id
"""
_BEGIN_AGAIN = """
    UPDATE realtime_import_run
    SET began_at = clock_timestamp(), ended_at = NULL, runs = runs + 1,
        backend_pid = pg_backend_pid(), import_run_id = %(import_run_id)s
    WHERE id = %(id)s
"""
_DONE = """
    ended_at = clock_timestamp(), is_idle = %(is_idle)s, counts = %(counts)s::jsonb,
    seconds = %(seconds)s::jsonb, requests = %(requests)s::jsonb, statements = %(statements)s,
    cpu_seconds = %(cpu_seconds)s, lag_p50 = %(lag_p50)s, lag_p95 = %(lag_p95)s, error = %(error)s
"""
_END = f"UPDATE realtime_import_run SET {_DONE} WHERE id = %(id)s"
# The row before it, of the same host and way, takes it in if that run did as little.
_END_IDLE = f"""
    WITH former AS (
      SELECT id FROM realtime_import_run
      WHERE id < %(id)s AND host = %(host)s AND way = %(way)s ORDER BY id DESC LIMIT 1
    ), extended AS (
      UPDATE realtime_import_run AS kept
      SET runs = kept.runs + 1, began_at = mine.began_at, request_id = mine.request_id,
          process_id = mine.process_id, backend_pid = mine.backend_pid,
          import_run_id = mine.import_run_id, {_DONE}
      FROM former, realtime_import_run AS mine
      WHERE kept.id = former.id AND mine.id = %(id)s
        AND kept.is_idle AND kept.error = %(error)s AND kept.ended_at IS NOT NULL
      RETURNING kept.id
    ), taken_in AS (
      DELETE FROM realtime_import_run WHERE id = %(id)s AND EXISTS (SELECT 1 FROM extended)
    )
    UPDATE realtime_import_run SET {_DONE}
    WHERE id = %(id)s AND NOT EXISTS (SELECT 1 FROM extended)
"""
# Whether the run's connection is still there. PostgreSQL hides from some when it was opened.
_CONNECTED = """
    EXISTS (SELECT 1 FROM pg_stat_activity AS activity
            WHERE activity.pid = backend_pid
              AND (activity.backend_start IS NULL OR activity.backend_start <= began_at)
              AND activity.datid = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


@dataclass(frozen=True)
class Place:
    """Where an import run works, and what it is a run of."""

    way: str
    host: str
    request_id: str
    process_id: int


@dataclass(frozen=True)
class Figures:
    """What an import run did. `error` is one line; lags are seconds."""

    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    statements: int = 0
    cpu_seconds: float = 0.0
    lag_p50: float | None = None
    lag_p95: float | None = None
    error: str = ""

    @property
    def is_idle(self) -> bool:
        """Whether it did nothing."""
        return not any(self.counts.values())


def begin(place: Place, import_run_id: str) -> int:
    """Record that a run begins; returns the id of its row. Raises Django's database errors."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, {**vars(place), "import_run_id": import_run_id})
        return int(cursor.fetchone()[0])


def begin_again(row: int, import_run_id: str) -> bool:
    """Record that another run begins in a row; False when that was pruned."""
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN_AGAIN, {"id": row, "import_run_id": import_run_id})
        return bool(cursor.rowcount)


def end(row: int, figures: Figures) -> None:
    """Record that the run of a row has ended, and what it did, all runs of the row together."""
    with connection.cursor() as cursor:
        cursor.execute(_END, _values(row, figures))


def end_idle(row: int, figures: Figures, place: Place) -> None:
    """Record that a run, alone in its row, has ended and has done nothing.

    If the run before it on the same host did nothing either, with the same error or none, that
    one's row counts one more, and this one's goes.
    """
    with connection.cursor() as cursor:
        cursor.execute(_END_IDLE, {**_values(row, figures), **vars(place)})


def _values(row: int, figures: Figures) -> dict[str, Any]:
    return {
        **vars(figures),
        "id": row,
        "is_idle": figures.is_idle,
        "counts": json.dumps({name: count for name, count in figures.counts.items() if count}),
        "seconds": json.dumps({name: round(one, 3) for name, one in figures.seconds.items()}),
        "requests": json.dumps(dict(figures.requests)),
        "cpu_seconds": round(figures.cpu_seconds, 3),
        "error": told(figures.error),
    }


def told(error: str) -> str:
    """An error as it is kept: one line of at most 500 characters, no password of a URL."""
    return sanitized(_CREDENTIALS.sub("…", " ".join(error.split())))[:_TOLD]


def newest() -> "QuerySet[ImportRun]":
    """The rows, the latest begun first. Each has `is_connected`: whether its run's connection is
    still there."""
    found = ImportRun.objects.annotate(is_connected=RawSQL(_CONNECTED, []))
    return found.order_by("-began_at", "-id")
