"""Scrape runs by their ids, or the beginnings of these."""

from realtime.domain.errors import ConfigurationError
from realtime.models import ScrapeRun
from realtime.monitoring.search.terms import SHORTEST_ID, Terms, id_range

# Runs that are named when several begin alike.
_NAMED = 5


def beginning(prefix: str, limit: int) -> list[ScrapeRun]:
    """The runs whose ids begin so (as `Terms.id_prefix` has it), newest first."""
    first, last = id_range(prefix)
    runs = ScrapeRun.objects.filter(run_id__gte=first, run_id__lte=last)
    return list(runs.order_by("-started_at")[:limit])


def the_run(text: str, option: str = "--run") -> ScrapeRun:
    """The run with this id, or the only one whose id begins so, with at least 8 digits.

    Raises ConfigurationError, which names the option, when there is none or are several.
    """
    prefix = Terms.of(text).id_prefix if "/" not in text else ""
    if not prefix:
        raise ConfigurationError(
            f"{option} {text!r} is not the id of a run, nor its first {SHORTEST_ID} or more digits"
        )
    found = beginning(prefix, _NAMED + 1)
    if not found:
        raise ConfigurationError(f"{option} {text}: the ledger knows no such run")
    if len(found) > 1:
        raise ConfigurationError(f"{option} {text} is not unique: {_listed(found)}")
    return found[0]


def _listed(runs: list[ScrapeRun]) -> str:
    told = [
        f"{run.run_id} ({run.jurisdiction_name or run.jurisdiction_id},"
        f" {run.started_at:%Y-%m-%d %H:%M})"
        for run in runs[:_NAMED]
    ]
    return ", ".join([*told, *(["…"] if len(runs) > _NAMED else [])])
