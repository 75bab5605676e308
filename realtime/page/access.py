"""Access control and security headers of the page.

Who may look: active staff, and who has the permission `realtime.look` or `realtime.act`. Who may
act: who has `realtime.act`, as superusers have.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, OperationalError, ProgrammingError, transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from realtime import roles
from realtime.backends.postgres.interruptions import is_away, was_cancelled
from realtime.monitoring.verdict.finding import Finding, Kind
from realtime.page import bodies, services

View = Callable[..., HttpResponseBase]

logger = logging.getLogger(__name__)

# PostgreSQL text cannot hold NUL; its bigint keys end below 2**63.
_NEVER_TEXT, _MORE_THAN_KEYS = "\0", 1 << 63


def may_look(user: Any) -> bool:
    """Whether this user may see the page."""
    return _is_staff(user) or _has(user, roles.LOOK) or _has(user, roles.ACT)


def may_act(user: Any) -> bool:
    """Whether this user may change something. Until a migration of the site has made the roles, all
    staff may, as before there were any."""
    return _has(user, roles.ACT) or (_is_staff(user) and not roles.exist())


def _is_staff(user: Any) -> bool:
    # A site's own kind of user need not know of staff, nor of permissions.
    return bool(user.is_active and getattr(user, "is_staff", False))


def _has(user: Any, permission: str) -> bool:
    has_perm = getattr(user, "has_perm", None)
    return bool(has_perm and has_perm(permission))


def actors_only(view: View) -> View:
    """Like `operators_only`, for views that change something: let only those reach `view` who may
    act. Others get 403, and are told how to be allowed to."""

    @operators_only
    @wraps(view)
    def checked(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        if not may_act(request.user):
            return render(request, "realtime/only_look.html", status=403)
        return view(request, **arguments)

    return checked


def operators_only(view: View) -> View:
    """Let only those who may look reach `view`: others are redirected to log in, or get 403.

    Answers 503 when the database cannot be reached, or took too long, and where a page needs a
    table or column that a missing migration makes: with what the verdict says of it. Pages are
    never cached, and their content security policy allows only the page's own scripts and styles:
    they show scraped text. A site's ATOMIC_REQUESTS does not apply to `view`: a file's row must be
    committed before its message is sent. Bodies that `bodies` refuses are not parsed, and answered
    with a line of plain text.
    """

    @wraps(view)
    def bounded(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        return bodies.refuse(request) or guarded(request, **arguments)

    def guarded(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        if not all(map(_can_be_asked_for, arguments.values())):
            raise Http404
        try:
            return answer(request, **arguments)
        except (OperationalError, InterfaceError) as exc:
            if not (too_slow := was_cancelled(exc)) and not is_away(exc):
                raise
            # The error names hosts and roles: it goes to the log, not to the browser.
            logger.warning("page without a database", extra={"action": "away", "cause": exc})
            return _unavailable(request, too_slow=too_slow)
        except ProgrammingError as exc:
            missing = services.verdict().first(Kind.MIGRATIONS)
            if missing is None:
                raise
            logger.warning("page without its tables", extra={"action": "away", "cause": exc})
            return _unavailable(request, missing)

    @csrf_protect
    def answer(request: HttpRequest, **arguments: object) -> HttpResponseBase:
        if not request.user.is_authenticated:
            # A POST cannot be repeated after the login.
            safe = request.method in ("GET", "HEAD")
            return redirect_to_login(
                request.get_full_path() if safe else reverse("realtime:overview")
            )
        if not may_look(request.user):
            return guard(render(request, "realtime/forbidden.html", status=403))
        return guard(view(request, **arguments))

    # Exempt from the site's CsrfViewMiddleware only, which would parse the body before `bounded`
    # sees it; the same check is made by `answer`.
    guarded_view: View = transaction.non_atomic_requests(csrf_exempt(bounded))
    return guarded_view


def _can_be_asked_for(value: object) -> bool:
    if isinstance(value, int):
        return value < _MORE_THAN_KEYS
    return _NEVER_TEXT not in str(value)


def _unavailable(
    request: HttpRequest, finding: Finding | None = None, too_slow: bool = False
) -> HttpResponseBase:
    # The user and the pending messages live in the database too.
    context = {
        "user": None,
        "messages": (),
        "finding": finding,
        "too_slow": too_slow,
        "verdict": None if finding or too_slow else services.database_away(),
        "root": reverse("realtime:overview"),
    }
    return guard(render(request, "realtime/unavailable.html", context, status=503))


def guard(response: HttpResponseBase) -> HttpResponseBase:
    """The response, never to be cached, and allowed the page's own scripts and styles only."""
    place = urlsplit(static("realtime/page.css"))
    own = f"{place.scheme}://{place.netloc}" if place.netloc else "'self'"
    response["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {own}; script-src {own}; connect-src 'self';"
        " img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    add_never_cache_headers(response)
    return response
