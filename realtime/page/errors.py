"""What the stand-alone site says instead of a page: in the frame of one, with a way back.

A site that the page is mounted in has its own.
"""

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string

from realtime.page.access import guard
from realtime.page.known import NoSuchJurisdiction

_TEMPLATE = "realtime/error.html"


def not_found(request: HttpRequest, exception: Http404) -> HttpResponseBase:
    """404: nothing has this address, or nothing has it any more."""
    why = str(exception) if isinstance(exception, NoSuchJurisdiction) else ""
    said = {
        "title": "Not found",
        "why": why or "Nothing has this address. What was here may have been pruned.",
    }
    return guard(render(request, _TEMPLATE, said, status=404))


def forbidden(request: HttpRequest, exception: PermissionDenied) -> HttpResponseBase:
    """403: the user lacks a permission of the admin."""
    said = {
        "title": "Not allowed",
        "why": "Your user lacks the permission for this. Nothing was done.",
    }
    return guard(render(request, _TEMPLATE, said, status=403))


def form_expired(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """403: a form without the token of the login under which it was opened."""
    said = {
        "title": "The form is out of date",
        "why": "It was opened before you last logged in or out, or by another site. Nothing was"
        " done. Go back, load that page again, and send it anew.",
    }
    return guard(render(request, _TEMPLATE, said, status=403))


def bad_request(request: HttpRequest, exception: SuspiciousOperation) -> HttpResponseBase:
    """400: a request that no browser makes of itself."""
    return _without_user("Bad request", "This request cannot be answered as it is.", 400)


def failed(request: HttpRequest) -> HttpResponseBase:
    """500: a mistake of ours, or of the database's; the log has it."""
    return _without_user(
        "An error of this page",
        "The page could not be made. The log has the cause. Imports go on without it.",
        500,
    )


def _without_user(title: str, why: str, status: int) -> HttpResponseBase:
    # Who asks is in the database, which may be what is wrong, and a host may be no host of ours.
    text = render_to_string(_TEMPLATE, {"title": title, "why": why})
    return guard(HttpResponse(text, status=status))
