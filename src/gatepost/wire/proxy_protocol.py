"""The PROXY protocol, versions 1 and 2: the line or block with which a proxy says whose connection it passes on.

Specification: haproxy's doc/proxy-protocol.txt, 2.1 (a line of text) and 2.2 (binary). `read` is given all bytes that
came so far, and answers the same whether they come whole or one by one. What is not exactly the protocol is an error,
and so is what could be read in two ways (leading zeros, zone ids, two checksums).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

LINE_LIMIT: Final = 107
"""Bytes of a version 1 line with its CRLF (2.1)."""
BLOCK_LIMIT: Final = 4096
"""Bytes behind the fixed 16 of version 2: addresses take 216 at most, TLVs rarely more than the names in a certificate."""

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = 16
_LINE_START = b"PROXY "
_NOT_PRINTABLE = re.compile(rb"[^ -~]")
_LINE = re.compile(r"PROXY (TCP4|TCP6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4})")
_UNKNOWN = re.compile(r"PROXY UNKNOWN(?: .*)?")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _STREAM = 0, 1
_ADDRESSES = {1: 12, 2: 36, 3: 216}  # by family (2.2): IPv4, IPv6, Unix; two addresses and, for IP, two ports
_MOST_TRANSPORT = 2
_CHECKSUM = 0x03


class ProxyProtocolError(ValueError):
    """Not a PROXY header, or not one that means one thing only; the connection is to be closed (2.1, 2.2)."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header of `length` bytes; what follows them is the connection's own.

    `local`: the proxy speaks for itself (a health check), so the connection's own addresses are the right ones. Else
    `source` is who connected to the proxy, None where it does not say (UNKNOWN, UNSPEC, a Unix socket, a datagram).
    IPv4-mapped IPv6 addresses are IPv4.
    """

    version: int
    local: bool
    source: IPv4Address | IPv6Address | None
    length: int


def read(data: bytes) -> ProxyHeader | None:
    """The header that `data` begins with, None while more bytes are needed. Raises ProxyProtocolError."""
    if data.startswith(_LINE_START):
        return _line(data)
    if data.startswith(_SIGNATURE):
        return _block(data)
    if _LINE_START.startswith(data) or _SIGNATURE.startswith(data):
        return None
    raise ProxyProtocolError("the connection does not begin with a PROXY header")


def begins(data: bytes) -> bool | None:
    """True where `data` begins as a PROXY header does and nothing else would, None while it may yet turn out to."""
    if data.startswith((_LINE_START, _SIGNATURE)):
        return True
    return None if _LINE_START.startswith(data) or _SIGNATURE.startswith(data) else False


def _line(data: bytes) -> ProxyHeader | None:
    found = _NOT_PRINTABLE.search(data, 0, LINE_LIMIT - 1)
    if found is None:
        if len(data) >= LINE_LIMIT - 1:
            raise ProxyProtocolError(f"a PROXY line of more than {LINE_LIMIT} bytes")
        return None
    end = found.start()
    ending = data[end : end + 2]
    if ending == b"\r":
        return None
    if ending != b"\r\n":
        raise ProxyProtocolError("a PROXY line ends with CR LF and has no other control character")
    return ProxyHeader(1, local=False, source=_line_source(data[:end].decode("ascii")), length=end + 2)


def _line_source(line: str) -> IPv4Address | IPv6Address | None:
    said = _LINE.fullmatch(line)
    if said is None:
        if _UNKNOWN.fullmatch(line) is not None:
            return None
        raise ProxyProtocolError(f"not a PROXY line: `{line}`")
    family, source, destination, *ports = said.groups()
    kind = IPv4Address if family == "TCP4" else IPv6Address
    try:
        address = kind(source)
        kind(destination)
    except ValueError as error:
        raise ProxyProtocolError(f"not a PROXY line: {error}") from error
    if max(map(int, ports)) > 0xFFFF:
        raise ProxyProtocolError(f"a port above 65535 in the PROXY line `{line}`")
    return _unmapped(address)


def _block(data: bytes) -> ProxyHeader | None:
    command = data[12:13]
    if command and command[0] not in {_LOCAL, _PROXY}:
        raise ProxyProtocolError(f"version and command 0x{command[0]:02x} in a PROXY header")
    if len(data) < _FIXED:
        return None
    size = int.from_bytes(data[14:16], "big")
    if size > BLOCK_LIMIT:
        raise ProxyProtocolError(f"a PROXY header with {size} bytes of addresses and more")
    local = data[12] == _LOCAL  # its family and block mean nothing, whatever they are
    family, transport = divmod(data[13], 16)
    least = 0
    if not local:
        if family not in {_UNSPECIFIED, *_ADDRESSES} or transport > _MOST_TRANSPORT:
            raise ProxyProtocolError(f"family and transport 0x{data[13]:02x} in a PROXY header")
        least = _ADDRESSES.get(family, 0)
        if size < least:
            raise ProxyProtocolError(f"a PROXY header of family {family} with {size} bytes of addresses")
    length = _FIXED + size
    if len(data) < length:
        return None
    source = None
    if least and transport != _UNSPECIFIED:
        _check_extensions(data[:length], _FIXED + least)
        source = _block_source(data, family) if transport == _STREAM else None
    return ProxyHeader(2, local, source, length)


def _block_source(data: bytes, family: int) -> IPv4Address | IPv6Address | None:
    if family == 1:
        return IPv4Address(data[16:20])
    return _unmapped(IPv6Address(data[16:32])) if family == 2 else None


def _check_extensions(header: bytes, start: int) -> None:
    """The TLVs (2.2) fill what is left exactly, and the checksum among them, if there is one, is right (2.2.3)."""
    at, checksum_at = start, None
    while at < len(header):
        size = int.from_bytes(header[at + 1 : at + 3], "big")
        if at + 3 + size > len(header):
            raise ProxyProtocolError("a TLV that is longer than its PROXY header")
        if header[at] == _CHECKSUM:
            if size != 4 or checksum_at is not None:
                raise ProxyProtocolError("a PROXY header has one checksum of four bytes, or none")
            checksum_at = at + 3
        at += 3 + size
    if checksum_at is not None:
        without = header[:checksum_at] + bytes(4) + header[checksum_at + 4 :]
        if header[checksum_at : checksum_at + 4] != crc32c(without).to_bytes(4, "big"):
            raise ProxyProtocolError("the checksum of a PROXY header is wrong")


def _unmapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    return getattr(address, "ipv4_mapped", None) or address


def _crc_table() -> tuple[int, ...]:
    table = []
    for start in range(256):
        value = start
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 4960, Appendix B)."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC_TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
