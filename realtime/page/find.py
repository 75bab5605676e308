"""The page of a search: what the box at the top of every page finds."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from realtime.ledger.files import database_now
from realtime.monitoring.labels import labels
from realtime.monitoring.search.find import AT_MOST, find
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import links, services
from realtime.page.access import operators_only


@operators_only
def show(request: HttpRequest) -> HttpResponse:
    """List what `?q=` finds, in groups; go to the page of what it names, if that is one thing."""
    text = request.GET.get("q", "")
    with read_only_transaction():
        now, found = database_now(), find(text, services.config().bucket)
        called = labels(found.files)
    if found.the_one is not None:
        return redirect(links.page_of(found.the_one))
    return render(
        request,
        "realtime/find.html",
        {"now": now, "q": text.strip(), "found": found, "labels": called, "at_most": AT_MOST},
    )
