"""A webhook, by the Standard Webhooks specification."""

import base64
import hashlib
import hmac
import json
import re
import socket
import ssl
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from threading import Timer
from typing import Any
from urllib.parse import unquote, urlsplit

from realtime.delivery.addresses import SocketAddress, resolve
from realtime.delivery.errors import Undeliverable
from realtime.domain.receivers import Receiver

# Seconds to connect and between two bytes, and for the whole call.
_PATIENCE, _TOTAL = 5.0, 15.0
_GONE = 410
_CONTENT_TYPE = "application/cloudevents-batch+json; charset=utf-8"


class Webhook:
    """Takes up to `most` events a call, as a JSON array."""

    most = 100

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def send(self, events: Sequence[dict[str, Any]]) -> None:
        """Send events, in order, in one call; an answer of 2xx is the receipt.

        Raises Undeliverable for any other answer, for none within 15 seconds, and for an address
        that is not allowed. Follows no redirect and uses no proxy: the address that is connected
        to is the one that was looked at.
        """
        body = json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode()
        status, wait = self._post(body, self._headers(body, _message_id(events)))
        if 200 <= status < 300:
            return
        redirect = ", and redirects are not followed" if 300 <= status < 400 else ""
        text = f"it answered with status {status}{redirect}"
        raise Undeliverable(text, for_good=status == _GONE, wait=wait)

    def _headers(self, body: bytes, id: str) -> dict[str, str]:
        parts = urlsplit(self._receiver.target)
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "Content-Type": _CONTENT_TYPE,
            "User-Agent": "openstates-realtime",
            "webhook-id": id,
            "webhook-timestamp": str(int(time.time())),
        }
        if parts.username:
            userinfo = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(userinfo.encode()).decode()}"
        if self._receiver.secrets:
            signed = f"{id}.{headers['webhook-timestamp']}.".encode() + body
            headers["webhook-signature"] = " ".join(
                signature(secret, signed) for secret in self._receiver.secrets
            )
        return headers

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, int]:
        """The status of the answer, and its Retry-After in seconds, 0 without one."""
        parts = urlsplit(self._receiver.target)
        secure = parts.scheme == "https"
        host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        connection = _Connection(host, port, secure)
        connection.addresses = resolve(host, port, self._receiver.allow_private)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # A receiver that sends a byte now and then would keep us for hours.
        deadline = Timer(_TOTAL, connection.abort)
        deadline.daemon = True
        deadline.start()
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, _seconds(answer.getheader("Retry-After", ""))
        except OSError as exc:
            raise Undeliverable(f"{type(exc).__name__}: {exc}") from exc
        except HTTPException as exc:
            # Without its text, which quotes the answer: that may repeat what was sent.
            text = f"it answered with something else than HTTP: {type(exc).__name__}"
            raise Undeliverable(text) from None
        finally:
            deadline.cancel()
            connection.close()


class _Connection(HTTPConnection):
    """Connects to `addresses`, not to what the host's name means by then."""

    addresses: Sequence[SocketAddress] = ()

    def __init__(self, host: str, port: int, secure: bool) -> None:
        super().__init__(host, port, timeout=_PATIENCE)
        self._secure = secure
        self._aborted = False

    def connect(self) -> None:
        self.sock = self._first_that_answers()
        self._go_on()
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()

    def _first_that_answers(self) -> socket.socket:
        errors: list[OSError] = []
        for family, address in self.addresses:
            self._go_on()
            made = socket.socket(family, socket.SOCK_STREAM)
            made.settimeout(_PATIENCE)
            try:
                made.connect(address)
            except OSError as exc:
                made.close()
                errors.append(exc)
            else:
                return made
        raise errors[0] if errors else OSError("the host has no address")

    def _go_on(self) -> None:
        if self._aborted:
            raise TimeoutError("the time is up")

    def abort(self) -> None:
        """End the call, from another thread."""
        self._aborted = True
        if self.sock is not None:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.sock.close()


def signature(secret: bytes, signed: bytes) -> str:
    """The signature of `id.timestamp.body`, as the header `webhook-signature` has it."""
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _seconds(text: str) -> int:
    """A Retry-After in seconds; 0 for one that is a date, or nothing that can be read."""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else 0


def _message_id(events: Sequence[dict[str, Any]]) -> str:
    """The same for the same events: a call that is repeated has the id that it had."""
    ids = " ".join(event["id"] for event in events)
    return f"msg_{hashlib.sha256(ids.encode()).hexdigest()[:32]}"
