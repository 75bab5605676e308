"""A receiver of webhooks, which checks what it gets. Does not import the project."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.change_events import valid

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@dataclass(frozen=True)
class Call:
    """One call: what was sent, and whether it was answered well."""

    path: str
    headers: Mapping[str, str]
    events: list[dict[str, Any]]
    taken: bool

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver:
    """Answers each call as `answer` says for its number, from 0: a status, or None to close the
    connection without an answer; with `headers`. `calls` are those that came, `taken` the events of
    those that were answered with 2xx."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: Callable[[int], int | None] = lambda number: 204
        self.headers: dict[str, str] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=hunter2"

    @property
    def taken(self) -> list[dict[str, Any]]:
        return [event for call in self.calls if call.taken for event in call.events]

    def names(self) -> list[str]:
        """The bills that the events taken are about."""
        return [event["data"]["bill_identifier"] for event in self.taken]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.answer(len(receiver.calls))
                taken = status is not None and 200 <= status < 300
                headers = {name.lower(): value for name, value in self.headers.items()}
                check(headers, body)
                events = [valid(event) for event in json.loads(body)]
                receiver.calls.append(Call(self.path, headers, events, taken))
                if status is None:
                    self.close_connection = True
                    return
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        return Handler

    def restart(self) -> None:
        """After `stop`: listen again, at the same address."""
        address = self._server.server_address
        self._server = ThreadingHTTPServer(address, self._handler())
        self._server.daemon_threads = True
        self.start()

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def check(headers: Mapping[str, str], body: bytes) -> None:
    """What Standard Webhooks asks of a receiver."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert f"v1,{digest}" in headers["webhook-signature"].split()


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
