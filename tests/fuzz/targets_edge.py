"""What comes before a request is looked at, or beside it: proxies' words, credentials, Autodiscover."""

from __future__ import annotations

import base64
import json
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from xml.etree import ElementTree as ET

from tests.fuzz.target import Target, beginnings, cut_at, now_and_then, promise

from gatepost.wire import autodiscover, basic_auth
from gatepost.wire.client_address import client_address, is_trusted
from gatepost.wire.forwarded import ForwardedError, nodes, read_address
from gatepost.wire.proxy_protocol import LINE_LIMIT, ProxyHeader, ProxyProtocolError, begins, crc32c, read

# -- PROXY protocol


def check_proxy_protocol(data: bytes) -> bool:
    whole = _proxy(data)
    if isinstance(whole, ProxyHeader):
        promise(0 < whole.length <= len(data), "a header longer than what came")
        promise(begins(data), "a header that does not begin like one")
        _check_address(whole.source)
        promise(not (whole.local and whole.source is not None), "a proxy speaks for itself and for another")
        promise(_proxy(data[: whole.length]) == whole, "what follows the header changes it")
        promise(_proxy(data[: whole.length] + b"\x00PROXY \r\n") == whole, "what follows the header changes it")
    if isinstance(whole, ProxyHeader) or now_and_then(data, 8):
        # once it is known what has come, more does not change it
        known: object = None
        for beginning in beginnings(data):
            read_so_far = _proxy(beginning)
            promise(known is None or read_so_far == known, "more bytes change what was known already")
            known = read_so_far
        promise(known in {None, whole}, "whole and byte by byte differ")
    if whole is None:
        promise(len(data) < LINE_LIMIT or data.startswith(b"\r\n\r\n\x00\r\nQUIT\n"), "waits for more than a line")
    return isinstance(whole, ProxyHeader)


def _proxy(data: bytes) -> ProxyHeader | type[ProxyProtocolError] | None:
    try:
        return read(data)
    except ProxyProtocolError:
        return ProxyProtocolError


def _check_address(address: object) -> None:
    promise(address is None or isinstance(address, IPv4Address | IPv6Address), "an address of another kind")
    promise(getattr(address, "ipv4_mapped", None) is None, "a mapped address that is not IPv4")


_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_V4 = IPv4Address("203.0.113.7").packed + IPv4Address("192.0.2.1").packed + b"\xdc\x04\x01\xbb"
_V6 = IPv6Address("2001:db8::7").packed + IPv6Address("2001:db8::1").packed + b"\xdc\x04\x01\xbb"


def _version_2(command: int, family: int, block: bytes, *, checksum: bool = False) -> bytes:
    def header(extensions: bytes) -> bytes:
        size = len(block) + len(extensions)
        return _SIGNATURE + bytes((command, family)) + size.to_bytes(2, "big") + block + extensions

    if not checksum:
        return header(b"")
    return header(b"\x03\x00\x04" + crc32c(header(b"\x03\x00\x04" + bytes(4))).to_bytes(4, "big"))


PROXY_PROTOCOL = Target(
    "proxy-protocol",
    check_proxy_protocol,
    (
        b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\nPOST / HTTP/1.1\r\n",
        b"PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 56324 443\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n",
        _version_2(0x21, 0x11, _V4) + b"OPTIONS * HTTP/1.1\r\n",
        _version_2(0x21, 0x21, _V6),
        _version_2(0x21, 0x11, _V4, checksum=True),
        _version_2(0x21, 0x21, _V6 + b"\x02\x00\x0bexample.com\x20\x00\x05\x01\x00\x00\x00\x00"),
        _version_2(0x20, 0x00, b""),
        _version_2(0x21, 0x00, b"\x04\x00\x02xx"),
        _version_2(0x21, 0x31, bytes(216)),
        _version_2(0x21, 0x12, _V4),
    ),
    cut_at(rb"\r\n|[ .:]|QUIT\n|[\x03\x02\x04\x20]\x00."),
    (
        b"PROXY ", b"TCP4", b"TCP6", b"UNKNOWN", b"\r\n", b"\n", b"\r", b" ", b"  ", b"\t", b"::ffff:10.0.0.1", b"%eth0",
        b"0.0.0.0", b"010.0.0.1", b"::", b"1.2.3", b"65536", b"-1", b"00", _SIGNATURE, b"\x21\x11", b"\x20\x00", b"\x22\x11",
        b"\x11\x11", b"\x21\x31", b"\x21\x41", b"\x21\x13", b"\x00\x0c", b"\x00\x00", b"\x10\x01", b"\x03\x00\x04\x00\x00\x00\x00",
        b"\x04\x00\x00", b"\x04\xff\xff", b"x" * 110, bytes(64), "\u0661".encode(),
    ),
    ("gatepost.wire.proxy_protocol",),
    weight=10,
)  # fmt: skip

# -- Forwarded, X-Forwarded-For: peer, X-Forwarded-For and Forwarded, one line each

_TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1/128"), ip_network("fd00::/8"))
_SEEN = ip_address("198.51.100.9")


