"""Records scrape runs: that files of a run arrived, and that a run ended."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Least

from realtime.domain.messages import RunFinished
from realtime.domain.results import Result
from realtime.domain.scraped_object import time_of
from realtime.domain.text import sanitized
from realtime.models import ScrapeRun


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
