"""Parked files in the ledger: which can be resumed, and which have waited too long."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet

from realtime.domain.errors import PoisonMessage
from realtime.domain.text import sanitized
from realtime.ledger.complete_runs import PATIENCE, arrivals
from realtime.ledger.file_rows import kept
from realtime.ledger.files import database_now
from realtime.ledger.pauses import NOT_PAUSED, not_paused, open_pauses
from realtime.models import File, Outcome, ScrapeRun

# Bills are looked up in the ledger, by its indexes. A bill that did not come through the ledger
# resumes no parked file.
_WAKEABLE = """
    SELECT {columns} FROM realtime_file AS parked
    WHERE parked.outcome = 'deferred' AND parked.id <> ALL(%(tried)s) AND {whose}
      AND {not_paused} AND (
      parked.paused_at IS NOT NULL
      OR (parked.bill_scrape_id <> '' AND EXISTS (
        SELECT 1 FROM realtime_file AS bill
        WHERE bill.jurisdiction_id = parked.jurisdiction_id AND bill.object_type = 'bill'
          AND bill.scrape_id = parked.bill_scrape_id AND bill.row_id <> ''
          AND (parked.id <> ALL(%(again)s) OR bill.imported_at > parked.tried_at)))
      OR (parked.bill_identifier <> '' AND EXISTS (
        SELECT 1 FROM realtime_file AS bill
        WHERE bill.jurisdiction_id = parked.jurisdiction_id AND bill.object_type = 'bill'
          AND bill.session = parked.session AND bill.bill_identifier = parked.bill_identifier
          AND bill.row_id <> '' AND bill.imported_at > parked.tried_at))
      OR (parked.bill_scrape_id = '' AND parked.bill_identifier = ''
        AND parked.id <> ALL(%(again)s) AND EXISTS (
        SELECT 1 FROM opencivicdata_legislativesession AS session
        WHERE session.jurisdiction_id = parked.jurisdiction_id
          AND session.identifier = parked.session))
    ) {order} LIMIT %(limit)s
"""
_NEXT = _WAKEABLE.format(
    columns="parked.jurisdiction_id",
    whose="parked.jurisdiction_id <> ALL(%(elsewhere)s)",
    order="",
    not_paused=NOT_PAUSED,
)
_ALL = _WAKEABLE.format(
    columns="parked.id",
    whose="parked.jurisdiction_id = %(jurisdiction_id)s",
    # What a pause parked, the newest first: what a later file has put right is then never undone on
    # the way. Bills before what waits for them.
    order="""
      ORDER BY parked.paused_at IS NULL, parked.object_type IN ('vote_event', 'event'),
        CASE WHEN parked.paused_at IS NULL THEN parked.order_ticks ELSE -parked.order_ticks END,
        parked.scrape_id
    """,
    not_paused=NOT_PAUSED,
)


@dataclass
class Seen:
    """The parked files that one import run skips.

    `tried` files are not tried again. Files parked `again` are resumed only by a bill that is
    imported after that. Jurisdictions `elsewhere` are handled by another worker.
    """

    tried: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)

    def params(self, limit: int) -> dict[str, Any]:
        """The parameters of the queries below."""
        return {"tried": list(self.tried), "again": list(self.again), "limit": limit}


def next_wakeable(seen: Seen) -> str | None:
    """A jurisdiction with a parked file that can be resumed; None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, seen.params(1) | {"elsewhere": list(seen.elsewhere)})
        row = cursor.fetchone()
    return str(row[0]) if row else None


def wakeable(jurisdiction_id: str, seen: Seen, limit: int) -> list[File]:
    """Up to `limit` of a jurisdiction's parked files that can be resumed."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL, seen.params(limit) | {"jurisdiction_id": jurisdiction_id})
        ids = [row[0] for row in cursor.fetchall()]
    return list(File.objects.filter(id__in=ids)) if ids else []


def overdue(seen: Seen, now: datetime) -> QuerySet[File]:
    """The parked files that are due for their last try, in scrape order.

    A file of a run is due when all files of the run have arrived. After 24 hours, so is a file
    without a run, or whose run is given up: it was closed, it ended more than a day ago, or it has
    not ended and no file of it has arrived for a day. None of a paused jurisdiction is.
    """
    parked = File.objects.filter(outcome=Outcome.DEFERRED).exclude(id__in=seen.tried)
    parked = parked.exclude(jurisdiction_id__in=seen.elsewhere).filter(not_paused(open_pauses()))
    ids = parked.exclude(run_id=None).values_list("run_id", flat=True).distinct()
    run_ids = [run_id for run_id in ids if run_id is not None]
    runs = ScrapeRun.objects.filter(run_id__in=run_ids)
    all_arrived = [run_id for run_id, arrival in arrivals(list(runs)).items() if arrival.all_came]
    given_up = [run.run_id for run in runs if _is_given_up(run, now)]
    late = Q(run_id=None) | Q(run_id__in=given_up)
    due = Q(run_id__in=all_arrived) | (late & Q(received_at__lt=now - PATIENCE))
    return parked.filter(due).order_by("order_ticks", "scrape_id")


def _is_given_up(run: ScrapeRun, now: datetime) -> bool:
    if run.closed_at:
        return True
    if run.received_at:
        return run.received_at < now - PATIENCE
    # Its scraper has probably died. If not, finalizing the run tries its files again.
    recent_files = File.objects.filter(run_id=run.run_id, received_at__gte=now - PATIENCE)
    return not recent_files.exists()


def fail_parked(ledger_id: int, problem: PoisonMessage) -> None:
    """Record a parked file as failed for `problem`."""
    File.objects.filter(id=ledger_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.FAILED,
        reason=problem.reason,
        field=sanitized(problem.field),
        detail=kept(problem.detail),
        alike=problem.alike,
        # That of an earlier failure, which was retried.
        traceback="",
        imported_at=database_now(),
        paused_at=None,
    )


def supersede_overwritten(ledger_id: int) -> bool:
    """Record a parked file as superseded if the ledger has a later upload under its key."""
    # It was not there yet when the parked one was read, so its row is younger.
    later = File.objects.filter(
        bucket=OuterRef("bucket"), key=OuterRef("key"), id__gt=OuterRef("id")
    )
    updated = File.objects.filter(Exists(later), id=ledger_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.SUPERSEDED, imported_at=database_now(), paused_at=None
    )
    return bool(updated)


def supersede_parked(ledger_id: int) -> None:
    """Record a parked file as superseded: a newer upload has replaced it under its key."""
    File.objects.filter(id=ledger_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.SUPERSEDED, imported_at=database_now()
    )
