"""What machines read: whether all is well, the status as JSON, and series for Prometheus."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any, cast

from django.core.cache import cache
from django.db import InterfaceError, OperationalError, ProgrammingError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.http.response import HttpResponseBase
from django.utils.cache import add_never_cache_headers
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from realtime.backends.postgres.url import is_local
from realtime.monitoring import prometheus
from realtime.monitoring.status.as_json import as_dict
from realtime.monitoring.status.read_only import read_only_transaction
from realtime.monitoring.status.snapshot import WINDOW, Status, status
from realtime.monitoring.verdict.finding import Kind, Level, Verdict
from realtime.page import services

logger = logging.getLogger(__name__)

_HOUR = WINDOW / 24
_BEARER = "Bearer "
# Seconds for which an answer to strangers holds: they cannot keep the database busy.
_SHOWN = 5
# By these a proxy says that it asks for somebody else.
_FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO")

View = Callable[[HttpRequest], HttpResponse]


def _for_machines(view: View) -> View:
    """A view that is only read, never cached, and in no transaction of the site's."""

    @wraps(view)
    def answered(request: HttpRequest) -> HttpResponse:
        response = view(request)
        add_never_cache_headers(response)
        response["X-Content-Type-Options"] = "nosniff"
        return response

    only_read: View = transaction.non_atomic_requests(require_safe(answered))
    return only_read


def _with_token(view: View) -> View:
    """A view for the holders of REALTIME_STATUS_TOKEN, and for members of staff. Others get 401."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        try:
            if _has_token(request) or _is_staff(request):
                return view(request)
        except (OperationalError, InterfaceError) as exc:
            # The error names hosts and roles: it goes to the log, not to the network.
            logger.warning("page without a database", extra={"action": "away", "cause": exc})
            return HttpResponse("the database cannot be reached\n", "text/plain", 503)
        response = HttpResponse("a token is needed\n", "text/plain", 401)
        response["WWW-Authenticate"] = "Bearer"
        return response

    return guarded


@_for_machines
def healthz(request: HttpRequest) -> HttpResponse:
    """`ok` or `look` with 200, `bad` with 503, in one word: the level of the verdict, at most five
    seconds old. Anybody may ask."""
    answer = cache.get_or_set("realtime-health", lambda: services.verdict().level, _SHOWN)
    level = cast(Level, answer)
    code = 503 if level == Level.BAD else 200
    return HttpResponse(f"{level.word}\n", "text/plain; charset=utf-8", code)


class OwnHealth:
    """Middleware by which the page's own host may ask for /healthz under its own names, whatever
    ALLOWED_HOSTS says, and without HTTPS. Before the middleware that checks these.

    What a proxy of the host passes on is somebody else's, and is checked like all other requests.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == "/healthz" and _is_own(request.META):
            return healthz(request)
        return self._get_response(request)


def _is_own(meta: Mapping[str, Any]) -> bool:
    host, _ = split_domain_port(meta.get("HTTP_HOST", ""))
    ends = (host, meta.get("REMOTE_ADDR", ""))
    return all(end and is_local(end) for end in ends) and not any(one in meta for one in _FORWARDED)


@_for_machines
@_with_token
def status_json(request: HttpRequest) -> HttpResponse:
    """What `status_realtime --json` prints; files beside a queue are as of the last minutes. 503,
    with the verdict alone, when the ledger cannot be read."""
    verdict, found = _judged_status()
    body = json.dumps(as_dict(found, verdict))
    return HttpResponse(body, "application/json", 200 if found else 503)


@_for_machines
@_with_token
def metrics(request: HttpRequest) -> HttpResponse:
    """The same in Prometheus' text format, over the last hour. Where the ledger cannot be read only
    the verdict, with 200: that it is so must be told."""
    verdict, found = _judged_status(_HOUR)
    return HttpResponse(prometheus.text(verdict, found), prometheus.CONTENT_TYPE)


def _judged_status(window: timedelta = WINDOW) -> tuple[Verdict, Status | None]:
    """The verdict and, unless it says that the ledger cannot be read, the status."""
    verdict = services.verdict()
    if not verdict.is_readable:
        return verdict, None
    try:
        queue, root, slots = services.queue_status(), services.root(), services.config().max_workers
        with read_only_transaction():
            return verdict, status(queue, slots, window=window, waiting=root)
    except (OperationalError, InterfaceError):
        return verdict, None
    except ProgrammingError:
        if verdict.first(Kind.MIGRATIONS) is None:
            raise
        return verdict, None


def _has_token(request: HttpRequest) -> bool:
    expected = services.config().status_token
    given = request.headers.get("Authorization", "")
    if not expected or not given.startswith(_BEARER):
        return False
    return constant_time_compare(given[len(_BEARER) :], expected)


def _is_staff(request: HttpRequest) -> bool:
    user = request.user
    return user.is_authenticated and user.is_active and bool(getattr(user, "is_staff", False))
