"""Records scrape runs: that files of a run arrived, and that a run ended."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Value
from django.db.models.functions import Least

from realtime.domain.errors import PoisonMessage, RetryLater
from realtime.domain.in_flight import CONTROL
from realtime.domain.messages import RunFinished
from realtime.domain.results import Result
from realtime.domain.scraped_object import time_of
from realtime.domain.text import sanitized
from realtime.models import File, Outcome, ScrapeRun


def note_runs(results: Iterable[Result], now: datetime) -> None:
    """Record the scrape runs of these files, with the earliest scrape time as their start.

    A run that has ended keeps its start, unless another jurisdiction's message has ended it: that
    is recorded as failed, and the run is open again. Runs in the caller's transaction.
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
    _undo_foreign_ends(began, now)
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
    make newer objects look stale. Raises PoisonMessage (`foreign-run`) when the run's files are of
    another jurisdiction, RetryLater when another has ended the run and no file says whose it is.
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
    _require_own(run, ScrapeRun.objects.select_for_update().get(run_id=run.run_id))
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


def _require_own(run: RunFinished, row: ScrapeRun) -> None:
    is_ended_by_other = row.finished_at is not None and row.jurisdiction_id != run.jurisdiction_id
    of_files = _jurisdiction_of_files(row.run_id, run.jurisdiction_id)
    if of_files != run.jurisdiction_id and of_files:
        raise _foreign(row.run_id, of_files, run.jurisdiction_id)
    if is_ended_by_other and of_files:
        raise _foreign(row.run_id, row.jurisdiction_id, run.jurisdiction_id)
    if is_ended_by_other:
        raise RetryLater(
            f"run {row.run_id} was ended by {row.jurisdiction_id}, and has no file yet"
        )


def _jurisdiction_of_files(run_id: UUID, preferred: str) -> str:
    """The jurisdiction of the run's files: `preferred` if that is one's; empty without a file."""
    # Files that were read: what a message claims of others proves nothing.
    files = File.objects.filter(run_id=run_id).exclude(scrape_id="")
    if files.filter(jurisdiction_id=preferred).exists():
        return preferred
    return files.values_list("jurisdiction_id", flat=True).first() or ""


def _foreign(run_id: UUID, owner: str, sender: str) -> PoisonMessage:
    return PoisonMessage(
        "foreign-run", f"run {run_id} is of {owner}, not of {sender}", "jurisdiction_id"
    )


def _undo_foreign_ends(began: Mapping[UUID, tuple[datetime, Result]], now: datetime) -> None:
    """Open runs again that ended before their first file came, by the word of a jurisdiction that
    has no file in them."""
    owner_of = {
        run_id: sanitized(result.file.jurisdiction_id)
        for run_id, (_, result) in began.items()
        if result.file
    }
    ended = ScrapeRun.objects.select_for_update().filter(
        run_id__in=owner_of, finished_at__isnull=False
    )
    for row in ended.exclude(jurisdiction_id__in=set(owner_of.values())).order_by("run_id"):
        sender, owner = row.jurisdiction_id, owner_of[row.run_id]
        if _jurisdiction_of_files(row.run_id, sender) == sender:
            continue
        problem = _foreign(row.run_id, owner, sender)
        File.objects.bulk_create(
            [
                File(
                    key=f"message:the end of run {row.run_id} by {sender}",
                    object_type=CONTROL,
                    jurisdiction_id=sender,
                    run_id=row.run_id,
                    outcome=Outcome.FAILED,
                    reason=problem.reason,
                    field=problem.field,
                    detail=problem.detail,
                    alike=problem.alike,
                    tried_at=now,
                    queued_at=row.received_at or now,
                    received_at=row.received_at or now,
                    imported_at=now,
                    acknowledged_at=now,
                    archived_at=now,
                )
            ],
            ignore_conflicts=True,
        )
        row.delete()
