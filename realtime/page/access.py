"""Access control and security headers of the page."""

import logging
from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from realtime.page import bodies

View = Callable[..., HttpResponse]

logger = logging.getLogger(__name__)

# PostgreSQL text cannot hold NUL; its bigint keys end below 2**63.
_NEVER_TEXT, _MORE_THAN_KEYS = "\0", 1 << 63


def operators_only(view: View) -> View:
    """Let only active staff reach `view`: others are redirected to log in, or get 403.

    Answers 503 when the database cannot be reached. Pages are never cached, and their content
    security policy allows only the page's own scripts and styles: they show scraped text. A site's
    ATOMIC_REQUESTS does not apply to `view`: a file's row must be committed before its message is
    sent. Bodies that `bodies` refuses are not parsed, and answered with a line of plain text.
    """

    @wraps(view)
    def bounded(request: HttpRequest, **arguments: object) -> HttpResponse:
        return bodies.refuse(request) or guarded(request, **arguments)

    def guarded(request: HttpRequest, **arguments: object) -> HttpResponse:
        if not all(map(_can_be_asked_for, arguments.values())):
            raise Http404
        try:
            return answer(request, **arguments)
        except (OperationalError, InterfaceError) as exc:
            # The error names hosts and roles: it goes to the log, not to the browser.
            logger.warning("page without a database", extra={"action": "away", "cause": exc})
            # The user and the pending messages live in the database too.
            context = {"user": None, "messages": ()}
            return _guard(render(request, "realtime/unavailable.html", context, status=503))

    @csrf_protect
    def answer(request: HttpRequest, **arguments: object) -> HttpResponse:
        if not request.user.is_authenticated:
            # A POST cannot be repeated after the login.
            safe = request.method in ("GET", "HEAD")
            return redirect_to_login(
                request.get_full_path() if safe else reverse("realtime:overview")
            )
        # A site's own kind of user need not know of staff.
        if not (request.user.is_active and getattr(request.user, "is_staff", False)):
            return _guard(render(request, "realtime/forbidden.html", status=403))
        return _guard(view(request, **arguments))

    # Exempt from the site's CsrfViewMiddleware only, which would parse the body before `bounded`
    # sees it; the same check is made by `answer`.
    guarded_view: View = transaction.non_atomic_requests(csrf_exempt(bounded))
    return guarded_view


def _can_be_asked_for(value: object) -> bool:
    if isinstance(value, int):
        return value < _MORE_THAN_KEYS
    return _NEVER_TEXT not in str(value)


def _guard(response: HttpResponse) -> HttpResponse:
    place = urlsplit(static("realtime/page.css"))
    own = f"{place.scheme}://{place.netloc}" if place.netloc else "'self'"
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {own}; script-src {own}; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    add_never_cache_headers(response)
    return response
