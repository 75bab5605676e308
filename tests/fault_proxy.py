"""Proxies between the code under test and a service, which inject faults.

Does not import the project.
"""

import contextlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit, urlunsplit
from xml.etree import ElementTree

_HOST = "127.0.0.1"
_GOOGLE = re.compile(r"/(?:(?P<kind>upload|download)/)?storage/v1/b/[^/]+/o(?P<key>/.*)?$")
_NOT_FORWARDED = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True)
class Request:
    """One request to AWS or Google. `operation` is its name there, such as GetObject or
    storage.objects.get; to Google the request for an object's body is storage.objects.read."""

    operation: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    """A response. With `cut`, only that many bytes of `body` are sent before the connection is
    closed. With `silent`, nothing is sent until the client disconnects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: int | None = None
    silent: bool = False


Forward = Callable[[Request], Response]
# Answers a request, with or without forwarding it first.
Fault = Callable[[Request, Forward], Response]
# The fault for a request; None to forward it unchanged.
Rule = Callable[[Request], Fault | None]


class AwsProxy:
    """An endpoint of S3 and SQS, or of Google Cloud Storage, that forwards requests, except where
    `rule` gives a fault.

    `requests` counts requests by operation, faults included.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream).netloc
        self.rule: Rule = lambda request: None
        self.requests: Counter[str] = Counter()
        self.closing = threading.Event()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer((_HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    @property
    def endpoint(self) -> str:
        """The value for `AWS_ENDPOINT_URL`."""
        return f"http://{_HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def heal(self) -> None:
        """Forward everything from now on."""
        self.rule = lambda request: None

    def answer(self, request: Request) -> Response:
        """Count `request` and answer it, by its fault or by forwarding it."""
        self.requests[request.operation] += 1
        fault = self.rule(request)
        return fault(request, self._forward) if fault else self._forward(request)

    def _forward(self, request: Request) -> Response:
        upstream = HTTPConnection(self._upstream, timeout=30)
        try:
            # A fault may have changed the body: its length is counted anew.
            headers = {n: v for n, v in request.headers.items() if n.lower() != "content-length"}
            upstream.request(request.method, request.path, request.body, headers)
            response = upstream.getresponse()
            return Response(response.status, dict(response.getheaders()), response.read())
        finally:
            upstream.close()


class _Handler(BaseHTTPRequestHandler):
    owner: AwsProxy
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; Nagle's algorithm would delay the second.
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {n: v for n, v in self.headers.items() if n.lower() != "expect"}
        operation = _operation(self.command, self.path, self.headers)
        response = self.owner.answer(Request(operation, self.command, self.path, headers, body))
        if response.silent:
            while not (self.owner.closing.wait(0.05) or self._client_has_gone()):
                pass
            self.close_connection = True
            return
        self.send_response(response.status)
        length = str(len(response.body))
        for name, value in response.headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = value
            elif name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(response.body[: response.cut])
        if response.cut is not None:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _handle

    def _client_has_gone(self) -> bool:
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def _operation(method: str, path: str, headers: Message) -> str:
    target = headers.get("X-Amz-Target", "")
    if target:
        return target.rpartition(".")[2]
    url = urlsplit(path)
    if found := _GOOGLE.match(url.path):
        return f"storage.objects.{_google_method(method, found)}"
    is_object = "/" in url.path.strip("/")
    if method == "POST" and url.query.startswith("delete"):
        return "DeleteObjects"
    if method == "GET" and "list-type=2" in url.query:
        return "ListObjectsV2"
    if method == "PUT" and headers.get("x-amz-copy-source"):
        return "CopyObject"
    return f"{method.capitalize()}{'Object' if is_object else 'Bucket'}"


def _google_method(method: str, path: re.Match[str]) -> str:
    if path["kind"]:
        return "read" if path["kind"] == "download" else "insert"
    if "/rewriteTo/" in (path["key"] or ""):
        return "rewrite"
    return "delete" if method == "DELETE" else "get" if path["key"] else "list"


def on(*operations: str, fault: Fault, times: int | None = None, path: str = "") -> Rule:
    """A rule that gives `fault` for these operations on paths containing `path`.

    With `times`, only for the first so many requests.
    """
    lock, matched = threading.Lock(), 0

    def rule(request: Request) -> Fault | None:
        nonlocal matched
        with lock:
            if request.operation not in operations or path not in request.path:
                return None
            matched += 1
            return fault if times is None or matched <= times else None

    return rule


def refusal(status: int, code: str) -> Fault:
    """Answer with an error, in the format of S3 (XML) or SQS (JSON), without forwarding."""

    def answer(request: Request, forward: Forward) -> Response:
        if "X-Amz-Target" in request.headers:
            body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "refused"})
            return Response(status, {"Content-Type": "application/x-amz-json-1.0"}, body.encode())
        body = f"<Error><Code>{code}</Code><Message>refused</Message></Error>"
        content = b"" if request.method == "HEAD" else body.encode()
        return Response(status, {"Content-Type": "application/xml"}, content)

    return answer


