"""What the ledger says was applied to a jurisdiction's rows, with the batch under way on top."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Exists, Model, OuterRef
from openstates.data.models import Bill, VoteEvent

from realtime.domain.results import FetchedFile, NamedAction
from realtime.domain.scraped_object import ScrapeOrder, ticks_of
from realtime.models import APPLIED, File, Outcome, ScrapeRun

# What other files name by its scrape id.
_MODELS: Mapping[str, type[Model]] = {"bill": Bill, "vote_event": VoteEvent}

_NEWEST = """
    SELECT DISTINCT ON (row_id) row_id, order_ticks, scrape_id, order_stamp FROM realtime_file
    WHERE row_id = ANY(%s) AND row_id <> '' AND outcome = ANY(%s)
    ORDER BY row_id, order_ticks DESC, scrape_id DESC, order_stamp DESC
"""
_AUTHORITATIVE = """
    SELECT DISTINCT ON (file.bill_id) file.bill_id, run.run_id, run.started_at
    FROM realtime_file AS file JOIN realtime_run AS run USING (run_id)
    WHERE file.bill_id = ANY(%(bills)s) AND file.bill_id <> '' AND file.row_id <> ''
      AND (run.finalized_at IS NOT NULL OR run.run_id = %(finalizing)s)
    ORDER BY file.bill_id, run.started_at DESC, run.run_id DESC
"""
_NAMED = """
    SELECT file.row_id, file.bill_id, file.bill_action, file.identity->>'date',
           file.identity->>'organization_id'
    FROM realtime_file AS file
    LEFT JOIN unnest(%(settled)s::text[], %(runs)s::uuid[], %(began)s::bigint[])
      AS settled (bill_id, run_id, began) ON settled.bill_id = file.bill_id
    WHERE file.bill_id = ANY(%(bills)s) AND file.bill_id <> '' AND file.row_id <> ''
      AND file.outcome = ANY(%(outcomes)s) AND file.identity IS NOT NULL
      AND (settled.bill_id IS NULL OR file.run_id = settled.run_id
           OR file.order_ticks >= settled.began)
    ORDER BY file.order_ticks, file.scrape_id, file.order_stamp
"""


class Authoritative(NamedTuple):
    """The run whose vote events of a bill count, and its start in the ticks of ScrapeOrder."""

    run_id: UUID
    began: int


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
        # The ledger does not hear of rows that others delete.
        there = _MODELS[object_type]._default_manager.filter(id=OuterRef("core_id"))
        rows = dict(
            File.objects.filter(
                Exists(there),
                jurisdiction_id=self._jurisdiction_id,
                object_type=object_type,
                scrape_id__in=scrape_ids,
            )
            .exclude(core_id="")
            .order_by("tried_at")
            .values_list("scrape_id", "core_id")
        )
        for scrape_id in scrape_ids:
            self._rows.setdefault((object_type, scrape_id), rows.get(scrape_id))

    def newest(self, core_id: str) -> ScrapeOrder | None:
        if core_id not in self._newest:
            last = (
                File.objects.filter(core_id=core_id, outcome__in=APPLIED)
                .order_by("-order_ticks", "-scrape_id", "-order_stamp")
                .values_list("order_ticks", "scrape_id", "order_stamp")
                .first()
            )
            self._newest[core_id] = ScrapeOrder(*last) if last else None
        return self._newest[core_id]

    def preload_newest(self, core_ids: Collection[str]) -> None:
        unknown = [core_id for core_id in core_ids if core_id not in self._newest]
        if not unknown:
            return
        self._newest.update(dict.fromkeys(unknown))
        with connection.cursor() as cursor:
            cursor.execute(_NEWEST, [unknown, [outcome.value for outcome in APPLIED]])
            for core_id, *order in cursor.fetchall():
                self._newest[core_id] = ScrapeOrder(*order)

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
                .exclude(core_id="")
                .exclude(bill_id="")
                .values_list("run_id", flat=True)
            )
            self._covered[bill_id] = [self._finals[run] for run in set(runs) if run]
        return any(began > order.ticks for began in self._covered[bill_id])

    def events_authoritative(self, order: ScrapeOrder) -> bool:
        return any(
            File.objects.filter(run_id=run, object_type="event").exclude(core_id="").exists()
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

    def applied(self, file: FetchedFile, core_id: str) -> None:
        self._newest[core_id] = file.content.order
        self.identified(file, core_id)

    def identified(self, file: FetchedFile, core_id: str) -> None:
        self._rows[file.content.object_type, file.content.scrape_id] = core_id


def authoritative_runs(
    bill_ids: Collection[str], finalizing: UUID | None = None
) -> dict[str, Authoritative]:
    """The newest finalized run that scraped vote events of each of these bills, if any has;
    `finalizing` counts as finalized."""
    with connection.cursor() as cursor:
        cursor.execute(_AUTHORITATIVE, {"bills": list(bill_ids), "finalizing": finalizing})
        return {bill: Authoritative(run, ticks_of(began)) for bill, run, began in cursor.fetchall()}


def named_actions(
    bill_ids: Collection[str], authoritative: Mapping[str, Authoritative]
) -> list[NamedAction]:
    """The actions that the vote events of these bills name, file by file in scrape order.

    Of a bill with an `authoritative` run, only as that run's files and those scraped after its
    start say.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _NAMED,
            {
                "bills": list(bill_ids),
                "outcomes": [outcome.value for outcome in (*APPLIED, Outcome.SUPERSEDED)],
                "settled": list(authoritative),
                "runs": [one.run_id for one in authoritative.values()],
                "began": [one.began for one in authoritative.values()],
            },
        )
        return [NamedAction(*row) for row in cursor.fetchall()]
