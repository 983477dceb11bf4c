"""HTTP: a phone's bytes through a whole gateway, and the mail server's answer."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import urlsplit
from zlib import crc32

from tests.fuzz.gateway_rig import ANSWERS, PEER, Outcome, Rig, Transport, basic, request_of
from tests.fuzz.target import Target, cut_at, now_and_then, promise
from tests.fuzz.targets_eas import WBXML_SEEDS
from tests.fuzz.targets_edge import AUTODISCOVER_XML, PROXY_PROTOCOL
from tests.support.gateway import FOLDER_SYNC, PING, SYNC

from gatepost.gateway.configuration import upstream_address
from gatepost.gateway.forwarding import content_type
from gatepost.gateway.locations import LocationRefused, Locations
from gatepost.gateway.outbox import Outbox
from gatepost.gateway.upstream_connection import UpstreamConnection
from gatepost.wire import proxy_protocol
from gatepost.wire.eas.request import parse_query
from gatepost.wire.wbxml import Element, encode


def check_http(data: bytes) -> bool:
    return _check(data, PEER, proxied=False)


def check_http_behind_a_proxy(data: bytes) -> bool:
    try:
        header = proxy_protocol.read(data)
    except proxy_protocol.ProxyProtocolError:
        header = None
    if header is None:
        outcome = Rig(proxied=True).give((data,))
        promise(
            not outcome.sent and not outcome.answered, "a proxy that does not say for whom it speaks is listened to"
        )
        return False
    source = PEER if header.local else str(header.source or "")
    return _check(data, None if source == PEER else source, proxied=True)


def _check(data: bytes, address: str | None, *, proxied: bool) -> bool:
    """`address`: from where the mail server must be told that the request comes, "" if it is not; None: cannot be said."""
    mostly = crc32(data) >> 8
    settings = {"proxied": proxied, "answer": ANSWERS[mostly % 16 if mostly % 16 < len(ANSWERS) else 0]}
    rig = Rig(**settings)
    whole = rig.give((data,))
    _check_requests(whole, address)
    _check_answers(whole)
    if settings["answer"] is ANSWERS[0] and now_and_then(
        data, 4
    ):  # the head is recognised when it comes for the third time
        for _ in range(3):
            rig.connect()
            promise(rig.give((data,)) == whole, "the same bytes again have another outcome")
    if now_and_then(data, 16):
        _same(whole, Rig(**settings).give(_bytes(data)))
    else:
        cuts = sorted(random.Random(crc32(data)).randrange(len(data) + 1) for _ in range(2))
        _same(whole, Rig(**settings).give((data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] :])))
    if now_and_then(data, 8):
        unknown = Rig(known=False, **settings).give((data,))
        _check_requests(unknown, address)
        promise(len(unknown.sent) <= len(whole.sent), "more reaches the mail server of a stranger")
    return bool(whole.sent)


def _bytes(data: bytes) -> list[bytes]:
    """One by one; what comes behind the first 2000, a long body, in handfuls."""
    cuts = [*range(min(len(data), 2000)), *range(2000, len(data), 61), len(data)]
    return [data[start:end] for start, end in pairwise(cuts)]


def _same(whole: Outcome, pieces: Outcome) -> None:
    if pieces.waited:
        # What came later came after an answer, and was another request then. And where the credentials were asked about
        # while a long body came, they are refused before the body is.
        promise(pieces.sent[:1] == whole.sent[:1], "whole and in pieces, something else goes to the mail server")
        promise(pieces.answered[9:10] == whole.answered[9:10], "whole and in pieces, the answer is of another kind")
    else:
        promise(pieces == whole, "whole and in pieces differ")


def _check_requests(outcome: Outcome, address: str | None) -> None:
    for data in outcome.sent:
        request = request_of(data)
        if request is None:
            continue
        method, target, headers, body = request
        promise(headers[b"host"] == b"mail.example.com", "another host")
        if address is not None:
            promise(headers.get(b"x-forwarded-for", b"") == address.encode(), "another address")
        promise(b"transfer-encoding" not in headers and b"connection" not in headers, "a hop's own header")
        promise(headers[b"authorization"], "a request without credentials")
        path, _, query = target.partition(b"?")
        promise(path == b"/Microsoft-Server-ActiveSync", "another path")
        if method == b"OPTIONS":
            promise(not query and not body, "OPTIONS with a query or a body")
            continue
        promise(method == b"POST", "another method")
        eas = parse_query(query, headers[b"ms-asprotocolversion"], headers.get(b"x-ms-policykey"))
        promise(eas.device_type != "Denied", "a denied device")
        # the body that the command has, or WrongBody is raised
        found = content_type(eas, headers, body, empty=not body)
        promise(found == headers.get(b"content-type"), "another content type")


def _check_answers(outcome: Outcome) -> None:
    rest = outcome.answered
    while rest:
        head, end, rest = rest.partition(b"\r\n\r\n")
        promise(end and head.startswith(b"HTTP/1.1 ") and head[9:12].isdigit(), "no answer of HTTP")
        promise(head.count(b"\r") == head.count(b"\n") == head.count(b"\r\n"), "a line's end inside of a line")
        if head[9:12] == b"100":
            continue
        said = [line.lower() for line in head.split(b"\r\n")]
        lengths = [line for line in said if line.startswith(b"content-length: ")]
        if b"transfer-encoding: chunked" in said:
            promise(not lengths, "chunks and a length")
            _, end, rest = rest.partition(b"\r\n0\r\n\r\n")
            promise(end, "chunks without an end")
        elif lengths:
            promise(len(lengths) == 1, "two lengths")
            length = int(lengths[0].partition(b": ")[2])
            promise(len(rest) >= length, "less of an answer than was said")
            rest = rest[length:]
        else:
            promise(b"connection: close" in said and outcome.closed, "an answer without an end")
            rest = b""


def _post(query: str, body: bytes, *headers: str, path: str = "/Microsoft-Server-ActiveSync") -> bytes:
    lines = [f"POST {path}?{query} HTTP/1.1", "Host: eas.example.com", f"Authorization: {basic()}"]
    lines += ["User-Agent: Apple-iPhone14C5/2106.90", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


_DEVICE = "User=alice%40example.com&DeviceId=Appl0123456789&DeviceType=iPhone"
_WBXML = "Content-Type: application/vnd.ms-sync.wbxml"
_VERSION = "MS-ASProtocolVersion: 14.1"


def _plain(command: str, body: bytes, *headers: str) -> bytes:
    return _post(f"Cmd={command}&{_DEVICE}", body, _VERSION, _WBXML, *headers, f"Content-Length: {len(body)}")


_LONG = _plain(
    "SendMail", encode(Element("ComposeMail:SendMail", (Element("ComposeMail:Mime", opaque=b"x" * 17_000),)))
)

HTTP = Target(
    "http",
    check_http,
    (
        _plain("FolderSync", FOLDER_SYNC),
        _plain("Ping", PING, "X-MS-PolicyKey: 1307199584", "Accept: */*", "Accept-Language: en-us", "Cookie: a=b"),
        _plain("Sync", SYNC, "Expect: 100-continue"),
        _plain("Provision", WBXML_SEEDS[0]),
        _plain("Settings", WBXML_SEEDS[5], "Connection: close"),
        _plain("SendMail", WBXML_SEEDS[7]),
        _post(f"Cmd=SendMail&{_DEVICE}", b"From: a\r\n\r\nb", "MS-ASProtocolVersion: 12.1", "Content-Type: message/rfc822", "Content-Length: 12"),
        _post(f"Cmd=Sync&{_DEVICE}", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SYNC), SYNC), _VERSION, _WBXML, "Transfer-Encoding: chunked"),
        _post("jQAJBBBOaW5lMzQyQkEzRjNFNkM2BAAAAAAHQW5kcm9pZAcBAA==", SYNC, _WBXML, f"Content-Length: {len(SYNC)}"),
        _post(f"Cmd=FolderSync&{_DEVICE.replace('iPhone', 'Denied')}", FOLDER_SYNC, _VERSION, f"Content-Length: {len(FOLDER_SYNC)}"),
        _post(f"Cmd=GetAttachment&AttachmentName=5%3a2&{_DEVICE}", b"", _VERSION, "Content-Length: 0"),
        f"OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: x\r\nAuthorization: {basic()}\r\n\r\n".encode(),
        f"OPTIONS /Microsoft-Server-ActiveSync?{_DEVICE} HTTP/1.0\r\nAuthorization: {basic('bob', 'no')}\r\n\r\n".encode(),
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        b"GET /autodiscover/autodiscover.json?Email=a@example.com&Protocol=ActiveSync HTTP/1.1\r\nHost: x:8443\r\n\r\n",
        _post(
            "",
            AUTODISCOVER_XML.seeds[0],
            "Content-Type: text/xml",
            f"Content-Length: {len(AUTODISCOVER_XML.seeds[0])}",
            path="/Autodiscover/Autodiscover.xml",
        ),
        _LONG,
    ),
    cut_at(rb"\r\n\r\n|\r\n|[?&: =]"),
    (
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"\r\n ", b"\r\n\t", b" ", b"\t", b":", b"\x00", b"\x0b", b"\xff", b"?", b"#", b"&",
        b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"POST ", b"OPTIONS ", b"GET ", b"PRI * HTTP/2.0", b"CONNECT ", b"*",
        b"http://evil.example.com", b"//", b"/./", b"/../", b"%2e", b"%2F", b";", b"/Microsoft-Server-ActiveSync",
        b"/microsoft-server-activesync/default.eas", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: +5\r\n",
        b"Content-Length: 5, 5\r\n", b"Content-Length:\r\n", b"content-length: 18446744073709551616\r\n", b"Content-Length : 3\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n", b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n", b"transfer-encoding: CHUNKED\r\n", b"Transfer-Encoding: gzip\r\n", b"TE: trailers\r\n",
        b"0\r\n\r\n", b"5\r\nabcde\r\n", b"fffffffffffffffff\r\n", b"-1\r\n", b"5;a=b\r\n", b"0\r\nContent-Length: 3\r\n\r\n", b"0x5\r\n",
        b"Host: evil\r\n", b"Authorization: Basic Ym9iOng=\r\n", b"Authorization: Basic\r\n", b"X-Forwarded-For: 10.0.0.1\r\n",
        b"Forwarded: for=10.0.0.1\r\n", b"MS-ASProtocolVersion: 12.1\r\n", b"X-MS-PolicyKey: 7\r\n", b"Content-Type: message/rfc822\r\n",
        b"User-Agent: \xff\r\n", b"Cookie: c\r\n", b"Connection: close\r\n", b"Connection: keep-alive, Content-Length\r\n",
        b"Connection: Authorization\r\n", b"Expect: 100-continue\r\n", b"Expect: 200-ok\r\n", b"Upgrade: websocket\r\n", b"X: " + b"y" * 3000 + b"\r\n",
        b"A: b\r\n" * 200, b"&Cmd=Ping", b"&DeviceId=X", FOLDER_SYNC, PING, b"\x03\x01\x6a\x00", b"PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n",
        _plain("Sync", SYNC), _plain("FolderSync", FOLDER_SYNC),
    ),
    ("gatepost.gateway.downstream", "gatepost.gateway.reading", "gatepost.gateway.exchange", "gatepost.gateway.forwarding"),
    weight=10,
    longest=40_000,
)  # fmt: skip


_SOME = tuple(seed for seed in HTTP.seeds if len(seed) < 1000)[:6]
HTTP_BEHIND_A_PROXY = replace(
    HTTP,
    name="http-behind-a-proxy",
    check=check_http_behind_a_proxy,
    seeds=tuple(header.partition(b"\r\nPOST")[0] + seed for header in PROXY_PROTOCOL.seeds[1:] for seed in _SOME),
    tokens=HTTP.tokens + PROXY_PROTOCOL.tokens,
    watched=("gatepost.gateway.preamble", "gatepost.gateway.client", "gatepost.gateway.downstream"),
    weight=4,
)


# -- where an answer sends a request


def check_location(data: bytes) -> bool:
    """The first byte is the status, the second says from which server; then header lines."""
    status = (301, 302, 307, 308, 451, 451, 300, 404)[data[0] % 8 if data else 0]
    current = (_HOME, _OTHER)[data[1] % 2 if data[1:] else 0]
    lines = data[2:].split(b"\r\n")
    try:
        address = _LOCATIONS.read(status, lines, current, b"gate.example.com")
    except LocationRefused as refused:
        promise(refused.reason and len(str(refused.host or "")) < 2100, "an error without a reason")
        return False
    promise((address.host, address.port) in _ALLOWED, "credentials go to a host that nobody allowed")
    promise(address.tls, "credentials go in the clear")
    promise(address != current, "to itself")
    promise(re.fullmatch(rb"(/[A-Za-z0-9._~-]+)+", address.path), "a path that could be read in several ways")
    promise(b"/../" not in address.path and b"/./" not in address.path, "a path that leads elsewhere")
    promise(re.fullmatch(rb"[a-z0-9.-]+(:[0-9]+)?|\[[0-9a-f:]+\](:[0-9]+)?", address.authority), "an authority")
    # another reader of URLs goes to the same place
    if address not in {_HOME, replace(current, path=address.path)}:
        hosts = {_host(line.partition(b":")[2].strip().decode("latin-1")) for line in lines}
        promise(address.host in hosts, "another reader goes elsewhere")
    return True


def _host(url: str) -> str | None:
    try:
        host = urlsplit(url).hostname or ""
        return str(ip_address(host)) if ":" in host else host
    except ValueError:
        return None


_HOME = upstream_address("https://mail.example.com")
_OTHER = upstream_address("https://two.example.com:8443")
_ALLOWED = {("mail.example.com", 443), ("two.example.com", 8443), ("two.example.com", 443), ("2001:db8::1", 443)}
_LOCATIONS = Locations(_HOME, ("two.example.com", "two.example.com:8443", "[2001:db8::1]"), "https://gate.example.com")

LOCATION = Target(
    "location",
    check_location,
    (
        b"\x04\x00X-MS-Location: https://two.example.com/Microsoft-Server-ActiveSync",
        b"\x01\x00Server: x\r\nLocation: https://two.example.com:8443/owa/Microsoft-Server-ActiveSync?Cmd=Sync&User=a",
        b"\x02\x01location: //mail.example.com/Microsoft-Server-ActiveSync/default.eas",
        b"\x03\x01Location: /a/Microsoft-Server-ActiveSync",
        b"\x04\x00x-ms-location: HTTPS://[2001:DB8::1]:443/",
        b"\x05\x01Server: x",
        b"\x01\x00Location: http://two.example.com/",
    ),
    cut_at(rb"\r\n|[/:?#@.\[\] ]"),
    (
        b"/", b"//", b"///", b"\\", b"@", b":", b"#", b"?", b"%", b"%2e", b"%40", b"https://", b"http://", b"HTTPS:", b"javascript:", b"..",
        b"/./", b"/../", b"evil.example.com", b"two.example.com", b"mail.example.com", b"gate.example.com", b"two.example.com:", b":443", b":8443",
        b":0", b":65536", b":0443", b":99999999999", b"[::1]", b"[2001:db8::1]", b"[::ffff:10.0.0.1]", b"[2001:db8::1%25a]", b"user:pass@", b".",
        b"\t", b"\x00", b"\xff", b"\r\nLocation: https://evil.example.com/", b"X-MS-Location:", b"location:", b" ", b"a" * 2100, "\u3002".encode(),
    ),
    ("gatepost.gateway.locations",),
    weight=4,
)  # fmt: skip


# -- what the mail server answers


class _Pool:
    def __init__(self) -> None:
        self.outbox = Outbox()
        self.kept: list[bool] = []

    def release(self, connection: UpstreamConnection, *, keep: bool) -> None:
        self.kept.append(keep)

    def lost(self, connection: UpstreamConnection) -> None:
        """Gone."""


class _Receiver:
    """Writes down what it is told; pieces of a body are joined."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.body = b""

    def upstream_head(self, status: int, headers: list[bytes], length: bytes | None) -> None:
        promise(not any(isinstance(said, tuple) for said in self.told), "two heads")
        for line in headers:
            promise(
                line.endswith(b"\r\n") and line.count(b"\n") == 1 and line.count(b"\r") == 1, "a line's end in a header"
            )
        self.told.append((status, tuple(headers), length))

    def upstream_body(self, data: bytes) -> None:
        promise(any(isinstance(said, tuple) for said in self.told), "a body before its head")
        self.body += data

    def upstream_flush(self) -> None:
        """Nothing to be seen."""

    def upstream_complete(self) -> bool:
        self.told.append("complete")
        return True

    def upstream_lost(self, *, answered: bool) -> None:
        self.told.append("lost")
        self.answered = answered


