"""Lead time: how much sooner files became visible than by core's batch import."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

# A run's files are imported after its start: that condition lets the index realtime_file_visible
# find them. Batch import begins when the scrape ends; its own duration is not counted.
_LEAD_TIMES = """
    SELECT {keys}, count(*),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY lead),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY batch_lag),
           percentile_disc(0.5) WITHIN GROUP (ORDER BY lag)
    FROM (
      SELECT run.run_id, run.jurisdiction_id, file.object_type,
             date_part('epoch', run.finished_at - file.imported_at) AS lead,
             date_part('epoch', run.finished_at - file.scraped_at) AS batch_lag,
             greatest(date_part('epoch', file.imported_at - file.scraped_at), 0) AS lag
      FROM (
        SELECT run_id, jurisdiction_id, started_at, finished_at FROM realtime_run
        WHERE finished_at >= %(since)s AND finished_at < %(until)s
          AND jurisdiction_id = ANY(%(jurisdictions)s)
        ORDER BY finished_at DESC LIMIT %(newest)s
      ) AS run
      JOIN realtime_file AS file
        ON file.run_id = run.run_id AND file.jurisdiction_id = run.jurisdiction_id
        AND file.imported_at >= run.started_at
      WHERE file.outcome IN ('inserted', 'updated') AND file.scraped_at IS NOT NULL
        AND file.bucket > '' AND file.scraped_at <= run.finished_at
        AND file.queued_at <= file.scraped_at + interval '24 hours'
        AND file.retried_at IS NULL
    ) AS file
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_NO_RUN = "NULL::uuid"


@dataclass(frozen=True)
class LeadTime:
    """Medians in seconds, over the files of ended runs.

    `lead` is the time from a file's import to the end of its run, when batch import would have
    begun; negative: batch import would have been sooner. `batch_lag` and `lag` run from scraped to
    that end, and to our import. Keys that were not grouped by are None or empty.
    """

    run_id: UUID | None
    jurisdiction_id: str
    object_type: str
    files: int
    lead: float
    batch_lag: float
    lag: float


def lead_times(
    since: datetime,
    until: datetime,
    jurisdiction_ids: Collection[str],
    by_run: bool = False,
    newest: int | None = None,
) -> list[LeadTime]:
    """Lead times by type, with `by_run` also by run and jurisdiction, of the runs that ended in a
    window: `since` inclusive, `until` exclusive (aware UTC); of those that ended last, if only
    `newest` are wanted.

    Covers inserted and updated files, without retried ones and those published more than 24 hours
    after they were scraped.
    """
    keys = "run_id, jurisdiction_id" if by_run else f"{_NO_RUN}, ''"
    with connection.cursor() as cursor:
        cursor.execute(
            _LEAD_TIMES.format(keys=f"{keys}, object_type"),
            {
                "since": since,
                "until": until,
                "jurisdictions": list(jurisdiction_ids),
                "newest": newest,
            },
        )
        return [LeadTime(*row) for row in cursor.fetchall()]
