"""What the ledger says was applied to a jurisdiction's rows, with the batch under way on top."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cached_property
from uuid import UUID

from django.db import connection
from django.db.models import Q

from realtime.batching import FetchedFile
from realtime.importers.references import NamedAction
from realtime.models import APPLIED, File, Outcome, ScrapeRun
from realtime.scraped import ScrapeOrder, ticks_of

_NEWEST = """
    SELECT DISTINCT ON (row_id) row_id, order_ticks, scrape_id, order_stamp FROM realtime_file
    WHERE row_id = ANY(%s) AND row_id <> '' AND outcome = ANY(%s)
    ORDER BY row_id, order_ticks DESC, scrape_id DESC, order_stamp DESC
"""
_ORDER = ("order_ticks", "scrape_id", "order_stamp")


class LedgerHistory:
    """The history of one jurisdiction's rows, and of the batch that is being applied.

    `preload` answers the scrape ids of a batch in one query. What is asked about finalized runs is
    as it was when it was first asked.
    """

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._newest: dict[str, ScrapeOrder | None] = {}
        self._rows: dict[tuple[str, str], str | None] = {}
        self._covered: dict[str, list[int]] = {}

    def preload(self, object_type: str, scrape_ids: Collection[str]) -> None:
        rows = dict(
            File.objects.filter(
                jurisdiction_id=self._jurisdiction_id,
                object_type=object_type,
                scrape_id__in=scrape_ids,
            )
            .exclude(row_id="")
            .values_list("scrape_id", "row_id")
        )
        for scrape_id in scrape_ids:
            self._rows.setdefault((object_type, scrape_id), rows.get(scrape_id))

    def newest(self, row_id: str) -> ScrapeOrder | None:
        if row_id not in self._newest:
            last = (
                File.objects.filter(row_id=row_id, outcome__in=APPLIED)
                .order_by("-order_ticks", "-scrape_id", "-order_stamp")
                .values_list("order_ticks", "scrape_id", "order_stamp")
                .first()
            )
            self._newest[row_id] = ScrapeOrder(*last) if last else None
        return self._newest[row_id]

    def preload_newest(self, row_ids: Collection[str]) -> None:
        unknown = [row_id for row_id in row_ids if row_id not in self._newest]
        if not unknown:
            return
        self._newest.update(dict.fromkeys(unknown))
        with connection.cursor() as cursor:
            cursor.execute(_NEWEST, [unknown, [outcome.value for outcome in APPLIED]])
            for row_id, *order in cursor.fetchall():
                self._newest[row_id] = ScrapeOrder(*order)

    def row_of(self, object_type: str, scrape_id: str) -> str | None:
        if (object_type, scrape_id) not in self._rows:
            self.preload(object_type, [scrape_id])
        return self._rows[object_type, scrape_id]

    def covered(self, bill_id: str, order: ScrapeOrder) -> bool:
        if not bill_id or not self._began_after(order):
            return False
        if bill_id not in self._covered:
            runs = (
                File.objects.filter(
                    bill_id=bill_id, object_type="vote_event", run_id__in=self._finals
                )
                .exclude(row_id="")
                .values_list("run_id", flat=True)
            )
            self._covered[bill_id] = [self._finals[run] for run in set(runs) if run]
        return any(began > order.ticks for began in self._covered[bill_id])

    def events_settled(self, order: ScrapeOrder) -> bool:
        return any(
            File.objects.filter(run_id=run, object_type="event").exclude(row_id="").exists()
            for run in self._began_after(order)
        )

    def _began_after(self, order: ScrapeOrder) -> list[UUID]:
        return [run for run, began in self._finals.items() if began > order.ticks]

    @cached_property
    def _finals(self) -> dict[UUID, int]:
        # Closed runs have deleted nothing, so that nothing older contradicts them.
        runs = ScrapeRun.objects.filter(
            jurisdiction_id=self._jurisdiction_id, finalized_at__isnull=False, closed_at=None
        )
        return {run: ticks_of(began) for run, began in runs.values_list("run_id", "started_at")}

    def applied(self, file: FetchedFile, row_id: str) -> None:
        self._newest[row_id] = file.content.order
        self.identified(file, row_id)

    def identified(self, file: FetchedFile, row_id: str) -> None:
        self._rows[file.content.object_type, file.content.scrape_id] = row_id


def settled_bills(bill_ids: Collection[str], finalizing: UUID | None = None) -> dict[str, UUID]:
    """The newest finalized run that scraped vote events of each of these bills, if any has;
    `finalizing` counts as finalized."""
    files = File.objects.filter(bill_id__in=bill_ids, object_type="vote_event").exclude(row_id="")
    by_run: dict[UUID, set[str]] = defaultdict(set)
    for run, bill in files.values_list("run_id", "bill_id").distinct():
        if run is not None:
            by_run[run].add(bill)
    final = Q(finalized_at__isnull=False) | Q(run_id=finalizing)
    runs = ScrapeRun.objects.filter(final, run_id__in=by_run).order_by("started_at", "run_id")
    return {bill: run for run in runs.values_list("run_id", flat=True) for bill in by_run[run]}


def named_actions(bill_ids: Collection[str], settled: Mapping[str, UUID]) -> list[NamedAction]:
    """The actions that the vote events of these bills name, file by file in scrape order.

    Of a bill that a run has `settled`, only as that run's files and those scraped after its start
    say.
    """
    runs = ScrapeRun.objects.filter(run_id__in=set(settled.values()))
    began = {run: ticks_of(start) for run, start in runs.values_list("run_id", "started_at")}
    files = File.objects.filter(
        bill_id__in=bill_ids, object_type="vote_event", outcome__in=[*APPLIED, Outcome.SUPERSEDED]
    ).exclude(row_id="")
    return [
        NamedAction(row, bill, action, identity["date"], identity["organization_id"])
        for row, bill, action, identity, ticks, run in files.order_by(*_ORDER).values_list(
            "row_id", "bill_id", "bill_action", "identity", "order_ticks", "run_id"
        )
        if identity
        and (bill not in settled or run == settled[bill] or ticks >= began[settled[bill]])
    ]
