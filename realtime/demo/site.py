"""The web server of the sample site."""

import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

_HOST = "127.0.0.1"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when a scraper disconnects while it waits for its page."""


class Site:
    """Serves `pages` (HTML by path) on a free port of 127.0.0.1 within the `with` block.

    Each response takes `seconds`, like a real legislature's site. `served` counts the responses.
    """

    def __init__(self, pages: Mapping[str, str], seconds: float) -> None:
        self.pages = pages
        self.seconds = seconds
        self.served = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Log no requests: they would hide the demo's output."""

        self._server = _Server((_HOST, 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.05},
            name="sample-site",
            daemon=True,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The address of the site, without a trailing slash."""
        return f"http://{_HOST}:{self._server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Send the requested page, or 404."""
        page = self.pages.get(request.path)
        if page is None:
            request.send_error(HTTPStatus.NOT_FOUND)
            return
        time.sleep(self.seconds)
        body = page.encode()
        request.send_response(HTTPStatus.OK)
        request.send_header("Content-Type", "text/html; charset=utf-8")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        self.served += 1
