"""Which jurisdictions there are: those of core's metadata, and those that the ledger knows."""

from collections.abc import Collection

from django.http import Http404

from realtime.models import Pause, ScrapeRun
from realtime.monitoring.status import lag
from realtime.page import names


class NoSuchJurisdiction(Http404):
    """Neither core nor the ledger knows the jurisdiction that an address names."""

    def __init__(self, jurisdiction_id: str) -> None:
        super().__init__(f"No jurisdiction has the id {jurisdiction_id}.")


def in_ledger(jurisdiction_id: str, imported: Collection[str]) -> bool:
    """Whether a file, a run or a pause is of it; `imported` are those that have files."""
    return jurisdiction_id in imported or any(
        model.objects.filter(jurisdiction_id=jurisdiction_id).exists()
        for model in (ScrapeRun, Pause)
    )


def is_known(jurisdiction_id: str) -> bool:
    """Whether core's metadata has it, or the ledger. The empty id is that of no jurisdiction."""
    named = not jurisdiction_id or names.name_of(jurisdiction_id) != jurisdiction_id
    return named or in_ledger(jurisdiction_id, lag.jurisdictions())


def check(jurisdiction_id: str) -> None:
    """Raise NoSuchJurisdiction for an id that `is_known` denies."""
    if not is_known(jurisdiction_id):
        raise NoSuchJurisdiction(jurisdiction_id)
