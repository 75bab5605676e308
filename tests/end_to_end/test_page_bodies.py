"""Bodies that the page does not take: refused from their headers, before anything parses them.

Each test that proves it sends the headers alone. Whoever would parse the body waits for it.
"""

import http.client
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests.page_site import OPERATOR, PASSWORD, Site, in_process
from tests.support import ROOT

FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data; boundary=B"
# With any such cookie Django looks for the form's own token, and parses the body.
COOKIE = {"Cookie": f"csrftoken={'a' * 64}"}
PATHS = ["/login/", "/admin/login/", "/file/1/discard/", "/nothing-here/"]
BODIES = {
    "large, of parts": ({"Content-Type": PARTS, "Content-Length": "5500000"}, 413),
    "large form": ({"Content-Type": FORM, "Content-Length": "65537"}, 413),
    "larger than memory": ({"Content-Type": FORM, "Content-Length": "9" * 5000}, 413),
    "of parts": ({"Content-Type": PARTS, "Content-Length": "500"}, 415),
    "of other parts": ({"Content-Type": "Multipart/Mixed", "Content-Length": "500"}, 415),
    "in chunks": ({"Content-Type": FORM, "Transfer-Encoding": "chunked"}, 411),
    "in chunks, with a length": (
        {"Content-Type": FORM, "Transfer-Encoding": "chunked", "Content-Length": "5"},
        411,
    ),
    "to the end": ({"Content-Type": FORM, "Content-Length": "-1"}, 400),
    "of a length in words": ({"Content-Type": FORM, "Content-Length": "1_000"}, 400),
}


@contextmanager
def connected(site: Site, seconds: float = 30) -> Iterator[socket.socket]:
    place = urlsplit(site.url)
    with socket.create_connection((place.hostname, place.port or 80), seconds) as connection:
        yield connection


def head(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in {**COOKIE, **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """What is received until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("headers", "status"), BODIES.values(), ids=list(BODIES))
def test_page__body_that_it_does_not_take__refused_from_the_headers(
    site: Site, path: str, headers: dict[str, str], status: int
) -> None:
    with connected(site) as connection:
        connection.sendall(head(path, headers))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == status
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Connection"] == "close"
        connection.shutdown(socket.SHUT_WR)
        assert answer.read().endswith(b".\n")


@pytest.mark.parametrize("size", [5_500_000, 20_000_000])
def test_page__very_many_parts__refused_and_the_connection_closed(site: Site, size: int) -> None:
    part = b"--B\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n\r\n"
    body = part * (size // len(part))
    with connected(site) as connection:
        connection.sendall(
            head("/login/", {"Content-Type": PARTS, "Content-Length": str(len(body))})
        )
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        # Of the larger one the server reads the beginning only.
        try:
            connection.sendall(body)
            assert b"too large" in answer.read()
        except ConnectionError:
            assert size == 20_000_000


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "100000"},
        {"Content-Length": "-1"},
        {"Transfer-Encoding": "chunked"},
        {"Transfer-Encoding": "chunked", "Content-Length": "20"},
    ],
    ids=str,
)
def test_page__request_hidden_in_a_refused_body__not_answered(
    site: Site, headers: dict[str, str]
) -> None:
    hidden = b"GET /login/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with connected(site) as connection:
        # Only the first is read to its end, after which the connection closes by itself.
        body = hidden.ljust(int(headers.get("Content-Length", 0)))
        connection.sendall(head("/login/", headers) + body)
        assert everything(connection).count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("lines", "status"),
    [([f"X-{n}: a" for n in range(200)], 431), (["X-Long: " + "a" * 70_000], 431)],
    ids=["many", "long"],
)
def test_runserver__too_many_or_too_long_headers__refused(
    site: Site, lines: list[str], status: int
) -> None:
    with connected(site) as connection:
        connection.sendall("\r\n".join(["GET /login/ HTTP/1.1", *lines, "", ""]).encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == status


def test_page__its_largest_forms__are_taken(site: Site) -> None:
    session = requests.Session()
    session.get(f"{site.url}/login/", timeout=60)

    def post(path: str, **fields: str | list[str]) -> requests.Response:
        token = {"csrfmiddlewaretoken": session.cookies["csrftoken"] or ""}
        return session.post(f"{site.url}{path}", data={**fields, **token}, timeout=60)

    assert post("/login/", username=OPERATOR, password=PASSWORD).status_code == 200
    # Four bytes each, and three characters for each of those.
    note = post("/file/99999/discard/", note="\U0001f600" * 500)
    assert note.status_code == 404
    added = post("/admin/auth/user/add/", username="cy", password1=PASSWORD, password2=PASSWORD)
    [path] = re.findall(r"/admin/auth/user/\d+/change/", added.url)
    form = session.get(site.url + path, timeout=60).text
    assert "multipart" not in form
    every = re.findall(r'<option value="(\d+)"', form)
    assert len(every) > 100
    changed = post(
        path,
        username="cy",
        user_permissions=every,
        date_joined_0="2026-01-01",
        date_joined_1="00:00:00",
        _continue="yes",
    )
    assert "was changed successfully" in changed.text


THEIRS = """
from site_settings import *
ROOT_URLCONF, LOGIN_URL = "their_urls", "/in/"
MIDDLEWARE = [name for name in MIDDLEWARE if "BoundedBodies" not in name]
"""
THEIR_URLS = """
from django.http import HttpResponse
from django.urls import include, path
urlpatterns = [
    path("imports/", include("realtime.urls")),
    path("upload/", lambda request: HttpResponse(f"{len(request.FILES)} taken")),
]
"""
UPLOADING = """
ACTIONS = ("retry", "undiscard", "discard")
from io import StringIO
from unittest.mock import patch
from django.http import HttpRequest
browser = Client(enforce_csrf_checks=True)
browser.cookies = client.cookies
browser.cookies["csrftoken"] = token = "a" * 64
upload = {"csrfmiddlewaretoken": token, "file": StringIO("a")}
print(browser.post("/upload/", upload).content.decode())
for path in ("", "jurisdiction/", "file/1/", *(f"file/1/{action}/" for action in ACTIONS)):
    with patch.object(HttpRequest, "_load_post_and_files", autospec=True) as parsed:
        print(browser.post(f"/imports/{path}", upload).status_code, parsed.called)
form = {"content_type": "application/x-www-form-urlencoded"}
print(browser.post("/imports/file/1/retry/", "csrfmiddlewaretoken=", **form).status_code)
"""


@pytest.mark.parametrize("csrf", ["with", "without"])
def test_page__in_a_site_that_takes_uploads__bounds_its_own_views_only(
    site: Site, tmp_path: Path, csrf: str
) -> None:
    without = "MIDDLEWARE = [name for name in MIDDLEWARE if 'csrf' not in name]\n"
    (tmp_path / "theirs.py").write_text(THEIRS + (without if csrf == "without" else ""))
    (tmp_path / "their_urls.py").write_text(THEIR_URLS)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    said = in_process(site, UPLOADING, DJANGO_SETTINGS_MODULE="theirs", PYTHONPATH=path)
    taken, *refused, forged = said.splitlines()
    assert taken == "1 taken"
    assert refused == ["415 False"] * 6
    assert forged == "403"
