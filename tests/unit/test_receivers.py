"""Receivers of changes: how the settings name them, and which addresses they may have."""

import base64
import socket
import traceback

import pytest

from realtime.delivery.addresses import is_public, resolve
from realtime.delivery.errors import Undeliverable
from realtime.delivery.webhook import _Connection, signature
from realtime.domain.changes import ChangeFilter
from realtime.domain.config import load
from realtime.domain.errors import ConfigurationError
from realtime.domain.receivers import Receiver

WYOMING = "ocd-jurisdiction/country:us/state:wy/government"
CONGRESS = "ocd-jurisdiction/country:us/government"
URL, SECRET, FILTER = "REALTIME_CHANGES_URL", "REALTIME_CHANGES_SECRET", "REALTIME_CHANGES_FILTER"
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/changes.fifo"
TOPIC = "arn:aws:sns:us-east-1:123456789012:changes"


def one(**environ: str) -> Receiver:
    [receiver] = load(environ).receivers
    return receiver


@pytest.mark.parametrize(
    ("url", "kind", "target", "address"),
    [
        ("https://u:p@a.org:444/x?y", "webhook", "https://u:p@a.org:444/x?y", "https://a.org:444"),
        (f"sqs:{QUEUE}", "sqs", QUEUE, QUEUE),
        (f"sns:{TOPIC}", "sns", TOPIC, TOPIC),
    ],
)
def test_receivers__forms_of_a_url__understood_and_shown_without_secrets(
    url: str, kind: str, target: str, address: str
) -> None:
    receiver = one(REALTIME_CHANGES_URL=url)
    assert (receiver.kind, receiver.target, receiver.address) == (kind, target, address)


def test_receivers__several__each_with_its_secret_and_filter() -> None:
    key = base64.b64encode(b"k" * 24).decode()
    found = load(
        {
            URL: "https://a.org",
            f"{URL}_MAIL": "https://b.org",
            f"{SECRET}_MAIL": f"whsec_{key} {key}",
            f"{FILTER}_MAIL": "wy, usa bill vote_event.deleted",
        }
    ).receivers
    assert [receiver.name for receiver in found] == ["default", "mail"]
    assert found[0].wanted == ChangeFilter()
    assert found[1].secrets == (b"k" * 24, b"k" * 24)
    assert found[1].wanted == ChangeFilter((WYOMING, CONGRESS), ("bill", "vote_event.deleted"))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({URL: "ftp://hunter2"}, f"{URL} names no receiver"),
        ({URL: "https:///hunter2"}, f"{URL} names no receiver"),
        ({URL: "https://a.org:hunter2/"}, f"{URL} names no receiver"),
        ({URL: "https://a.org/hunter2\r\nX: 1"}, f"{URL} names no receiver"),
        ({URL: "sns:hunter2"}, f"{URL} names no receiver"),
        ({URL: "sqs:hunter2"}, f"{URL} names no receiver"),
        ({URL: "http://a.org/hunter2"}, f"{URL} is plain HTTP"),
        ({URL: "https://a.org", SECRET: "hunter2!"}, f"{SECRET} is no secret"),
        ({URL: "https://a.org", FILTER: "bil"}, f"{FILTER}: 'bil' is neither"),
        ({f"{SECRET}_X": "hunter2"}, f"{SECRET}_X is set, but {URL}_X is not"),
    ],
)
def test_receivers__wrong_setting__named_without_its_secrets(
    environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        load(environ)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00:ec2::254"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_addresses__of_this_host_or_network__not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808"])
def test_addresses__of_the_internet__public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["localhost", "2130706433", "127.1", "0x7f.1"])
def test_addresses__names_of_this_host__refused_unless_allowed(host: str) -> None:
    with pytest.raises(Undeliverable, match="not public"):
        resolve(host, 443, allow_private=False)
    assert resolve(host, 443, allow_private=True)


def test_webhook__time_is_up_while_it_connects__tries_no_further_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        connection = _Connection("a.org", 80, secure=False)
        connection.addresses = [(socket.AF_INET, server.getsockname())]
        connection.abort()
        with pytest.raises(TimeoutError, match="the time is up"):
            connection.connect()
        with pytest.raises(BlockingIOError):
            server.accept()


def test_signature__example_of_the_specification__the_same() -> None:
    """The one of the Standard Webhooks project's own libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    assert signature(secret, signed) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