def check_client_address(data: bytes) -> bool:
    first, *rest = data.split(b"\n")
    peer = first.decode("latin-1") or None
    said = rest[0] if rest else None
    forwarded = rest[1] if len(rest) > 1 else None
    found = client_address(peer, said, _TRUSTED, forwarded)
    _check_address(found)
    direct = None if peer is None else read_address(peer)
    promise(client_address(peer, said, (), forwarded) == direct, "a proxy that nobody trusts is believed")
    if direct is None or not is_trusted(direct, _TRUSTED):
        promise(found == direct, "a header counts that no trusted proxy sent")
        return found is not None
    # a trusted proxy appends whom it saw: what the phone put before it must not count
    appended = b", 198.51.100.9"
    promise(client_address(peer, (said or b"") + appended, _TRUSTED) == _SEEN, "X-Forwarded-For was forged")
    promise(
        client_address(peer, None, _TRUSTED, (forwarded or b"") + b", for=198.51.100.9") in {_SEEN, None},
        "Forwarded was forged",
    )
    return found is not None


def check_forwarded(data: bytes) -> bool:
    try:
        found = nodes(data)
    except ForwardedError:
        return False
    promise(found, "a header without elements")
    for address in found:
        _check_address(address)
    promise(nodes(data + b', for="[2001:db8::9]:80"') == [*found, ip_address("2001:db8::9")], "what follows changes it")
    promise(nodes(b"for=_a;proto=https, " + data) == [None, *found], "what goes before changes it")
    return True


_ADDRESS_TOKENS = (
    b"203.0.113.7", b"10.0.0.5", b"::1", b"[2001:db8::7]", b"[2001:db8::7]:443", b"203.0.113.7:80", b"::ffff:10.0.0.5",
    b"fe80::1%eth0", b"%", b"unknown", b"_hidden", b",", b", ", b" ,", b",,", b";", b"for=", b'For="', b"by=", b"host=",
    b"proto=http", b'"', b"\\", b'\\"', b"[", b"]", b":", b":0", b":99999", b":_x", b"\t", b"\x00", b"\xff", b"1.2.3.4.5",
    b"010.1.1.1", b"1e1.0.0.1", b"0x7f.1", b"a" * 101, b"10.0.0.5, " * 40, "\u0661".encode(), b"for=10.0.0.1;for=2.2.2.2",
)  # fmt: skip

CLIENT_ADDRESS = Target(
    "client-address",
    check_client_address,
    (
        b"10.0.0.1\n203.0.113.7\nfor=203.0.113.7",
        b"10.0.0.1\n192.0.2.66, 203.0.113.7:8443, 10.0.0.5",
        b"::1\n[2001:db8::7]:443, ::ffff:10.0.0.1",
        b'::ffff:10.0.0.1\n\nfor="[2001:db8::7]:4711";proto=https;by=10.0.0.1, for=10.2.3.4',
        b"203.0.113.9\n1.2.3.4\nfor=1.2.3.4",
        b"fe80::1%eth0",
        b"\n1.2.3.4",
    ),
    cut_at(rb"[\n,;=:.\[\]\" ]"),
    _ADDRESS_TOKENS,
    ("gatepost.wire.client_address", "gatepost.wire.forwarded"),
    weight=10,
)  # fmt: skip

FORWARDED = Target(
    "forwarded",
    check_forwarded,
    (
        b'for="_gazonk"',
        b'For="[2001:db8:cafe::17]:4711"',
        b"for=192.0.2.60;proto=http;by=203.0.113.43",
        b"for=192.0.2.43, for=198.51.100.17",
        b'for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown',
        b'for=_hidden, for=_SEVKISEK;host="a\\"b"',
        b'  for="192.0.2.43:47011" ; by="unknown:_x" ,, proto=https ',
    ),
    cut_at(rb"[,;=\"\\\[\]: ]"),
    _ADDRESS_TOKENS,
    ("gatepost.wire.forwarded",),
    weight=8,
)

# -- Basic


def check_basic_auth(data: bytes) -> bool:
    """The first byte says whether the rest is a header or what is inside of one."""
    header = b"Basic " + base64.b64encode(data[1:]) if data[:1] == b"+" else data[1:]
    credentials = basic_auth.parse(header)
    login = basic_auth.login(header)
    promise((credentials is None) == (login is None), "parse and login disagree")
    if credentials is None:
        return False
    promise(credentials.login == login, "two logins in one header")
    promise(credentials.login.strip() and ":" not in credentials.login, "a login")
    for text in (credentials.login, credentials.password):
        promise(not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in text), "a control character")
    promise(repr(credentials) == f"Credentials(login={credentials.login!r})", "a password is shown")
    canonical = basic_auth.canonical(header)
    promise(basic_auth.parse(canonical) == credentials, "the one spelling says something else")
    promise(basic_auth.canonical(canonical) == canonical, "the one spelling has another")
    rendered = basic_auth.render(credentials)  # in UTF-8, which may be longer than what came
    if len(rendered) <= basic_auth.HEADER_LIMIT:
        promise(basic_auth.parse(rendered) == credentials, "written and read again it is something else")
    return True


