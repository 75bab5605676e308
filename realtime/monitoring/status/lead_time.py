"""What batch import would have given for the same objects, beside what they got."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

# Nothing of a run is imported before it began, so the index realtime_file_visible finds its files.
# Batch import begins when the scrape has ended; how long it takes is not held against it.
_SOONER = """
    SELECT {keys}, count(*),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY sooner),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY batch),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY ours)
    FROM (
      SELECT run.run_id, run.jurisdiction_id, file.object_type,
             date_part('epoch', run.finished_at - file.imported_at) AS sooner,
             date_part('epoch', run.finished_at - file.scraped_at) AS batch,
             date_part('epoch', file.imported_at - file.scraped_at) AS ours
      FROM realtime_run AS run
      JOIN realtime_file AS file
        ON file.run_id = run.run_id AND file.jurisdiction_id = run.jurisdiction_id
        AND file.imported_at >= run.started_at
      WHERE run.finished_at >= %(since)s AND run.finished_at < %(until)s
        AND run.jurisdiction_id = ANY(%(jurisdictions)s)
        AND file.outcome IN ('inserted', 'updated') AND file.scraped_at IS NOT NULL
        AND file.bucket > '' AND file.scraped_at <= run.finished_at
        AND file.queued_at <= file.scraped_at + interval '24 hours'
        AND file.retried_at IS NULL
    ) AS file
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_NO_RUN = "NULL::uuid"


@dataclass(frozen=True)
class Sooner:
    """Of the files of runs that have ended, seconds, medians: how much sooner they became visible
    than at the end of their run (negative: later), when batch import would have begun; and, from
    scraping on, `batch` and `ours`.

    `run_id` is None, and the other keys empty, where several are taken together.
    """

    run_id: UUID | None
    jurisdiction_id: str
    object_type: str
    files: int
    sooner: float
    batch: float
    ours: float


def sooner(
    since: datetime, until: datetime, jurisdiction_ids: Collection[str], by_run: bool = False
) -> list[Sooner]:
    """By type, and with `by_run` by run and jurisdiction, over the runs that ended from `since` to
    before `until` (aware UTC).

    Only what they inserted or updated; not what was retried, nor files published more than a day
    after they were scraped.
    """
    keys = "run_id, jurisdiction_id" if by_run else f"{_NO_RUN}, ''"
    with connection.cursor() as cursor:
        cursor.execute(
            _SOONER.format(keys=f"{keys}, object_type"),
            {"since": since, "until": until, "jurisdictions": list(jurisdiction_ids)},
        )
        return [Sooner(*row) for row in cursor.fetchall()]
