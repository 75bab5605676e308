"""Who may see the page, and what a browser may do with it."""

from collections.abc import Callable
from functools import wraps
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

View = Callable[..., HttpResponse]


def operators_only(view: View) -> View:
    """Only active members of staff reach `view`; others are sent to log in, or get a 403.

    When the database is away they are told so, by a 503. Its answers are never cached, and no
    script or style but the page's own runs in them: they show what strangers have written.
    """

    @wraps(view)
    def guarded(request: HttpRequest, **arguments: object) -> HttpResponse:
        try:
            return answer(request, **arguments)
        except OperationalError as exc:
            # Whoever it is, and what was said to them, is in the database too.
            context = {"problem": str(exc), "user": None, "messages": ()}
            return _guard(render(request, "realtime/unavailable.html", context, status=503))

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

    return guarded


def _guard(response: HttpResponse) -> HttpResponse:
    place = urlsplit(static("realtime/page.css"))
    own = f"{place.scheme}://{place.netloc}" if place.netloc else "'self'"
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {own}; script-src {own}; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    add_never_cache_headers(response)
    return response
