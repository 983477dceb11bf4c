"""Which address a request comes from, behind proxies that are trusted to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.wire.client_address import client_address, is_trusted
from gatepost.wire.forwarded import read_address

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_MOST_REMEMBERED = 10_000
_LONGEST_REMEMBERED = 256  # bytes of a header: what phones write in front of it must not fill the memory


class Clients:
    """Clients by peer and header, remembered, because a proxy says the same again and again.

    `ignored` counts, by header, what somebody who is not trusted said about where he comes from.
    """

    def __init__(
        self, trusted_proxies: tuple[IPv4Network | IPv6Network, ...], ignored: dict[str, int] | None = None
    ) -> None:
        self._trusted = trusted_proxies
        self._remembered: dict[
            tuple[str, bytes | None, bytes | None], tuple[IPv4Address | IPv6Address | None, bytes]
        ] = {}
        self.ignored = {} if ignored is None else ignored

    def client(
        self, peer: str, forwarded_for: bytes | None, forwarded: bytes | None = None
    ) -> tuple[IPv4Address | IPv6Address | None, bytes]:
        """The client's address, and the header line that tells it to the mail server.

        `forwarded_for` is X-Forwarded-For, `forwarded` Forwarded. None and no line where the address cannot be known: a
        peer without an address (a Unix socket), or a trusted proxy that says something unreadable or contradicts itself.
        """
        try:
            return self._remembered[peer, forwarded_for, forwarded]
        except KeyError:
            return self._look(peer, forwarded_for, forwarded)

    def trusts(self, peer: str) -> bool:
        """True for a proxy that is believed."""
        address = read_address(peer)
        return address is not None and is_trusted(address, self._trusted)

    def ignore(self, header: str) -> None:
        """Somebody who is not trusted said where he comes from."""
        self.ignored[header] = self.ignored.get(header, 0) + 1

    def _look(
        self, peer: str, forwarded_for: bytes | None, forwarded: bytes | None
    ) -> tuple[IPv4Address | IPv6Address | None, bytes]:
        if (forwarded_for is not None or forwarded is not None) and not self.trusts(peer):
            if forwarded_for is not None:
                self.ignore("X-Forwarded-For")
            if forwarded is not None:
                self.ignore("Forwarded")
            return self.client(peer, None)  # never remembered with them, so that each is counted
        address = client_address(peer or None, forwarded_for, self._trusted, forwarded)
        line = b"" if address is None else f"X-Forwarded-For: {address}\r\n".encode()
        if len(forwarded_for or b"") + len(forwarded or b"") <= _LONGEST_REMEMBERED:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[peer, forwarded_for, forwarded] = (address, line)
        return address, line
