"""A local AWS Lambda: the Runtime API, and a process that runs a handler against it.

The process runs `awslambdaric`, the runtime client of Lambda's own Python runtime. The handler so
gets the same event loop, context, deadline and errors as in Lambda.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from realtime.devstack.errors import StackError

_BASE = "/2018-06-01/runtime"
_HOST = "127.0.0.1"
_START_SECONDS = 60.0
_CLIENT = "awslambdaric"


@dataclass(frozen=True)
class Invocation:
    """The result of one event. `error` is the runtime's report of an exception, else None."""

    response: Any
    error: Mapping[str, Any] | None
    seconds: float


@dataclass(frozen=True)
class _Event:
    request_id: str
    body: bytes
    deadline: float


class LambdaRuntime:
    """A function in one warm instance: `invoke` it repeatedly, one event at a time.

    `environment` is the whole environment of the process, `folder` holds its code, `program` is the
    interpreter with its options. Leaving the `with` block ends the process. `init_seconds` is the
    time from the start of the process to its first request for an event. `log` holds the output of
    the process, complete once it has ended.
    """

    def __init__(
        self,
        handler: str,
        environment: Mapping[str, str],
        folder: Path,
        program: Sequence[str] = (sys.executable,),
    ) -> None:
        self.init_seconds = 0.0
        self.log = ""
        self._command = [*program, "-m", _CLIENT, handler]
        self._environment = environment
        self._folder = folder
        self._events: queue.SimpleQueue[_Event | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[str, str, Any]] = queue.SimpleQueue()
        self._asked = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._server: ThreadingHTTPServer | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._server = _server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        started = time.perf_counter()
        self._process = subprocess.Popen(
            self._command,
            cwd=self._folder,
            env={**self._environment, **self._variables()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader.start()
        while not self._asked.wait(0.01):
            if self._process.poll() is not None or time.perf_counter() - started > _START_SECONDS:
                self.__exit__(None, None, None)
                raise StackError(f"the function did not start: {self.log}")
        self.init_seconds = time.perf_counter() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None and self._server is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()

    def invoke(
        self, event: Mapping[str, Any], seconds: float = 60, grace: float = 60
    ) -> Invocation:
        """Send `event` to the function, whose context says that it has `seconds` left.

        When it does not answer within `seconds + grace`, kills the process as Lambda would and
        raises StackError. `grace` allows for a machine slower than Lambda's.
        """
        request = _Event(str(uuid.uuid4()), json.dumps(event).encode(), time.time() + seconds)
        started = time.perf_counter()
        self._events.put(request)
        try:
            request_id, what, body = self._answers.get(timeout=seconds + grace)
        except queue.Empty:
            assert self._process is not None
            self._process.kill()
            raise StackError(f"no answer within {seconds + grace} seconds; {self.log}") from None
        assert request_id == request.request_id
        took = time.perf_counter() - started
        if what == "error":
            return Invocation(None, body, took)
        return Invocation(body, None, took)

    def next_event(self) -> _Event | None:
        """For the server: wait for the next event; None when there are no more."""
        self._asked.set()
        return self._events.get()

    def answer(self, request_id: str, what: str, body: Any) -> None:
        """For the server: the response to an event, or its error."""
        self._answers.put((request_id, what, body))

    def _variables(self) -> dict[str, str]:
        assert self._server is not None
        return {
            "AWS_LAMBDA_RUNTIME_API": f"{_HOST}:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "import",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_LOG_GROUP_NAME": "local",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "LAMBDA_TASK_ROOT": str(self._folder),
            "PYTHONPATH": os.pathsep.join(
                [str(self._folder), *filter(None, [self._environment.get("PYTHONPATH", "")])]
            ),
        }

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self.log += line


class _Handler(BaseHTTPRequestHandler):
    """The part of the Runtime API that a function's client uses."""

    protocol_version = "HTTP/1.1"
    # Otherwise each response waits 40 ms for the client to acknowledge the headers.
    disable_nagle_algorithm = True
    runtime: LambdaRuntime

    def do_GET(self) -> None:
        event = self.runtime.next_event()
        if event is None:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(event.body)))
        self.send_header("Lambda-Runtime-Aws-Request-Id", event.request_id)
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(event.deadline * 1000)))
        self.send_header(
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:123456789012:function:import",
        )
        self.end_headers()
        self.wfile.write(event.body)

    def do_POST(self) -> None:
        body = json.loads(self._body() or b"null")
        parts = self.path.removeprefix(f"{_BASE}/").split("/")
        if parts[0] == "invocation":
            self.runtime.answer(parts[1], parts[2], body)
        answer = b'{"status": "OK"}'
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Log no requests."""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(chunks)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing when a killed process breaks its connection."""


def _server(runtime: LambdaRuntime) -> ThreadingHTTPServer:
    return _Server((_HOST, 0), type("_BoundHandler", (_Handler,), {"runtime": runtime}))
