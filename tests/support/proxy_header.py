"""PROXY headers as proxies write them, for tests."""

from __future__ import annotations

from ipaddress import ip_address

from gatepost.wire.proxy_protocol import crc32c

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


def version_1(source: str, destination: str = "", source_port: int = 50000, port: int = 443) -> bytes:
    family = "TCP6" if ":" in source else "TCP4"
    destination = destination or ("2001:db8::443" if family == "TCP6" else "192.0.2.43")
    return f"PROXY {family} {source} {destination} {source_port} {port}\r\n".encode()


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def block(command: int, family: int, rest: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


def version_2(source: str, *extensions: bytes, checksum: bool = False) -> bytes:
    address = ip_address(source)
    family = 0x11 if address.version == 4 else 0x21
    rest = address.packed * 2 + (50000).to_bytes(2, "big") + (443).to_bytes(2, "big") + b"".join(extensions)
    if not checksum:
        return block(0x21, family, rest)
    blank = block(0x21, family, rest + tlv(3, bytes(4)))
    return blank[:-4] + crc32c(blank).to_bytes(4, "big")


LOCAL = block(0x20, 0, b"")
