"""The address a request came from, through proxies that are trusted and no others."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from gatepost.wire.forwarded import ForwardedError, nodes, read_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HOP_LIMIT = 32
"""Proxies between a phone and us; more of them is somebody playing."""


def client_address(
    peer: str | None, x_forwarded_for: bytes | None, trusted_networks: Sequence[Network], forwarded: bytes | None = None
) -> Address | None:
    """Who asked: the peer, or, where the peer is a trusted proxy, the last address named to it that is not one.

    Each proxy appends the address it saw to `X-Forwarded-For` or to `Forwarded` (RFC 7239), so the list is read from its
    end, and everything to the left of the first address that nobody trusted vouched for is hearsay. None where the
    address cannot be known: no peer, a trusted proxy that says something unreadable or hides who it speaks for, or both
    headers with different clients in them, one of which went through a proxy that knows only the other. Several headers
    of a name are to be joined by a comma. IPv4-mapped IPv6 addresses are IPv4.
    """
    address = None if peer is None else read_address(peer)
    if address is None or not is_trusted(address, trusted_networks):
        return address
    clients: set[Address | None] = set()
    if x_forwarded_for is not None:
        hops = reversed(x_forwarded_for.rsplit(b",", HOP_LIMIT))
        clients.add(_client(address, (read_address(hop.strip().decode("latin-1")) for hop in hops), trusted_networks))
    if forwarded is not None:
        clients.add(_client(address, _named(forwarded), trusted_networks))
    if not clients:
        return address
    return clients.pop() if len(clients) == 1 else None


def is_trusted(address: Address, trusted_networks: Sequence[Network]) -> bool:
    """True for a proxy that is believed."""
    return any(address in network for network in trusted_networks)


def _named(forwarded: bytes) -> Iterable[Address | None]:
    try:
        found = nodes(forwarded)
    except ForwardedError:
        return (None,)
    return reversed(found if len(found) <= HOP_LIMIT else [None, *found[-HOP_LIMIT:]])


def _client(address: Address | None, hops: Iterable[Address | None], trusted: Sequence[Network]) -> Address | None:
    for hop in hops:
        if address is None or not is_trusted(address, trusted):
            return address
        address = hop
    return address
