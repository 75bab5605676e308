"""Writes core's record of a scrape run: RunPlan and its children."""

from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min
from django.utils.dateparse import parse_datetime
from openstates.data.models import ScrapeObjects, ScrapeReport

from realtime.models import APPLIED, File, Outcome, ScrapeRun

# Longer values are cut to core's columns: a report must not make the finalization fail.
_NAME = ScrapeReport._meta.get_field("scraper").max_length
_ARGS = ScrapeReport._meta.get_field("args").max_length
_TYPE = ScrapeObjects._meta.get_field("object_type").max_length

_CORE_OUTCOMES = {
    Outcome.INSERTED: "insert",
    Outcome.UPDATED: "update",
    Outcome.UNCHANGED: "noop",
}


def save(run: ScrapeRun) -> None:
    """Write the report of a run with core's own `save_report`.

    Runs in the caller's transaction. Inserted, updated and unchanged objects are counted from the
    ledger: as they were first imported, not as replayed.
    """
    # Imported here because loading it is slow.
    from openstates.cli.reports import save_report

    save_report(
        {
            "success": True,
            "start": run.started_at,
            "plan": {
                "scrapers": {name[:_NAME]: _args(s["args"]) for name, s in run.scrapers.items()}
            },
            "scrape": {name[:_NAME]: _scrape(scraper) for name, scraper in run.scrapers.items()},
            "import": _imports(run),
        },
        run.jurisdiction_id,
    )


def _args(text: str) -> dict[str, str]:
    # save_report joins keys and values with "=" again, so any text survives.
    key, _, value = text[:_ARGS].partition("=")
    return {key: value} if key else {}


def _scrape(scraper: dict[str, Any]) -> dict[str, Any]:
    return {
        "start": _time(scraper["started_at"]),
        "end": _time(scraper["finished_at"]),
        "objects": {name[:_TYPE]: count for name, count in scraper["objects"].items()},
    }


def _time(text: str) -> datetime:
    time = parse_datetime(text)
    assert time is not None
    return time


def _imports(run: ScrapeRun) -> dict[str, dict[str, Any]]:
    files = File.objects.filter(run_id=run.run_id, outcome__in=APPLIED)
    report: dict[str, dict[str, Any]] = {}
    # Aggregates among the arguments of values_list would be of each file by itself.
    by_outcome = files.order_by().values_list("object_type", "outcome")
    for object_type, outcome, count, start, end in by_outcome.annotate(
        Count("id"), Min("imported_at"), Max("imported_at")
    ):
        changes = report.setdefault(
            object_type, {"insert": 0, "update": 0, "noop": 0, "start": start, "end": end}
        )
        changes[_CORE_OUTCOMES[Outcome(outcome)]] = count
        changes["start"] = min(changes["start"], start)
        changes["end"] = max(changes["end"], end)
    return report
