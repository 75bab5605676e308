"""The page of one bill: its files in scrape order, its votes, and what of it is not in."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from realtime.ledger.files import database_now
from realtime.monitoring.bill_record import AT_MOST, BillRecord, of_core_id, of_name
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.page import links, names
from realtime.page.access import operators_only


@operators_only
def show(request: HttpRequest, core_id: str) -> HttpResponse:
    """Show the bill with this id in core's table, or one that had it. 404 for an unknown id."""
    with read_only_transaction():
        record = of_core_id(core_id)
        return _page(request, record)


@operators_only
def named(request: HttpRequest) -> HttpResponse:
    """Show the bill that `?jurisdiction=` (an id), `?session=` and `?identifier=` name, which only
    files name that are not in; go to the page of the bill that core has."""
    place = [
        request.GET.get(name, "").replace("\0", "")
        for name in ("jurisdiction", "session", "identifier")
    ]
    with read_only_transaction():
        record = of_name(*place)
        if record is not None and record.row is not None:
            return redirect("realtime:bill", core_id=record.found.core_id)
        return _page(request, record)


def _page(request: HttpRequest, record: BillRecord | None) -> HttpResponse:
    if record is None:
        raise Http404("neither core nor the ledger knows this bill")
    found = record.found
    return render(
        request,
        "realtime/bill.html",
        {
            "now": database_now(),
            "bill": found,
            "record": record,
            "jurisdiction": names.name_of(found.jurisdiction_id),
            "openstates": links.on_openstates(found) if record.row else "",
            "admin": links.in_admin("bill", found.core_id) if record.row else "",
            "at_most": AT_MOST,
        },
    )
