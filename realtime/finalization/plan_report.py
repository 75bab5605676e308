"""Core's own record of a run: RunPlan and its children."""

from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Min
from django.utils.dateparse import parse_datetime
from openstates.data.models import ScrapeObjects, ScrapeReport

from realtime.models import APPLIED, File, Outcome, ScrapeRun

# What core's columns hold; a record of what was done must not keep it from being done.
_NAME = ScrapeReport._meta.get_field("scraper").max_length
_ARGS = ScrapeReport._meta.get_field("args").max_length
_TYPE = ScrapeObjects._meta.get_field("object_type").max_length

_CORES_WORDS = {
    Outcome.INSERTED: "insert",
    Outcome.UPDATED: "update",
    Outcome.UNCHANGED: "noop",
}


def save(run: ScrapeRun) -> None:
    """Write what core's `save_report` writes after an import, through core itself.

    Part of the caller's transaction. What was inserted, updated and left alone is counted as the
    files of the run first came in.
    """
    # Only here, since it takes a while to import.
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
    # Core joins keys and values with "=" and spaces: whole again, whatever the values are.
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
    for object_type, outcome, count, start, end in files.values_list(
        "object_type", "outcome", Count("id"), Min("imported_at"), Max("imported_at")
    ).order_by():
        changes = report.setdefault(
            object_type, {"insert": 0, "update": 0, "noop": 0, "start": start, "end": end}
        )
        changes[_CORES_WORDS[Outcome(outcome)]] = count
        changes["start"] = min(changes["start"], start)
        changes["end"] = max(changes["end"], end)
    return report
