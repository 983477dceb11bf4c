"""Who a proxy says it speaks for: addresses as proxies write them, and the `Forwarded` header (RFC 7239)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

_MOST = 100  # characters of an address: 45 for the longest, a zone, brackets and a port

_OBFUSCATED = r"_[0-9A-Za-z._-]+"
# RFC 7239 6: unknown, a hidden name, an IPv4 address or an IPv6 address in brackets; perhaps with a port, hidden or not.
_NODE = re.compile(
    rf"(?:unknown|{_OBFUSCATED}|(?P<v4>[0-9.]+)|\[(?P<v6>[^\]]+)\])(?::(?:(?P<port>[0-9]{{1,5}})|{_OBFUSCATED}))?",
    re.IGNORECASE,
)
# As X-Forwarded-For has them in the field: the same, and IPv6 without brackets, then without a port.
_PLAIN = re.compile(r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[^\]]+)\])(?::(?P<port>[0-9]{1,5}))?|(?P<bare>[0-9A-Fa-f:]+:[^\]]*)")
_ZONE = re.compile(r"[0-9A-Za-z._~-]+")

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110 5.6.2
_PAIR = re.compile(rf'({_TOKEN})=(?:({_TOKEN})|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)")')
_SEPARATOR = re.compile(r"[ \t]*([,;]|\Z)[ \t]*")
_ESCAPE = re.compile(r"\\(.)")


class ForwardedError(ValueError):
    """A `Forwarded` header that nobody can be sure to read as it was meant."""


def read_address(text: str) -> Address | None:
    """An address, perhaps with a port, as in X-Forwarded-For (`192.0.2.1:443`, `[2001:db8::1]:443`); None for others.

    A zone id (`fe80::1%eth0`) means something on the proxy only, and is left out. IPv4-mapped addresses are IPv4.
    """
    return _read(text) if len(text) <= _MOST else None


@lru_cache(maxsize=4096)
def _read(text: str) -> Address | None:
    found = _PLAIN.fullmatch(text)
    return None if found is None else _address(found["v4"], found["v6"] or found["bare"] or "", found["port"])


def nodes(header: bytes) -> list[Address | None]:
    """Whom each proxy saw, in the order of the header, None where it does not say; raises ForwardedError.

    Several headers are to be joined by commas. A node is None that is unknown, hidden (`_gazonk`), or not named at all.
    """
    text = header.decode("latin-1")
    found: list[Address | None] = []
    pairs: dict[str, str] = {}
    at = 0
    while True:
        pair = _PAIR.match(text, at)
        if pair is not None:
            at = pair.end()
            name = pair[1].lower()
            if name in pairs:
                raise ForwardedError(f"`{name}` twice in one element of Forwarded")
            pairs[name] = pair[2] if pair[2] is not None else _ESCAPE.sub(r"\1", pair[3])
        separator = _SEPARATOR.match(text, at)
        if separator is None:
            raise ForwardedError(f"Forwarded cannot be read from its character {at} on")
        at = separator.end()
        if separator[1] != ";":
            found.append(_node(pairs.get("for")))
            pairs = {}
        if not separator[1]:
            return found


def _node(text: str | None) -> Address | None:
    if text is None:
        return None
    found = _NODE.fullmatch(text)
    if found is None:
        raise ForwardedError("a `for` in Forwarded that is no address")
    if found["v4"] is None and found["v6"] is None:
        return None
    address = _address(found["v4"], found["v6"] or "", found["port"])
    if address is None:
        raise ForwardedError("a `for` in Forwarded that is no address")
    return address


def _address(v4: str | None, v6: str, port: str | None) -> Address | None:
    if port is not None and int(port) > 0xFFFF:
        return None
    if v4 is None:
        v6, percent, zone = v6.partition("%")
        if percent and _ZONE.fullmatch(zone) is None:
            return None
    try:
        address = IPv6Address(v6) if v4 is None else IPv4Address(v4)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
