"""How much a request may send to the page: its forms are small, and nobody uploads a file.

Django parses a body to find the CSRF token in it, so before it knows who sent it, and a body of
very many parts takes seconds. What is refused here has not been parsed, and mostly not been read.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponse, HttpResponseBase

# The longest note takes 6 KB; a user with every permission of the admin, some 10 KB.
MOST_BYTES = 64 * 1024

# How much is read of a body that was refused, since a client that still sends when the connection
# closes may never see why; and how much of that at once.
_STILL_READ, _PIECE = 8 * 1024 * 1024, 64 * 1024

_PLAIN = "text/plain; charset=utf-8"


def refuse(request: HttpRequest) -> HttpResponse | None:
    """The answer to a request whose body must not be parsed; None when it may be."""
    found = _problem(request)
    if found is None:
        return None
    status, sentence = found
    return HttpResponse(f"{sentence}\n", status=status, content_type=_PLAIN)


class BoundedBodies:
    """Middleware that refuses such bodies on every path of a site. The first of MIDDLEWARE.

    The answer is sent before the body is read. It has no length, so that `runserver` closes the
    connection after it: an unread body is never taken for the next request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: WSGIRequest) -> HttpResponseBase:
        refused = refuse(request)
        if refused is None:
            return self._get_response(request)
        return StreamingHttpResponse(
            _answer_first(request, refused), status=refused.status_code, content_type=_PLAIN
        )


def _problem(request: HttpRequest) -> tuple[int, str] | None:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if "HTTP_TRANSFER_ENCODING" in request.META:
        return 411, "Send the form with a Content-Length: a body of unknown length is not read."
    if not (length.isascii() and length.isdigit()):
        return 400, "The Content-Length is not a number."
    if len(length) > len(str(MOST_BYTES)) or int(length) > MOST_BYTES:
        return 413, f"The form is too large: no more than {MOST_BYTES:,} bytes are read."
    if (request.content_type or "").lower().startswith("multipart/"):
        return 415, "Send the form as application/x-www-form-urlencoded: no files are taken."
    return None


def _answer_first(request: WSGIRequest, refused: HttpResponse) -> Iterator[bytes]:
    yield refused.content
    stream: Any = request.environ["wsgi.input"]
    # Of a length that is no number there is no telling what to read.
    if refused.status_code != 400:
        left = _STILL_READ
        # Whoever went away while sending needs no answer.
        with suppress(OSError):
            while left > 0 and (piece := request.read(min(_PIECE, left))):
                left -= len(piece)
    # runserver reads what is left at once, all of it into memory, and to the end of the connection
    # when the length is -1.
    if hasattr(stream, "remaining"):
        stream.remaining = 0
