"""A TCP proxy that adds a delay to each round trip: `python -m bench.proxy HOST PORT SECONDS`.

Prints the port it listens on, and ends when its standard input is closed. A process of its own, so
that it does not slow the measured one.
"""

import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


@contextmanager
def delayed(database_url: str, seconds: float) -> Iterator[str]:
    """The URL of the same database through a proxy that adds `seconds` to each round trip."""
    url = urlsplit(database_url)
    command = [sys.executable, "-m", "bench.proxy", url.hostname or "", str(url.port), str(seconds)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as proxy:
        assert proxy.stdout and proxy.stdin
        port = proxy.stdout.readline().strip()
        before, _, _ = url.netloc.rpartition("@")
        try:
            yield url._replace(netloc=f"{before}@127.0.0.1:{port}").geturl()
        finally:
            proxy.stdin.close()


def main(host: str, port: int, seconds: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_serve, args=(listener, host, port, seconds), daemon=True).start()
    sys.stdin.read()


def _serve(listener: socket.socket, host: str, port: int, seconds: float) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.create_connection((host, port))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _pipe(client, server, seconds)
        _pipe(server, client, 0)


def _pipe(source: socket.socket, sink: socket.socket, seconds: float) -> None:
    """Forward each piece `seconds` after it arrived; several pieces may be under way at once."""
    pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()

    def receive() -> None:
        data = b"-"
        while data:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            pieces.put((time.perf_counter() + seconds, data))

    def send() -> None:
        while True:
            due, data = pieces.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return

    for run in (receive, send):
        threading.Thread(target=run, daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
