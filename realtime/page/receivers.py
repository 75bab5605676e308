"""The page of receivers: who is told of changes, how far, and what went wrong."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from realtime.ledger import receivers
from realtime.ledger.files import database_now
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page.access import operators_only


@operators_only
def listed(request: HttpRequest) -> HttpResponse:
    """List the receivers, by name."""
    with read_only_transaction():
        found, now = receivers.progress(), database_now()
    context = {"now": now, "receivers": found, "most": receivers.AT_MOST}
    return render(request, "realtime/receivers.html", context)