def check_answer(data: bytes) -> bool:
    whole = _answer((data,))
    if now_and_then(data, 8):
        pieces = _answer(_bytes(data))
    else:
        cut = crc32(data) % (len(data) + 1)
        pieces = _answer((data[:cut], data[cut:]))
    promise(whole == pieces, "whole and in pieces differ")
    return "complete" in whole[0]


def _answer(pieces: object) -> tuple[list[object], bytes, list[bool]]:
    """What was told; not, whether the connection is open: bytes behind an answer may close it sooner or later."""
    pool, receiver, transport = _Pool(), _Receiver(), Transport()
    connection = UpstreamConnection(pool)
    connection.connection_made(transport)
    connection.send(receiver, b"", whole=False)
    for piece in pieces:
        if not transport.closing and piece:
            connection.data_received(piece)
    connection.connection_lost(None)
    promise([one for one in receiver.told if isinstance(one, str)] in (["complete"], ["lost"]), "no end, or two")
    return receiver.told, receiver.body, pool.kept


ANSWER = Target(
    "answer",
    check_answer,
    (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.ms-sync.wbxml\r\nContent-Length: 5\r\nMS-Server-ActiveSync: 14.1\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: x\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nabc",
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 451 Redirect\r\nX-MS-Location: https://other.example.com/Microsoft-Server-ActiveSync\r\nContent-Length: 0\r\n\r\n",
    ),
    cut_at(rb"\r\n\r\n|\r\n|[:; ]"),
    (
        b"\r\n", b"\n", b"\r", b"\r\n\r\n", b" ", b":", b"\x00", b"\xff", b"HTTP/1.1 ", b"HTTP/1.1 101 x\r\n\r\n", b"HTTP/1.1 304 x\r\n",
        b"HTTP/1.1 103 x\r\nA: b\r\n\r\n", b"HTTP/1.1 999 x\r\n", b"Content-Length: 3\r\n", b"Content-Length: -3\r\n", b"Content-Length: 3,3\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n", b"0\r\n\r\n", b"ffffffffffffffff1\r\n", b"Upgrade: h2c\r\nConnection: upgrade\r\n",
        b"Set-Cookie: a\r\n", b"X: " + b"z" * 3000 + b"\r\n", b"\r\n folded",
    ),
    ("gatepost.gateway.upstream_connection",),
    weight=4,
)  # fmt: skip
