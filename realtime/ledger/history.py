"""What the ledger and the current batch say was applied to a jurisdiction's rows."""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Exists, Model, OuterRef
from openstates.data.models import Bill, VoteEvent

from realtime.domain.results import Claim, FetchedFile, NamedAction
from realtime.domain.scraped_object import ScrapeOrder, ticks_of
from realtime.models import APPLIED, File, Outcome, ScrapeRun

# Types that other files refer to by scrape id.
_MODELS: Mapping[str, type[Model]] = {"bill": Bill, "vote_event": VoteEvent}

_NEWEST = """
    SELECT DISTINCT ON (row_id) row_id, order_ticks, scrape_id, order_stamp FROM realtime_file
    WHERE row_id = ANY(%s) AND row_id <> '' AND outcome = ANY(%s)
    ORDER BY row_id, order_ticks DESC, scrape_id DESC, order_stamp DESC
"""
_CLAIMS = """
    SELECT row_id, run_id, COALESCE(identity->>'content', ''),
           ARRAY(SELECT jsonb_array_elements_text(identity->'keys')),
           order_ticks, scrape_id, order_stamp
    FROM realtime_file
    WHERE row_id = ANY(%s) AND row_id <> '' AND run_id = ANY(%s) AND outcome = ANY(%s)
      AND identity IS NOT NULL
"""
_AUTHORITATIVE = """
    SELECT DISTINCT ON (file.bill_id) file.bill_id, run.run_id, run.started_at
    FROM realtime_file AS file JOIN realtime_run AS run USING (run_id)
    WHERE file.bill_id = ANY(%(bills)s) AND file.bill_id <> '' AND file.row_id <> ''
      AND (run.finalized_at IS NOT NULL OR run.run_id = %(finalizing)s)
    ORDER BY file.bill_id, run.started_at DESC, run.run_id DESC
"""
_NAMED = """
    SELECT known.vote_event_id, known.bill_id, known.action, known.date, known.organization_id,
           known.order_ticks, known.scrape_id, known.order_stamp
    FROM realtime_remembered_action AS known
    WHERE known.bill_id = ANY(%(bills)s) AND known.bill_id <> ALL(%(authoritative)s::text[])
      AND NOT EXISTS (
        SELECT 1 FROM realtime_file AS file
        WHERE file.row_id = known.vote_event_id AND file.row_id <> ''
          AND file.identity IS NOT NULL)
    UNION ALL
    SELECT file.row_id, file.bill_id, file.bill_action, file.identity->>'date',
           file.identity->>'organization_id', file.order_ticks, file.scrape_id, file.order_stamp
    FROM realtime_file AS file
    LEFT JOIN unnest(%(authoritative)s::text[], %(runs)s::uuid[], %(began)s::bigint[])
      AS authoritative (bill_id, run_id, began) ON authoritative.bill_id = file.bill_id
    WHERE file.bill_id = ANY(%(bills)s) AND file.bill_id <> '' AND file.row_id <> ''
      AND file.outcome = ANY(%(outcomes)s) AND file.identity IS NOT NULL
      AND (authoritative.bill_id IS NULL OR file.run_id = authoritative.run_id
           OR file.order_ticks >= authoritative.began)
    ORDER BY order_ticks, scrape_id, order_stamp
"""


class Authoritative(NamedTuple):
    """The run that decides about a bill's vote events, and its start in ticks."""

    run_id: UUID
    began: int


