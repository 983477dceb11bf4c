"""Which address a request comes from, behind proxies that are trusted to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.wire.client_address import client_address

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_MOST_REMEMBERED = 10_000


class Clients:
    """Clients by (peer, X-Forwarded-For), remembered, because a proxy says the same again and again."""

    def __init__(self, trusted_proxies: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self._trusted = trusted_proxies
        self._remembered: dict[tuple[str, bytes | None], tuple[IPv4Address | IPv6Address | None, bytes]] = {}

    def client(self, peer: str, forwarded_for: bytes | None) -> tuple[IPv4Address | IPv6Address | None, bytes]:
        """The client's address, and the header line that tells it to the mail server.

        None and no line where it cannot be known: a peer without an address (a Unix socket), or a trusted proxy that
        says something unreadable.
        """
        key = (peer, forwarded_for)
        try:
            return self._remembered[key]
        except KeyError:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            address = client_address(peer.partition("%")[0] or None, forwarded_for, self._trusted)
            line = b"" if address is None else f"X-Forwarded-For: {address}\r\n".encode()
            remembered = self._remembered[key] = (address, line)
            return remembered
