"""HTTP: a phone's bytes through a whole gateway, and the mail server's answer."""

from __future__ import annotations

import random
from zlib import crc32

from tests.fuzz.gateway_rig import PEER, Outcome, Rig, Transport, basic, request_of
from tests.fuzz.target import Target, cut_at, now_and_then, promise
from tests.fuzz.targets_eas import WBXML_SEEDS
from tests.support.gateway import FOLDER_SYNC, PING, SYNC

from gatepost.gateway.forwarding import content_type
from gatepost.gateway.outbox import Outbox
from gatepost.gateway.upstream_connection import UpstreamConnection
from gatepost.wire.eas.request import parse_query


def check_http(data: bytes) -> bool:
    rig = Rig()
    whole = rig.give((data,))
    _check_requests(whole)
    _check_answers(whole)
    if now_and_then(data, 4):  # the head is recognised when it comes for the third time
        for _ in range(3):
            rig.connect()
            promise(rig.give((data,)) == whole, "the same bytes again have another outcome")
    if now_and_then(data, 16):
        _same(whole, Rig().give([data[at : at + 1] for at in range(len(data))]))
    else:
        cuts = sorted(random.Random(crc32(data)).randrange(len(data) + 1) for _ in range(2))
        _same(whole, Rig().give((data[: cuts[0]], data[cuts[0] : cuts[1]], data[cuts[1] :])))
    if now_and_then(data, 8):
        unknown = Rig(known=False).give((data,))
        _check_requests(unknown)
        promise(len(unknown.sent) <= len(whole.sent), "more reaches the mail server of a stranger")
    return bool(whole.sent)


def _same(whole: Outcome, pieces: Outcome) -> None:
    if pieces.waited:  # what came later came after an answer, and was another request then
        promise(pieces.sent[:1] == whole.sent[:1], "whole and in pieces, something else goes to the mail server")
        promise(pieces.answered[:12] == whole.answered[:12], "whole and in pieces, the answer is another one")
    else:
        promise(pieces == whole, "whole and in pieces differ")


def _check_requests(outcome: Outcome) -> None:
    for data in outcome.sent:
        request = request_of(data)
        if request is None:
            continue
        method, target, headers, body = request
        promise(headers[b"host"] == b"mail.example.com", "another host")
        promise(headers[b"x-forwarded-for"] == PEER.encode(), "another address")
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
        if head[9:12] != b"100":
            lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")]
            promise(len(lengths) == 1, "no length, or two")
            length = int(lengths[0].partition(b": ")[2])
            promise(len(rest) >= length, "less of an answer than was said")
            rest = rest[length:]


def _post(query: str, body: bytes, *headers: str, path: str = "/Microsoft-Server-ActiveSync") -> bytes:
    lines = [f"POST {path}?{query} HTTP/1.1", "Host: eas.example.com", f"Authorization: {basic()}"]
    lines += ["User-Agent: Apple-iPhone14C5/2106.90", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


_DEVICE = "User=alice%40example.com&DeviceId=Appl0123456789&DeviceType=iPhone"
_WBXML = "Content-Type: application/vnd.ms-sync.wbxml"
_VERSION = "MS-ASProtocolVersion: 14.1"


def _plain(command: str, body: bytes, *headers: str) -> bytes:
    return _post(f"Cmd={command}&{_DEVICE}", body, _VERSION, _WBXML, *headers, f"Content-Length: {len(body)}")


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
        pieces = _answer([data[at : at + 1] for at in range(len(data))])
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
