"""Parked files in the ledger: what each waits for, and when its wait is over."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from realtime.domain.errors import PoisonMessage
from realtime.ledger.files import database_now, sanitized
from realtime.ledger.scrape_runs import PATIENCE, arrivals
from realtime.models import File, Outcome, ScrapeRun

# Each branch looks its rows up by an index of our own table: the bills that a parked vote event
# may wait for came through the ledger too.
_WAKEABLE = """
    SELECT {columns} FROM realtime_file AS parked
    WHERE parked.outcome = 'deferred' AND parked.id <> ALL(%(tried)s) AND {whose} AND (
      (parked.bill_scrape_id <> '' AND EXISTS (
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
    columns="parked.jurisdiction_id", whose="parked.jurisdiction_id <> ALL(%(elsewhere)s)", order=""
)
_ALL = _WAKEABLE.format(
    columns="parked.id",
    whose="parked.jurisdiction_id = %(jurisdiction_id)s",
    order="ORDER BY parked.order_ticks, parked.scrape_id",
)


@dataclass
class Seen:
    """What one run has seen of parked files, and leaves alone from then on.

    `tried` files not at all; those `again` parked, unless what they wait for now comes after
    that; all of a jurisdiction that is seen to `elsewhere`.
    """

    tried: set[int] = field(default_factory=set)
    again: set[int] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)

    def params(self, limit: int) -> dict[str, Any]:
        """What a statement is told of it."""
        return {"tried": list(self.tried), "again": list(self.again), "limit": limit}


def next_wakeable(seen: Seen) -> str | None:
    """A jurisdiction with a parked file whose wait is over, if there is any."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, seen.params(1) | {"elsewhere": list(seen.elsewhere)})
        row = cursor.fetchone()
    return str(row[0]) if row else None


def wakeable(jurisdiction_id: str, seen: Seen, limit: int) -> list[File]:
    """Up to `limit` of a jurisdiction's parked files whose wait is over."""
    with connection.cursor() as cursor:
        cursor.execute(_ALL, seen.params(limit) | {"jurisdiction_id": jurisdiction_id})
        ids = [row[0] for row in cursor.fetchall()]
    return list(File.objects.filter(id__in=ids)) if ids else []


def overdue(seen: Seen, now: datetime) -> QuerySet[File]:
    """The parked files that have waited long enough for a last try, in scrape order.

    Those of a run that is complete but for its parked files, and, after 24 hours, those of no run
    or of one whose other files are not waited for any longer: it was closed, ended a day ago, or
    has not ended and for a day nothing of it has come.
    """
    parked = File.objects.filter(outcome=Outcome.DEFERRED).exclude(id__in=seen.tried)
    parked = parked.exclude(jurisdiction_id__in=seen.elsewhere)
    ids = parked.exclude(run_id=None).values_list("run_id", flat=True).distinct()
    named = [run_id for run_id in ids if run_id is not None]
    runs = ScrapeRun.objects.filter(run_id__in=named)
    there = arrivals(list(runs))
    complete = [run_id for run_id, arrival in there.items() if arrival.all_came]
    given_up = [run.run_id for run in runs if _is_given_up(run, now)]
    late = Q(run_id=None) | Q(run_id__in=given_up)
    due = Q(run_id__in=complete) | (late & Q(received_at__lt=now - PATIENCE))
    return parked.filter(due).order_by("order_ticks", "scrape_id")


def _is_given_up(run: ScrapeRun, now: datetime) -> bool:
    if run.closed_at:
        return True
    if run.received_at:
        return run.received_at < now - PATIENCE
    # Its scraper may have died; if it has not, what is given up is tried again when it ends.
    files = File.objects.filter(run_id=run.run_id, received_at__gte=now - PATIENCE)
    return not files.exists()


def fail_parked(ledger_id: int, problem: PoisonMessage) -> None:
    """Give a parked file up."""
    File.objects.filter(id=ledger_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.FAILED,
        reason=problem.reason,
        field=sanitized(problem.field),
        detail=sanitized(problem.detail),
        imported_at=database_now(),
    )


def supersede_parked(ledger_id: int) -> None:
    """A newer upload under its key has taken a parked file's place."""
    File.objects.filter(id=ledger_id, outcome=Outcome.DEFERRED).update(
        outcome=Outcome.SUPERSEDED, imported_at=database_now()
    )
