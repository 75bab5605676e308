"""Lag: how long files take from scraped to visible, in total and by stage."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from realtime.domain.in_flight import LATE_AFTER

# Differences between clocks up to this are not called skewed.
_SKEW = timedelta(seconds=2)

JURISDICTION, TYPE, HOUR = "jurisdiction", "type", "hour"
_KEYS = {
    JURISDICTION: "jurisdiction_id",
    TYPE: "object_type",
    HOUR: "date_trunc('hour', imported_at)",
}

# The WHERE clause repeats the condition of the index realtime_file_visible: an index-only scan, and
# one for all groupings. In a row the keys are null that it was not grouped by.
_LAGS = """
    WITH file AS (
      SELECT {keys} scraped_at > queued_at + %(skew)s AS skewed,
             queued_at > scraped_at + %(late)s AS late,
             retried_at IS NOT NULL AS retried,
             {seconds}
      FROM realtime_file
      WHERE jurisdiction_id = ANY(%(jurisdictions)s)
        AND imported_at >= %(since)s AND imported_at < %(until)s
        AND outcome IN ('inserted', 'updated') AND scraped_at IS NOT NULL AND bucket > ''
    )
    SELECT {shown}, count(*),
           count(*) FILTER (WHERE late),
           count(*) FILTER (WHERE NOT late AND retried),
           count(*) FILTER (WHERE NOT late AND NOT retried AND skewed),
           count(*) FILTER (WHERE NOT late AND NOT retried),
           {spreads}
    FROM file GROUP BY GROUPING SETS ({groupings}) HAVING count(*) > 0 ORDER BY 1, 2, 3
"""
# The hours that tell how things are now: this one and so many before.
_BEFORE = timedelta(hours=2)
_COUNTS = 8  # columns before the spreads
# date_part is faster than extract, which returns numeric.
_SECONDS = "greatest(date_part('epoch', {until} - {since}), 0) AS {name}"
# PostgreSQL sorts once for both percentiles.
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

# A loose index scan: one index lookup for each jurisdiction, however many files it has.
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
    """Nearest-rank percentiles and maximum, in seconds; None when nothing was measured."""

    p50: float | None = None
    p95: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class Lag:
    """The lag of one group of files that became visible in a time window.

    Keys that were not grouped by are empty. `files` counts the inserted and updated files.
    `measured` counts those that `total` and its parts cover: all but `late` ones (published more
    than 24 hours after they were scraped) and `retried` ones. `skewed` counts measured files whose
    scrape time, by the scraper's clock, is after their queue time. Negative times count as zero.

    `total` runs from scraped to visible: `to_queue` until the message was sent, `to_receive` until
    it was received, `to_commit` until the import was committed, time spent parked included.
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
    """Every jurisdiction id in the ledger, and the time of its newest import (database time).

    The empty id stands for files without a jurisdiction. None: nothing was imported yet.
    """
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
    """The number of files of a jurisdiction that got a final outcome within an hour."""

    jurisdiction_id: str
    hour: datetime
    files: int


def volumes(since: datetime, until: datetime, jurisdiction_ids: Collection[str]) -> list[Volume]:
    """Volumes by jurisdiction and hour, `since` inclusive, `until` exclusive (database time)."""
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
    """The lags of files that became visible in a window, one for each group in order of its keys.

    The window is `since` inclusive, `until` exclusive (aware, database time). `by` takes any of
    JURISDICTION, TYPE and HOUR. Without `parts` only `total` is measured, at half the cost.
    """
    return lags_by(since, until, jurisdiction_ids, [by], parts)[0]


def newest_lag(hours: Iterable[Lag], now: datetime) -> Lag | None:
    """Of the lags of a jurisdiction by hour, the newest in which something was measured; None when
    that is neither this hour nor one of the two before."""
    since = _recent(now)
    measured = [one for one in hours if one.hour and one.hour >= since and one.measured]
    return max(measured, key=lambda one: one.hour or since, default=None)


def newest_lags(now: datetime, jurisdiction_ids: Collection[str]) -> list[Lag]:
    """`newest_lag` of each jurisdiction that has one. One statement; only `total` is measured."""
    found: dict[str, list[Lag]] = {}
    for one in lags(_recent(now), now, jurisdiction_ids, (JURISDICTION, HOUR), parts=False):
        found.setdefault(one.jurisdiction_id, []).append(one)
    newest = (newest_lag(hours, now) for hours in found.values())
    return [one for one in newest if one]


def _recent(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) - _BEFORE


def lags_by(
    since: datetime,
    until: datetime,
    jurisdiction_ids: Collection[str],
    groupings: Sequence[Sequence[str]],
    parts: bool = True,
) -> list[list[Lag]]:
    """What `lags` returns for each `by` of `groupings`, in one statement. No two may be alike."""
    used = [key for key in _KEYS if any(key in by for by in groupings)]
    names = list(_PARTS) if parts else ["total"]
    statement = _LAGS.format(
        keys="".join(f"{_KEYS[key]} AS {key}, " for key in used),
        shown=", ".join(key if key in used else "NULL" for key in _KEYS),
        groupings=", ".join(f"({', '.join(by)})" for by in groupings),
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
        "late": LATE_AFTER,
        "skew": _SKEW,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows = cursor.fetchall()
    return [[_lag(row) for row in rows if _keys(row) == set(by)] for by in groupings]


def _keys(row: Sequence[Any]) -> set[str]:
    return {key for key, value in zip(_KEYS, row, strict=False) if value is not None}


def _lag(row: Sequence[Any]) -> Lag:
    jurisdiction, object_type, hour, *counts = row[:_COUNTS]
    figures = row[_COUNTS:]
    spreads = (Spread(*figures[at : at + 3]) for at in range(0, len(figures), 3))
    return Lag(jurisdiction or "", object_type or "", hour, *counts, *spreads)
