"""How lag, throughput and the queue went over a period, in equal steps that end now."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from realtime.domain.in_flight import LATE_AFTER

# A queue is looked at more often than a chart has points, so that a short jam is seen.
_LOOKS = 60

# When the step of a file began: half as much work as with `date_part`.
_STEP = "date_bin(%(step)s, imported_at, %(since)s)"
# The WHERE clause repeats the condition of the index realtime_file_visible: an index-only scan.
_LAGS = f"""
    SELECT {_STEP},
           percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP
             (ORDER BY greatest(date_part('epoch', imported_at - scraped_at), 0))
    FROM realtime_file
    WHERE jurisdiction_id = ANY(%(jurisdictions)s)
      AND imported_at >= %(since)s AND imported_at < %(until)s
      AND outcome IN ('inserted', 'updated') AND scraped_at IS NOT NULL AND bucket > ''
      AND queued_at <= scraped_at + %(late)s AND retried_at IS NULL
    GROUP BY 1
"""
_FILES = f"""
    SELECT {_STEP}, count(*)
    FROM realtime_file
    WHERE jurisdiction_id = ANY(%(jurisdictions)s)
      AND imported_at >= %(since)s AND imported_at < %(until)s
    GROUP BY 1
"""
# A file waits from `queued_at` to `received_at`: it adds one to the queue, then takes one off.
# There is a look at `since`, and after each further `look`. A file is seen from the first that is
# not before it came: `date_bin`, which rounds down, is asked for a microsecond before.
# What `pauses.resume` frees was received before: it got the time at which the pause ended.
# Most come and go between the same two looks: those are dropped once they are counted.
_WAITING = """
    WITH file AS (
      SELECT date_bin(%(look)s, greatest(queued_at, %(since)s) - %(instant)s, %(since)s) AS came,
             date_bin(%(look)s, received_at - %(instant)s, %(since)s) AS went,
             count(*) AS files
      FROM realtime_file
      WHERE received_at >= %(since)s AND received_at < %(until)s AND queued_at < received_at
        AND bucket > '' AND retried_at IS NULL
        AND received_at NOT IN (SELECT resumed_at FROM realtime_pause WHERE resumed_at >= %(since)s)
        AND (%(everywhere)s OR jurisdiction_id = ANY(%(jurisdictions)s))
      GROUP BY 1, 2
    ), moved AS (
      SELECT look, sum(each.files) AS files
      FROM file, LATERAL (VALUES (came, file.files), (went, -file.files)) AS each (look, files)
      WHERE came < went GROUP BY 1
    )
    SELECT look + %(look)s, sum(moved.files) OVER (ORDER BY look)::int FROM moved ORDER BY look
"""


@dataclass(frozen=True)
class Window:
    """A period until now, divided into `steps` equal steps."""

    length: timedelta
    steps: int

    @property
    def step(self) -> timedelta:
        """The length of a step."""
        return self.length / self.steps


@dataclass(frozen=True)
class OverTime:
    """What happened from `since` on, step by step.

    `p50` and `p95` are lags in seconds, by when the file became visible; None where nothing was
    measured. `files` got a final outcome. `waiting` is the most files that waited at once in a
    step, of those that were received since: what still waits is not in it.
    """

    since: datetime
    window: Window
    p50: Sequence[float | None]
    p95: Sequence[float | None]
    files: Sequence[int]
    waiting: Sequence[int]

    @property
    def until(self) -> datetime:
        """When it ends."""
        return self.since + self.window.length


def over_time(
    now: datetime, window: Window, jurisdiction_ids: Collection[str], everywhere: bool = False
) -> OverTime:
    """The window before `now` (database time), of some jurisdictions; with `everywhere` these are
    all that the ledger knows.

    Lags leave out what `lag.lags` does not measure: retried files, and those published more than
    24 hours after they were scraped.
    """
    since = now - window.length
    values: dict[str, Any] = {
        "since": since,
        "until": now,
        "step": window.step,
        "look": window.step / _LOOKS,
        "instant": timedelta.resolution,
        "late": LATE_AFTER,
        "jurisdictions": list(jurisdiction_ids),
        "everywhere": everywhere,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LAGS, values)
        lags = dict(cursor.fetchall())
        cursor.execute(_FILES, values)
        files = dict(cursor.fetchall())
        cursor.execute(_WAITING, values)
        looks = cursor.fetchall()
    steps = [since + step * window.step for step in range(window.steps)]
    return OverTime(
        since,
        window,
        [lags[step][0] if step in lags else None for step in steps],
        [lags[step][1] if step in lags else None for step in steps],
        [files.get(step, 0) for step in steps],
        _most([((at - since) // window.step, after) for at, after in looks], window.steps),
    )


def _most(depths: Sequence[tuple[int, int]], steps: int) -> list[int]:
    """The highest depth of each step, from the depths at the looks where it changed, each with the
    number of the step that the look is in."""
    most = [0] * steps
    depth = last = 0
    for at, after in depths:
        step = min(at, steps - 1)
        for passed in range(last, step + 1):
            # What waited when the step began.
            most[passed] = max(most[passed], depth)
        most[step] = max(most[step], after)
        depth, last = after, step
    for passed in range(last + 1, steps):
        most[passed] = depth
    return most
