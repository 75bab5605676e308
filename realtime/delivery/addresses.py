"""Which addresses a webhook may have."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from realtime.delivery.errors import Undeliverable

# Addresses of version 4 within ones of version 6, by a gateway.
_NAT64 = IPv6Network("64:ff9b::/96")

SocketAddress = tuple[socket.AddressFamily, tuple[Any, ...]]


def resolve(host: str, port: int, allow_private: bool) -> list[SocketAddress]:
    """The addresses of a host, to connect to as they are: a name that is resolved again may have
    others by then.

    Raises Undeliverable when it has none or, without `allow_private`, when one of them is not
    public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise Undeliverable(f"the host's name cannot be resolved: {exc}") from exc
    addresses: list[SocketAddress] = [(family, address) for family, _, _, _, address in found]
    for _, address in addresses:
        # Without the zone that follows a %.
        if not allow_private and not is_public(str(address[0]).partition("%")[0]):
            raise Undeliverable(
                "the host has an address that is not public;"
                " REALTIME_CHANGES_ALLOW_PRIVATE=true would allow it"
            )
    return addresses


def is_public(text: str) -> bool:
    """Whether an address is of the public internet, and so are those that it stands for."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and (within := _within(address)):
        return all(is_public(str(one)) for one in within)
    return address.is_global and not address.is_multicast and not address.is_reserved


def _within(address: IPv6Address) -> list[IPv4Address]:
    """The addresses of version 4 that one of version 6 leads to."""
    if address in _NAT64:
        return [IPv4Address(address.packed[-4:])]
    within = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    return [one for one in within if one is not None]