class LedgerHistory:
    """What was applied to one jurisdiction's rows, the current batch included.

    `preload` and `preload_newest` look up a batch's ids in one query. Finalized runs are read once,
    on first use.
    """

    def __init__(self, jurisdiction_id: str) -> None:
        self._jurisdiction_id = jurisdiction_id
        self._newest: dict[str, ScrapeOrder | None] = {}
        self._newest_run: dict[str, UUID | None] = {}
        self._rows: dict[tuple[str, str], str | None] = {}
        self._covered: dict[str, list[int]] = {}
        self._claimed: dict[tuple[str, UUID], Claim] = {}

    def preload(self, object_type: str, scrape_ids: Collection[str]) -> None:
        # Rows may have been deleted without the ledger, so check that they exist.
        existing = _MODELS[object_type]._default_manager.filter(id=OuterRef("core_id"))
        rows = dict(
            File.objects.filter(
                Exists(existing),
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
            self._read_newest(core_id)
        return self._newest[core_id]

    def newest_is_of(self, core_id: str, run_id: UUID | None) -> bool:
        if core_id not in self._newest_run:
            self._read_newest(core_id)
        return run_id is not None and self._newest_run[core_id] == run_id

    def is_final(self, run_id: UUID) -> bool:
        return run_id in self._finals

    def _read_newest(self, core_id: str) -> None:
        last = (
            File.objects.filter(core_id=core_id, outcome__in=APPLIED)
            .order_by("-order_ticks", "-scrape_id", "-order_stamp")
            .values_list("run_id", "order_ticks", "scrape_id", "order_stamp")
            .first()
        )
        self._newest_run[core_id] = last[0] if last else None
        self._newest[core_id] = ScrapeOrder(*last[1:]) if last else None

    def preload_newest(self, core_ids: Collection[str]) -> None:
        unknown = [core_id for core_id in core_ids if core_id not in self._newest]
        if not unknown:
            return
        self._newest.update(dict.fromkeys(unknown))
        with connection.cursor() as cursor:
            cursor.execute(_NEWEST, [unknown, [outcome.value for outcome in APPLIED]])
            for core_id, *order in cursor.fetchall():
                self._newest[core_id] = ScrapeOrder(*order)

    def sole(self, core_id: str, order: ScrapeOrder) -> bool:
        files = File.objects.filter(core_id=core_id).exclude(core_id="")
        known = files.values_list("order_ticks", "scrape_id", "order_stamp").distinct()[:2]
        return [ScrapeOrder(*one) for one in known] == [order]

    def claims(
        self, core_ids: Collection[str], run_ids: Collection[UUID]
    ) -> dict[tuple[str, UUID], Claim | None]:
        if not core_ids or not run_ids:
            return {}
        found: dict[tuple[str, UUID], Claim | None] = {
            (core_id, run_id): None for core_id in core_ids for run_id in run_ids
        }
        outcomes = [outcome.value for outcome in (*APPLIED, Outcome.SUPERSEDED)]
        with connection.cursor() as cursor:
            cursor.execute(_CLAIMS, [list(core_ids), list(run_ids), outcomes])
            for core_id, run_id, content, keys, *order in cursor.fetchall():
                claim = Claim.of(content, keys, ScrapeOrder(*order))
                before = found[core_id, run_id]
                found[core_id, run_id] = claim | before if before else claim
        found.update((one, self._claimed[one]) for one in found.keys() & self._claimed.keys())
        return found

    def claim(self, core_id: str, run_id: UUID) -> Claim | None:
        return self.claims([core_id], [run_id])[core_id, run_id]

    def claimed(self, core_id: str, run_id: UUID, claim: Claim) -> None:
        self._claimed[core_id, run_id] = claim

    def newest_naming(self, core_id: str) -> dict[str, ScrapeOrder]:
        files = File.objects.filter(core_id=core_id, outcome__in=(*APPLIED, Outcome.SUPERSEDED))
        columns = "outcome", "identity", "order_ticks", "scrape_id", "order_stamp"
        ordered = files.exclude(core_id="").order_by(*columns[2:]).values_list(*columns)
        found = {}
        for outcome, identity, *order in ordered:
            # A superseded file has none if it brought nothing.
            unknown = [""] if outcome in APPLIED else []
            for key in identity["keys"] if identity else unknown:
                found[key] = ScrapeOrder(*order)
        return found

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
        # A closed run deletes nothing, so an older file cannot undo it.
        runs = ScrapeRun.objects.filter(
            jurisdiction_id=self._jurisdiction_id, finalized_at__isnull=False, closed_at=None
        )
        return {run: ticks_of(began) for run, began in runs.values_list("run_id", "started_at")}

    def applied(self, file: FetchedFile, core_id: str) -> None:
        self._newest[core_id] = file.content.order
        self._newest_run[core_id] = file.delivery.run_id
        self.identified(file, core_id)

    def identified(self, file: FetchedFile, core_id: str) -> None:
        self._rows[file.content.object_type, file.content.scrape_id] = core_id


def authoritative_runs(
    bill_ids: Collection[str], finalizing: UUID | None = None
) -> dict[str, Authoritative]:
    """For each of these bills, the newest finalized run with a vote event of it, if any.

    `finalizing` counts as finalized.
    """
    with connection.cursor() as cursor:
        cursor.execute(_AUTHORITATIVE, {"bills": list(bill_ids), "finalizing": finalizing})
        return {bill: Authoritative(run, ticks_of(began)) for bill, run, began in cursor.fetchall()}


def named_actions(
    bill_ids: Collection[str], authoritative: Mapping[str, Authoritative]
) -> list[NamedAction]:
    """The actions that vote event files of these bills name, in scrape order, with those
    remembered of vote events without a file: before all others where core imported them.

    For a bill with an `authoritative` run, only the files of that run and those scraped since its
    start.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NAMED, {"bills": list(bill_ids), **naming(authoritative)})
        return [NamedAction(*row[:5]) for row in cursor.fetchall()]


def naming(authoritative: Mapping[str, Authoritative]) -> dict[str, list[Any]]:
    """Parameters that say which files name the actions of vote events: their outcomes, and what
    is authoritative for which bill."""
    return {
        "outcomes": [outcome.value for outcome in (*APPLIED, Outcome.SUPERSEDED)],
        "authoritative": list(authoritative),
        "runs": [run.run_id for run in authoritative.values()],
        "began": [run.began for run in authoritative.values()],
    }
