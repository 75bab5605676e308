"""How long files take from scraped to visible, and where they spend that time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

# Published later than this after it was scraped, a file is no news: somebody has published an old
# scrape. It is counted, not measured.
LATE = timedelta(hours=24)
# Clocks this close together agree.
_SKEW = timedelta(seconds=2)

JURISDICTION, TYPE, HOUR = "jurisdiction", "type", "hour"
_KEYS = {
    JURISDICTION: "jurisdiction_id",
    TYPE: "object_type",
    HOUR: "date_trunc('hour', imported_at)",
}
_EMPTY = {JURISDICTION: "''", TYPE: "''", HOUR: "NULL::timestamptz"}

# The conditions are those of the index realtime_file_visible, which answers all of it.
_LAGS = """
    WITH file AS (
      SELECT {keys}, scraped_at > queued_at + %(skew)s AS skewed,
             queued_at > scraped_at + %(late)s AS late,
             retried_at IS NOT NULL AS retried,
             {seconds}
      FROM realtime_file
      WHERE jurisdiction_id = ANY(%(jurisdictions)s)
        AND imported_at >= %(since)s AND imported_at < %(until)s
        AND outcome IN ('inserted', 'updated') AND scraped_at IS NOT NULL AND bucket > ''
    )
    SELECT jurisdiction, type, hour, count(*),
           count(*) FILTER (WHERE late),
           count(*) FILTER (WHERE NOT late AND retried),
           count(*) FILTER (WHERE NOT late AND NOT retried AND skewed),
           count(*) FILTER (WHERE NOT late AND NOT retried),
           {spreads}
    FROM file GROUP BY jurisdiction, type, hour ORDER BY jurisdiction, type, hour
"""
_COUNTS = 8  # columns before the spreads
# Faster than extract, which makes numerics.
_SECONDS = "greatest(date_part('epoch', {until} - {since}), 0) AS {name}"
# The database sorts once for both percentiles.
_SPREAD = """
    percentile_disc(0.5) WITHIN GROUP (ORDER BY {name})
      FILTER (WHERE NOT late AND NOT retried),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY {name})
      FILTER (WHERE NOT late AND NOT retried),
    max({name}) FILTER (WHERE NOT late AND NOT retried)
"""
_PARTS = {
    "total": ("scraped_at", "imported_at"),
    "to_queue": ("scraped_at", "queued_at"),
    "to_receive": ("queued_at", "received_at"),
    "to_commit": ("received_at", "imported_at"),
}

# Hops from one jurisdiction to the next in the index, however many files each has.
_JURISDICTIONS = """
    WITH RECURSIVE each (jurisdiction_id) AS (
      (SELECT jurisdiction_id FROM realtime_file ORDER BY jurisdiction_id LIMIT 1)
      UNION ALL
      SELECT (SELECT following.jurisdiction_id FROM realtime_file AS following
              WHERE following.jurisdiction_id > each.jurisdiction_id
              ORDER BY following.jurisdiction_id LIMIT 1)
      FROM each WHERE each.jurisdiction_id IS NOT NULL
    )
    SELECT jurisdiction_id,
           (SELECT imported_at FROM realtime_file AS file
            WHERE file.jurisdiction_id = each.jurisdiction_id AND imported_at IS NOT NULL
              AND outcome IN ('inserted', 'updated', 'unchanged')
            ORDER BY imported_at DESC LIMIT 1)
    FROM each WHERE jurisdiction_id IS NOT NULL ORDER BY jurisdiction_id
"""


@dataclass(frozen=True)
class Spread:
    """Seconds: nearest-rank percentiles and the maximum; None when nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Lag:
    """The files of one group that made something visible in a window, and how long they took.

    What is not grouped by is empty. `files` were inserted or updated, parked before or not.
    `measured` are those of which `total` and its parts speak: all but `late` ones (published more
    than a day after they were scraped) and `retried` ones (somebody had to mend something first).
    `skewed` of the measured ones were scraped, by the scraper's clock, after they were queued; no
    time is taken for less than zero.
    """

    jurisdiction_id: str
    object_type: str
    hour: datetime | None
    files: int
    late: int
    retried: int
    skewed: int
    measured: int
    total: Spread
    to_queue: Spread = Spread()
    to_receive: Spread = Spread()
    to_commit: Spread = Spread()


def jurisdictions() -> dict[str, datetime | None]:
    """The jurisdictions of the ledger, by id, and when each was last imported from (database time);
    the empty id stands for files that say none."""
    with connection.cursor() as cursor:
        cursor.execute(_JURISDICTIONS)
        return dict(cursor.fetchall())


_VOLUMES = """
    SELECT jurisdiction_id, date_trunc('hour', imported_at), count(*)
    FROM realtime_file
    WHERE jurisdiction_id = ANY(%(jurisdictions)s)
      AND imported_at >= %(since)s AND imported_at < %(until)s
    GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Volume:
    """How many files of a jurisdiction got an outcome, whichever, within an hour."""

    jurisdiction_id: str
    hour: datetime
    files: int


def volumes(since: datetime, until: datetime, jurisdiction_ids: Collection[str]) -> list[Volume]:
    """By jurisdiction and hour, from `since` to before `until` (aware, database time)."""
    with connection.cursor() as cursor:
        cursor.execute(
            _VOLUMES, {"since": since, "until": until, "jurisdictions": list(jurisdiction_ids)}
        )
        return [Volume(*row) for row in cursor.fetchall()]


def lags(
    since: datetime,
    until: datetime,
    jurisdiction_ids: Collection[str],
    by: Sequence[str] = (),
    parts: bool = True,
) -> list[Lag]:
    """The lags of what became visible from `since` to before `until` (aware, database time).

    Grouped by any of JURISDICTION, TYPE and HOUR. Without `parts` only the total is measured, at
    half the cost.
    """
    names = list(_PARTS) if parts else ["total"]
    statement = _LAGS.format(
        keys=", ".join(f"{(_KEYS if key in by else _EMPTY)[key]} AS {key}" for key in _KEYS),
        seconds=", ".join(
            _SECONDS.format(name=name, since=_PARTS[name][0], until=_PARTS[name][1])
            for name in names
        ),
        spreads=", ".join(_SPREAD.format(name=name) for name in names),
    )
    values: dict[str, Any] = {
        "jurisdictions": list(jurisdiction_ids),
        "since": since,
        "until": until,
        "late": LATE,
        "skew": _SKEW,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [_lag(row) for row in cursor.fetchall()]


def _lag(row: Sequence[Any]) -> Lag:
    figures = row[_COUNTS:]
    return Lag(*row[:_COUNTS], *(Spread(*figures[at : at + 3]) for at in range(0, len(figures), 3)))
