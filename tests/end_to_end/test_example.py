"""The receiver in examples/, as a process: over HTTP, with a mail server that keeps what comes."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from tests.end_to_end.test_follow_changes import publish
from tests.support import ROOT, Aws, CompletedText
from tests.webhooks import SECRET

Manage = Callable[..., CompletedText]
EXAMPLE = ROOT / "examples" / "mail_changes.py"


class MailServer(ThreadingTCPServer):
    """Takes mails. While it is `full`, it refuses them."""

    daemon_threads = True

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.full = False
        super().__init__(("127.0.0.1", 0), _Session)


class _Session(StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, MailServer)
        self.wfile.write(b"220 ready\r\n")
        for line in self.rfile:
            command = line[:4].upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                self.server.mails.append(b"".join(iter(self.rfile.readline, b".\r\n")).decode())
            refused = self.server.full and command == b"MAIL"
            answer = {b"QUIT": b"221 bye"}.get(command, b"452 full" if refused else b"250 ok")
            self.wfile.write(answer + b"\r\n")


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def url(mail_server: MailServer, tmp_path: Path) -> Iterator[str]:
    """Where the example listens."""
    environment = {
        **os.environ,
        "WATCHED": "https://openstates.org/wy/bills/2031/HB1/"
        " https://openstates.org/dc/bills/2031/HB2/",
        "WEBHOOK_SECRET": SECRET,
        "MAIL_TO": "reader@example.org",
        "MAILED": str(tmp_path / "mailed.sqlite"),
        "SMTP": f"127.0.0.1:{mail_server.server_address[1]}",
    }
    command = [sys.executable, str(EXAMPLE), "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().split()[-1]}/"
        process.kill()


def test_example__watched_bill_changes__mailed_once_though_the_mail_server_was_full(
    url: str,
    mail_server: MailServer,
    session: None,
    environment: dict[str, str],
    aws: Aws,
    run_manage: Manage,
) -> None:
    environment |= {
        "REALTIME_CHANGES_URL": url,
        "REALTIME_CHANGES_SECRET": SECRET,
        "REALTIME_CHANGES_ALLOW_PRIVATE": "true",
    }
    mail_server.full = True
    publish(aws, "HB 1", "HB 2", "HB 3")
    run_manage("import_realtime", env=environment)
    assert mail_server.mails == []
    assert "failing" in run_manage("receivers_realtime", env=environment).stdout
    mail_server.full = False
    for again in (["--resume", "default"], ["--replay", "default", "--since", "1h"]):
        run_manage("receivers_realtime", *again, env=environment)
        run_manage("receivers_realtime", "--deliver", env=environment)
    [mail] = mail_server.mails
    assert "Subject: HB 1\r\n" in mail
    assert "https://openstates.org/wy/bills/2031/HB1/ org.openstates" in mail
    assert "has been told of everything" in run_manage("receivers_realtime", env=environment).stdout


@pytest.mark.long
def test_example__somebody_connects_and_is_silent__kept_out_no_longer_than_its_patience(
    url: str,
) -> None:
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as silent:
        silent.settimeout(30)
        # It hangs up.
        assert silent.recv(1) == b""


def test_example__wrong_secret__refused(
    url: str,
    mail_server: MailServer,
    session: None,
    environment: dict[str, str],
    aws: Aws,
    run_manage: Manage,
) -> None:
    environment |= {
        "REALTIME_CHANGES_URL": url,
        "REALTIME_CHANGES_SECRET": SECRET.replace("M", "N"),
        "REALTIME_CHANGES_ALLOW_PRIVATE": "true",
    }
    publish(aws, "HB 1")
    run_manage("import_realtime", env=environment)
    assert "status 401" in run_manage("receivers_realtime", env=environment).stdout
    assert mail_server.mails == []
