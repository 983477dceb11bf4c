"""The address a request came from, through proxies that are trusted and no others."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOP_LIMIT = 32
"""Proxies between a phone and us; more of them is somebody playing."""


def client_address(
    peer: str | None, x_forwarded_for: bytes | None, trusted_networks: Sequence[Network]
) -> Address | None:
    """Who asked: the peer, or, where the peer is a trusted proxy, the last address in `X-Forwarded-For` that is not one.

    Each proxy appends the address it saw, so the list is read from its end, and everything to the left of the first
    address that nobody trusted vouched for is hearsay. None where the address cannot be known: no peer, or a trusted
    proxy that says something unreadable. Several X-Forwarded-For headers are to be joined by a comma. IPv4-mapped IPv6
    addresses are IPv4.
    """
    address = _parse(peer) if peer is not None else None
    if address is None or x_forwarded_for is None:
        return address
    for hop in reversed(x_forwarded_for.rsplit(b",", HOP_LIMIT)):
        if not _is_trusted(address, trusted_networks):
            return address
        address = _parse(hop.strip().decode("latin-1"))
        if address is None:
            return None
    return address


def _is_trusted(address: Address, trusted_networks: Sequence[Network]) -> bool:
    return any(address in network for network in trusted_networks)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    """An address, perhaps with a port as some proxies write it (`192.0.2.1:443`, `[2001:db8::1]:443`)."""
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    try:
        address = ip_address(text.partition("%")[0])
    except (AddressValueError, ValueError):
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6