BASIC_AUTH = Target(
    "basic-auth",
    check_basic_auth,
    (
        b"+alice@example.com:correct horse",
        b"+EX\\alice:p:a:s:s",
        b"+\xe4lice:gr\xfc\xdf",
        "+älice:grüß".encode(),
        b"-Basic YWxpY2U6c2VjcmV0",
        b"-basic   YWxpY2U6  ",
        b"-Negotiate YIIJ",
    ),
    cut_at(rb"[ :=\\@+]"),
    (b":", b"::", b" ", b"\t", b"=", b"==", b"Basic ", b"BASIC", b"Bearer ", b"\x00", b"\r\n", b"\x7f", b"\xc2\x85", b"\xff",
     b"YTpi", b"YTpi=", b"YQ", b"-_", b"\xe2\x80\xa8", b"\xed\xa0\x80", b"a" * 9000),
    ("gatepost.wire.basic_auth",),
    weight=4,
    longest=12_000,
)  # fmt: skip

# -- Autodiscover


def check_autodiscover_xml(data: bytes) -> bool:
    try:
        address = autodiscover.read_request(data)
    except autodiscover.AutodiscoverError as error:
        promise(error.code in {600, 601}, "an error with no code of the specification's")
        ET.fromstring(autodiscover.render_error(error))
        return False
    promise(address.count("@") == 1 and 3 <= len(address) <= 257 and not any(map(str.isspace, address)), "an address")
    read = ET.fromstring(autodiscover.render_settings(address, address, "https://x/"))
    promise(address in {element.text for element in read.iter()}, "another address in the answer")
    return True


_REQUEST = (
    b'<?xml version="1.0" encoding="utf-8"?>\n<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/'
    b'mobilesync/requestschema/2006">\n<Request><EMailAddress>alice@example.com</EMailAddress>\n<AcceptableResponseSchema>'
    b"http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006</AcceptableResponseSchema></Request>"
    b"</Autodiscover>"
)
AUTODISCOVER_XML = Target(
    "autodiscover-xml",
    check_autodiscover_xml,
    (
        _REQUEST,
        _REQUEST.replace(b"alice@", "ä&amp;<![CDATA[x]]>@".encode()),
        _REQUEST.replace(b"mobilesync", b"outlook", 1),
        _REQUEST.replace(b"mobilesync", b"outlook"),
        _REQUEST.replace(b"<Request>", b"<!-- c --><?pi x?><Request a='b'><LegacyDN/>"),
        b"\xef\xbb\xbf" + _REQUEST,
        _REQUEST.decode().encode("utf-16"),
    ),
    cut_at(rb"<[^>]*>"),
    (
        b"<!DOCTYPE a>", b'<!DOCTYPE a [<!ENTITY x "xxxxxxxx">]>', b"&x;", b"&#0;", b"&#x110000;", b"&#xD800;", b"&amp;", b"]]>",
        b"<![CDATA[", b"<a>", b"</a>", b"<a/>", b"<Request>", b"</Request>", b"<EMailAddress>", b"</EMailAddress>", b"<x:y/>",
        b" xmlns='urn:x'", b" xmlns:a='urn:y' a:b='c'", b' encoding="utf-16"', b' encoding="ascii"', b' version="1.1"',
        b"<?xml version='1.0'?>", b"\x00", b"\xff\xfe", b"\xc0\xaf", b"@", b"a@b@c", b"<a>" * 70, b" " * 1100, b"<a b='" + b"c" * 999,
    ),
    ("gatepost.wire.autodiscover",),
    weight=5,
)  # fmt: skip


def check_autodiscover_json(data: bytes) -> bool:
    path, _, query = data.partition(b"?")
    version = autodiscover.version(path)
    promise(version in {None, 1, 2}, "a version that there is not")
    if version != 2:
        return version == 1
    answer = autodiscover.answer_json(path, query, {"ActiveSync": "https://x/", "AutodiscoverV1": "https://y/"})
    promise(answer.status in {200, 400, 404}, "another status")
    if answer.body:
        promise(isinstance(json.loads(answer.body), dict), "not an object")
    return answer.status == 200


AUTODISCOVER_JSON = Target(
    "autodiscover-json",
    check_autodiscover_json,
    (
        b"/autodiscover/autodiscover.json?Email=alice%40example.com&Protocol=ActiveSync&RedirectCount=1",
        b"/AutoDiscover/AutoDiscover.json/v1.0/alice@example.com?Protocol=AutodiscoverV1",
        b"/autodiscover/autodiscover.json/v1.0/?protocol=EWS",
        b"/autodiscover/autodiscover.xml",
    ),
    cut_at(rb"[/?&=]"),
    (
        b"/", b"//", b"?", b"&", b"=", b";", b"%", b"%00", b"%2F", b"%C3%A9", b"%ff", b"v1.0", b"v2.0", b"Email=", b"Email=a@b",
        b"&Protocol=ActiveSync", b"&Protocol=", b"&protocol=Activesync", b"&a=b" * 20, b"..", b"\xc4\xb0", b"\xff", b"\x00", b"json",
    ),
    ("gatepost.wire.autodiscover",),
    weight=3,
)  # fmt: skip
