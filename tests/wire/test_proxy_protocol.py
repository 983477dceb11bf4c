"""A PROXY header is read, is not whole yet, or is an error; whole and byte by byte alike."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.proxy_header import LOCAL, SIGNATURE, block, tlv, version_1, version_2

from gatepost.wire.proxy_protocol import BLOCK_LIMIT, ProxyProtocolError, begins, crc32c, read

IPV4 = bytes.fromhex("cb007107 c0000201 c350 01bb")  # 203.0.113.7:50000 to 192.0.2.1:443
IPV6 = ip_address("2001:db8::7").packed + ip_address("2001:db8::1").packed + bytes.fromhex("c35001bb")
UNIX = b"/run/a.sock".ljust(108, b"\0") * 2

GOOD = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n", "203.0.113.7"),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255"),
    (b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0"),
    (b"PROXY TCP6 2001:db8::7 2001:DB8::1 50000 443\r\n", "2001:db8::7"),
    (b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", "ffff:" * 7 + "ffff"),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 50000 443\r\n", "203.0.113.7"),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN what is not to be read\r\n", None),
    (b"PROXY UNKNOWN " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", None),
    (block(0x21, 0x11, IPV4), "203.0.113.7"),
    (block(0x21, 0x21, IPV6), "2001:db8::7"),
    (block(0x21, 0x21, ip_address("::ffff:203.0.113.7").packed * 2 + bytes(4)), "203.0.113.7"),
    (block(0x21, 0x11, IPV4 + tlv(4, b"") + tlv(0xEA, b"\1vpce-1") + tlv(4, bytes(50))), "203.0.113.7"),
    (version_2("203.0.113.7", checksum=True), "203.0.113.7"),
    (version_2("2001:db8::7", tlv(2, b"eas.example.com"), checksum=True), "2001:db8::7"),
    (block(0x21, 0x11, IPV4 + tlv(4, bytes(BLOCK_LIMIT - 15))), "203.0.113.7"),
    (block(0x21, 0x12, IPV4), None),
    (block(0x21, 0x22, IPV6), None),
    (block(0x21, 0x31, UNIX), None),
    (block(0x21, 0x32, UNIX + tlv(4, b"x")), None),
    (block(0x21, 0x00, b""), None),
    (block(0x21, 0x00, b"whatever"), None),
    (block(0x21, 0x01, b"whatever"), None),
    (block(0x21, 0x10, IPV4), None),
]

LOCALS = [LOCAL, block(0x20, 0x11, IPV4), block(0x20, 0xFF, b"whatever")]

BAD = [
    b"GET / HTTP/1.1\r\n",
    b"proxy TCP4 203.0.113.7 192.0.2.1 50000 443\r\n",
    b" PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\r\n",
    b"PROXY  TCP4 203.0.113.7 192.0.2.1 50000 443\r\n",
    b"PROXY TCP4 203.0.113.7  192.0.2.1 50000 443\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443 \r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443 1\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1\t50000 443\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\nGET / HTTP/1.1\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\rx",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 443\x00\r\n",
    b"PROXY TCP4 203.0.113.07 192.0.2.1 50000 443\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.01 50000 443\r\n",
    b"PROXY TCP4 203.0.113.256 192.0.2.1 50000 443\r\n",
    b"PROXY TCP4 203.0.113 192.0.2.1 50000 443\r\n",
    b"PROXY TCP4 0xcb.0.113.7 192.0.2.1 50000 443\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 050000 443\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 00\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 50000 99999\r\n",
    b"PROXY TCP4 203.0.113.7 192.0.2.1 +1 443\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 50000 443\r\n",
    b"PROXY TCP6 203.0.113.7 192.0.2.1 50000 443\r\n",
    b"PROXY TCP6 2001:db8::7 192.0.2.1 50000 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::1 50000 443\r\n",
    b"PROXY TCP6 2001:db8::7::1 2001:db8::1 50000 443\r\n",
    b"PROXY TCP6 2001:db8:00000::7 2001:db8::1 50000 443\r\n",
    b"PROXY TCP6 [2001:db8::7] 2001:db8::1 50000 443\r\n",
    b"PROXY UDP4 203.0.113.7 192.0.2.1 50000 443\r\n",
    b"PROXY TCP5 203.0.113.7 192.0.2.1 50000 443\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY UNKNOWN \xff\r\n",
    b"PROXY \r\n",
    b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",  # 108 bytes
    b"PROXY UNKNOWN " + b"x" * 200,
    SIGNATURE[:-1] + b"\r",
    block(0x11, 0x11, IPV4),
    block(0x31, 0x11, IPV4),
    block(0x22, 0x11, IPV4),
    block(0x2F, 0x11, IPV4),
    block(0x21, 0x41, IPV4),
    block(0x21, 0x13, IPV4),
    block(0x21, 0x03, b""),
    block(0x21, 0x11, IPV4[:-1]),
    block(0x21, 0x21, IPV6[:-1]),
    block(0x21, 0x21, IPV4),
    block(0x21, 0x31, UNIX[:-1]),
    block(0x21, 0x11, IPV4 + b"\4"),
    block(0x21, 0x11, IPV4 + b"\4\0"),
    block(0x21, 0x11, IPV4 + b"\4\0\1"),
    block(0x21, 0x11, IPV4 + tlv(4, b"") + b"\4\xff\xff"),
    block(0x21, 0x11, IPV4 + tlv(3, b"abc")),
    block(0x21, 0x11, IPV4 + tlv(3, bytes(4))),
    block(0x21, 0x11, IPV4 + tlv(3, bytes(4)) * 2),
    version_2("203.0.113.7", checksum=True)[:-1] + b"\0",
    version_2("203.0.113.7", checksum=True).replace(bytes([203, 0, 113, 7]), bytes([203, 0, 113, 8])),
    block(0x21, 0x11, IPV4 + tlv(4, bytes(BLOCK_LIMIT - 14))),
    block(0x20, 0x00, bytes(BLOCK_LIMIT + 1)),
]


def outcome(data):
    try:
        return read(data)
    except ProxyProtocolError:
        return ProxyProtocolError


def stepwise(data):
    """The first outcome when the bytes come one by one."""
    for end in range(len(data) + 1):
        found = outcome(data[:end])
        if found is not None:
            return found
    return None


@pytest.mark.parametrize(("header", "source"), GOOD)
def test_who_connected_to_the_proxy(header, source):
    found = read(header)
    assert found.source == (None if source is None else ip_address(source))
    assert found.length == len(header)
    assert not found.local
    assert found.version == (1 if header.startswith(b"PROXY") else 2)
    assert read(header + b"GET / HTTP/1.1\r\n") == found
    assert stepwise(header) == found


@pytest.mark.parametrize("header", LOCALS)
def test_a_proxy_that_speaks_for_itself(header):
    found = read(header + b"OPTIONS")
    assert (found.local, found.source, found.length) == (True, None, len(header))
    assert stepwise(header) == found


@pytest.mark.parametrize("data", BAD)
def test_what_is_not_exactly_the_protocol_is_an_error(data):
    with pytest.raises(ProxyProtocolError):
        read(data)
    assert stepwise(data) is ProxyProtocolError


@pytest.mark.parametrize(("header", "source"), GOOD)
def test_no_beginning_of_a_header_is_read_as_one(header, source):
    assert {outcome(header[:end]) for end in range(len(header))} == {None}


def test_a_line_that_cannot_become_right_is_not_waited_for():
    with pytest.raises(ProxyProtocolError):
        read(b"PROXY UNKNOWN " + b"x" * 92)
    assert read(b"PROXY UNKNOWN " + b"x" * 91) is None
    with pytest.raises(ProxyProtocolError):
        read(SIGNATURE + b"\x21\x11\xff\xff")


def test_the_specifications_longest_lines_fit():
    assert read(b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n").length == 107


def test_what_begins_like_nothing_else():
    for header in (version_1("203.0.113.7"), version_2("203.0.113.7"), b"PROXY nonsense", SIGNATURE):
        assert begins(header) is True
    for data in (b"PROPFIND / HTTP/1.1\r\n", b"PROXYING", b"\r\n\r\nPOST / HTTP/1.1\r\n", b"POST"):
        assert begins(data) is False
    for beginning in (b"", b"P", b"PRO", b"PROXY", b"\r\n", SIGNATURE[:-1]):
        assert begins(beginning) is None


def test_the_checksum_is_the_published_one():
    assert crc32c(b"123456789") == 0xE3069283  # the check value that every table of checksums gives
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


some_header = st.sampled_from([header for header, _ in GOOD if len(header) < 300] + LOCALS)


@given(st.binary(max_size=300) | st.builds(lambda header, rest: header + rest, some_header, st.binary(max_size=20)))
def test_any_bytes_are_read_or_refused_whole_and_byte_by_byte_alike(data):
    assert stepwise(data) == outcome(data)


@given(some_header, st.integers(0, 300), st.integers(0, 255))
def test_one_wrong_byte_is_told_alike(header, place, value):
    changed = bytearray(header)
    changed[place % len(header)] = value
    assert stepwise(bytes(changed)) == outcome(bytes(changed))


@given(st.ip_addresses())
def test_both_versions_name_the_same_address(address):
    expected = getattr(address, "ipv4_mapped", None) or address
    assert read(version_1(str(address))).source == read(version_2(str(address))).source == expected