def silence(request: Request, forward: Forward) -> Response:
    """Neither forward nor answer."""
    return Response(0, {}, b"", silent=True)


def lost_answer(request: Request, forward: Forward) -> Response:
    """Forward, but do not answer."""
    forward(request)
    return Response(0, {}, b"", silent=True)


def cut_short(request: Request, forward: Forward) -> Response:
    """Forward, but send only the first half of the response's body."""
    response = forward(request)
    return Response(response.status, response.headers, response.body, cut=len(response.body) // 2)


def truncated(request: Request, forward: Forward) -> Response:
    """Forward a copy, then leave only the first half of it; the answer has an ETag of parts."""
    response = forward(request)
    copied = _again(request, "GET", request.path, forward)
    half = copied.body[: len(copied.body) // 2]
    _again(request, "PUT", request.path, forward, half)
    body = re.sub(rb"<ETag>.*?</ETag>", b"<ETag>0-2</ETag>", response.body)
    return replace(response, body=body)


def after(action: Callable[[], object]) -> Fault:
    """Do `action`, then answer as S3 does: refuse a request whose condition does not hold.

    Emulators ignore some conditions.
    """

    def answer(request: Request, forward: Forward) -> Response:
        action()
        headers = {name.lower(): value for name, value in request.headers.items()}
        source = "/" + headers.get("x-amz-copy-source", "").lstrip("/")
        holds = [
            wanted is None or wanted.strip('"') == _etag(request, path, forward)
            for wanted, path in (
                (headers.get("if-match"), request.path),
                (headers.get("x-amz-copy-source-if-match"), source),
            )
        ]
        if "if-none-match" in headers:
            holds.append(_etag(request, request.path, forward) is None)
        refuse = refusal(412, "PreconditionFailed")
        return forward(request) if all(holds) else refuse(request, forward)

    return answer


def after_each(action: Callable[[], object]) -> Fault:
    """Do `action`, then delete many objects as S3 does: only those whose condition holds.

    Emulators ignore these conditions.
    """

    def answer(request: Request, forward: Forward) -> Response:
        action()

        def holds(key: str, etag: str | None) -> bool:
            path = f"{urlsplit(request.path).path.rstrip('/')}/{quote(key)}"
            return etag is None or etag.strip('"') == _etag(request, path, forward)

        return _deleting(request, forward, holds, "PreconditionFailed")

    return answer


def without(refused: str) -> Fault:
    """Delete many objects, but refuse the one with this key."""
    return lambda request, forward: _deleting(
        request, forward, lambda key, etag: key != refused, "InternalError"
    )


def _deleting(
    request: Request, forward: Forward, accepts: Callable[[str, str | None], bool], code: str
) -> Response:
    """Delete, of many objects, those whose key and condition are accepted; refuse the others."""
    tree = ElementTree.fromstring(request.body)
    refused = ""
    for entry in tree.findall("{*}Object"):
        key = entry.findtext("{*}Key") or ""
        if not accepts(key, entry.findtext("{*}ETag")):
            tree.remove(entry)
            refused += f"<Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error>"
    names = ("content-md5", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm")
    headers = {n: v for n, v in request.headers.items() if n.lower() not in names}
    if tree.find("{*}Object") is not None:
        # Emulators do not know the prefix that ElementTree would give to S3's names.
        namespace = tree.tag.partition("}")[0].lstrip("{")
        sent = ElementTree.tostring(tree, default_namespace=namespace or None)
        forward(replace(request, body=sent, headers=headers))
    body = f"<DeleteResult>{refused}</DeleteResult>".encode()
    return Response(200, {"Content-Type": "application/xml"}, body)


def unconditionally(request: Request, forward: Forward) -> Response:
    """Forward without any condition, as to a store that ignores them."""
    headers = {name: v for name, v in request.headers.items() if "if-" not in name.lower()}
    return forward(replace(request, headers=headers))


def named_null(request: Request, forward: Forward) -> Response:
    """Forward, and say what S3 says of an object without a version, once its bucket keeps some.

    Emulators say nothing.
    """
    response = forward(request)
    if response.status != 200 or "x-amz-version-id" in map(str.lower, response.headers):
        return response
    return replace(response, headers={**response.headers, "x-amz-version-id": "null"})


def _etag(request: Request, path: str, forward: Forward) -> str | None:
    """The ETag of the object at `path`; None when there is none."""
    found = _again(request, "HEAD", path, forward)
    return found.headers["ETag"].strip('"') if found.status == 200 else None


def _again(
    request: Request, method: str, path: str, forward: Forward, body: bytes = b""
) -> Response:
    """Make another request for an object, with the credentials of `request`."""
    headers = {n: v for n, v in request.headers.items() if n.lower() in ("host", "authorization")}
    response = forward(Request(f"{method.capitalize()}Object", method, path, headers, body))
    assert response.status in (200, 404), response
    return response


def partly(fails: Callable[[int], bool], code: str = "InternalError") -> Fault:
    """Refuse the entries of an SQS batch at positions for which `fails` is true; forward the
    others."""

    def answer(request: Request, forward: Forward) -> Response:
        batch = json.loads(request.body)
        entries = batch["Entries"]
        forwarded = [entry for position, entry in enumerate(entries) if not fails(position)]
        refused = [
            {"Id": entry["Id"], "SenderFault": False, "Code": code, "Message": "refused"}
            for position, entry in enumerate(entries)
            if fails(position)
        ]
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        content: dict[str, Any] = {"Successful": []}
        if forwarded:
            body = json.dumps({**batch, "Entries": forwarded}).encode()
            response = forward(
                Request(request.operation, request.method, request.path, request.headers, body)
            )
            content = json.loads(response.body)
        return Response(200, headers, json.dumps({**content, "Failed": refused}).encode())

    return answer


class PostgresProxy:
    """A PostgreSQL endpoint that forwards everything, and cuts connections on demand.

    `cut_before` and `cut_after` are bytes that a client sends, such as a statement. The connection
    is cut before they are forwarded, or after the server has executed them and before its answer is
    returned. Each cut happens once.
    """

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.cut_before: bytes | None = None
        self.cut_after: bytes | None = None
        self.cuts = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server((_HOST, 0))
        self._open: set[socket.socket] = set()
        self._refusing = False

    @property
    def url(self) -> str:
        """The URL of the same database through this proxy."""
        port = self._listener.getsockname()[1]
        login = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{login}@{_HOST}:{port}"))

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection now."""
        with self._lock:
            for connection in self._open:
                _close(connection)
            self._open.clear()

    def refuse(self) -> None:
        """Cut every connection and refuse new ones."""
        self._refusing = True
        self.cut()

    def accept(self) -> None:
        """Accept connections again."""
        self._refusing = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._refusing:
                _close(client)
                continue
            server = socket.create_connection((self._parts.hostname, self._parts.port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open |= {client, server}
            muted = threading.Event()
            for pump, ends in (
                (self._pump_requests, (client, server)),
                (self._pump_answers, (server, client)),
            ):
                threading.Thread(target=pump, args=(*ends, muted), daemon=True).start()

    def _pump_requests(
        self, client: socket.socket, server: socket.socket, muted: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._take_cut("cut_before", data):
                    break
                if self._take_cut("cut_after", data):
                    muted.set()
                server.sendall(data)
        _close(client)
        _close(server)

    def _pump_answers(
        self, server: socket.socket, client: socket.socket, muted: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            # An answer shows that the server has executed the request.
            while (data := server.recv(65536)) and not muted.is_set():
                client.sendall(data)
        _close(client)
        _close(server)

    def _take_cut(self, which: str, data: bytes) -> bool:
        with self._lock:
            wanted: bytes | None = getattr(self, which)
            if wanted is None or wanted not in data:
                return False
            setattr(self, which, None)
            self.cuts += 1
            return True


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
