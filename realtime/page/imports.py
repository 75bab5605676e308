"""The pages of import runs: when each began, where, how long it took, and what came of it."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.ledger import import_runs
from realtime.ledger.files import database_now
from realtime.monitoring.status import imports
from realtime.monitoring.status.paging import cursor, row_id
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page.access import operators_only

_RUNS = 50


@operators_only
def listed(request: HttpRequest) -> HttpResponse:
    """List the import runs, those that began last first; `?older=` and `?newer=` say where the page
    begins or ends."""
    at = cursor(request.GET.get("older", ""), request.GET.get("newer", ""), row_id)
    with read_only_transaction():
        now, page = database_now(), imports.listed(at, _RUNS)
        runs = [imports.kept(run) for run in page.rows]
    context = {"now": now, "runs": runs, "page": page, "moved": at is not None, "query": ""}
    return render(request, "realtime/imports.html", context)


@operators_only
def show(request: HttpRequest, row: int) -> HttpResponse:
    """Show one import run. 404 for one that is unknown: pruned, or one of many that did nothing."""
    with read_only_transaction():
        now, found = database_now(), import_runs.newest().filter(pk=row).first()
    if found is None:
        raise Http404("no such import run is kept")
    context = {
        "now": now,
        "one": imports.kept(found),
        "run": found,
        "seconds": _most_first(found.seconds),
        "counts": _most_first(found.counts),
        "requests": _most_first(found.requests),
    }
    return render(request, "realtime/import.html", context)


def _most_first(figures: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(figures.items(), key=lambda item: (-item[1], item[0]))
