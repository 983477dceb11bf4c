"""A mail server that writes down every byte of a request, and other servers' eyes to look at it with.

What arrives is judged here without the product's parsers: a head is read strictly, a query is read as SOGo and as PHP read
it, a body with a foreign WBXML reader.
"""

from __future__ import annotations

import base64
import re
import socket
import socketserver
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from pyactivesync._wbxml import WBXMLReader

if TYPE_CHECKING:
    from collections.abc import Callable

HEADERS = {
    "host", "ms-asprotocolversion", "x-ms-policykey", "authorization", "user-agent", "accept", "accept-language",
    "accept-encoding", "cookie", "ms-asacceptmultipart", "client-request-id", "x-forwarded-for", "x-forwarded-host",
    "content-type", "content-length",
}  # fmt: skip
LISTS = {"accept", "accept-language", "accept-encoding", "cookie"}
"""Headers whose lines are one list, wherever it is broken (RFC 9110 5.3), and which decide nothing."""
_VALUE = r"(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+"
_MORE = "AttachmentName|CollectionId|ItemId|LongId|Occurrence|SaveInSent|AcceptMultiPart"
_PLAIN = re.compile(
    rf"Cmd=[A-Z][A-Za-z]+(?:&User={_VALUE})?&DeviceId=[A-Za-z0-9]{{1,32}}&DeviceType={_VALUE}(?:&(?:{_MORE})={_VALUE})*"
)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_BASIC = re.compile(r"Basic [A-Za-z0-9+/]+=*")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e\x80-\xff]*)")
_CODES = (
    "Sync", "SendMail", "SmartForward", "SmartReply", "GetAttachment", "na", "na", "na", "na", "FolderSync", "FolderCreate",
    "FolderDelete", "FolderUpdate", "MoveItems", "GetItemEstimate", "MeetingResponse", "Search", "Settings", "Ping",
    "ItemOperations", "Provision", "ResolveRecipients", "ValidateCert",
)  # fmt: skip
_TAGS = ("AttachmentName", "CollectionId", "na", "ItemId", "LongId", "na", "Occurrence", "Options", "User")


@dataclass(frozen=True)
class Arrived:
    """A request as it arrived; `broken` says why its bytes are none."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    broken: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name, in lower case."""
        return next((value for known, value in self.headers if known.lower() == name), None)

    @property
    def query(self) -> str:
        """What is behind the first `?` of the target."""
        return self.line.split(" ")[1].partition("?")[2]

    @property
    def is_options(self) -> bool:
        """True for OPTIONS, the only thing that is asked without a decision."""
        return self.line.startswith("OPTIONS ")

    @property
    def login(self) -> str:
        """Who logs in, as the mail server takes it: without a domain, `%40` for `@`."""
        return self.credentials[0]

    @property
    def credentials(self) -> tuple[str, str]:
        """Login and password, as the mail server takes them."""
        sent = base64.b64decode((self.header("authorization") or "Basic Og==").removeprefix("Basic "))
        login, _, password = sent.decode("utf-8", "replace").partition(":")
        before, backslash, after = login.partition("\\")
        return (after if backslash else before).replace("%40", "@"), password


def objections(request: Arrived, path: str) -> list[str]:
    """What is not canonical about a request that arrived; nothing, if the gateway keeps its promise."""
    if request.broken:
        return [request.broken]
    found = []
    names = [name.lower() for name, _ in request.headers]
    found += [f"{name} comes twice" for name in sorted({name for name in names if names.count(name) > 1} - LISTS)]
    found += [f"{name} goes on" for name in sorted(set(names) - HEADERS)]
    if request.header("content-length") != str(len(request.body)):
        found.append(f"Content-Length {request.header('content-length')}, {len(request.body)} bytes")
    if _BASIC.fullmatch(request.header("authorization") or "") is None:
        found.append(f"`{request.header('authorization')}` is no canonical Authorization")
    if request.is_options:
        if request.line != f"OPTIONS {path} HTTP/1.1" or request.body:
            found.append(f"`{request.line}` with {len(request.body)} bytes")
        return found
    if not request.line.startswith(f"POST {path}?") or not request.line.endswith(" HTTP/1.1"):
        found.append(f"`{request.line}`")
    query = request.query
    if _PLAIN.fullmatch(query) is None and (not query or _BASE64.fullmatch(query) is None):
        found.append(f"the query `{query}` is in no canonical form")
        return found
    sogo, php = as_sogo(query), as_php(query)
    if "&" in query and php != {name: unquote(value) for name, value in sogo.items()}:
        found.append(f"SOGo reads {sogo}, PHP {php}")
    root = root_of(request)
    if root not in {None, sogo["Cmd"]}:
        found.append(f"{sogo['Cmd']} with a {root}")
    return found


def as_sogo(query: str) -> dict[str, str]:
    """The core parameters as SOGo 5.8 reads them (NSString+ActiveSync.m): behind the last `?`, the first that begins so."""
    components = query.rpartition("?")[2].split("&")
    if len(components) == 1:
        components += _sogo_base64(components[0])
    found = {}
    for name in ("Cmd", "User", "DeviceId", "DeviceType"):
        for component in components:
            if component.upper().startswith(name.upper() + "="):
                found[name] = component[len(name) + 1 :]
                break
    return found


def _sogo_base64(text: str) -> list[str]:
    raw = re.sub(r"[^A-Za-z0-9+/]", "", text.partition("=")[0])
    data = base64.b64decode(raw + "=" * (-len(raw) % 4))
    at = 5 + data[4]
    found = [f"Cmd={_CODES[data[1]]}", f"DeviceId={data[5:at].hex().upper()}"]
    at += 1 + data[at]
    found.append(f"DeviceType={data[at + 1 : at + 1 + data[at]].decode('latin-1')}")
    at += 1 + data[at]
    while at < len(data):
        found.append(f"{_TAGS[data[at]]}={data[at + 2 : at + 2 + data[at + 1]].decode('latin-1')}")
        at += 2 + data[at + 1]
    return found


def as_php(query: str) -> dict[str, str]:
    """The core parameters as PHP reads them (Z-Push): the last of each, decoded."""
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return {name: pairs[name] for name in ("Cmd", "User", "DeviceId", "DeviceType") if name in pairs}


def root_of(request: Arrived) -> str | None:
    """The name of the root element of a WBXML body, read by pyactivesync; None for none, and for a message."""
    if not request.body or request.header("content-type") == "message/rfc822":
        return None
    try:
        name = str(WBXMLReader(request.body).parse()[0][0])
    except (IndexError, ValueError, KeyError) as error:
        return f"body that cannot be read ({error!r})"
    return None if name.startswith("page") else name.partition(".")[2]


@dataclass
class RecordingServer:
    """Listens on loopback; `answer` gives the bytes to answer a request with, and the connection goes on if it `keeps`."""

    answer: Callable[[Arrived, bytes], bytes]
    keeps: bool = True
    arrived: list[Arrived] = field(default_factory=list)

    def __post_init__(self) -> None:
        recorder = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                recorder._serve(self.connection)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Connection)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, name="recording", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        buffered = b""
        try:
            while True:
                request, raw, buffered = read_request(connection, buffered)
                if request is None:
                    return
                self.arrived.append(request)
                if request.broken:
                    return
                connection.sendall(self.answer(request, raw))
                if not self.keeps:
                    if buffered:
                        self.arrived.append(Arrived("", [], b"", f"{buffered!r} behind a request"))
                    return
        except OSError:
            return


def read_request(connection: socket.socket, buffered: bytes = b"") -> tuple[Arrived | None, bytes, bytes]:
    """The next request, its bytes, and what came behind it; None when the other side has gone."""
    while b"\r\n\r\n" not in buffered:
        more = connection.recv(65536)
        if not more:
            rest = Arrived("", [], b"", f"half a request: {buffered!r}") if buffered else None
            return rest, buffered, b""
        buffered += more
    head, _, rest = buffered.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = []
    for one in lines:
        found = _HEADER.fullmatch(one)
        if found is None:
            return Arrived(line, headers, b"", f"`{one!r}` is no header"), buffered, b""
        headers.append((found[1], found[2]))
    if not re.fullmatch(r"[A-Z]+ [\x21-\x7e]+ HTTP/1\.1", line):
        return Arrived(line, headers, b"", f"`{line!r}` is no request line"), buffered, b""
    lengths = [value for name, value in headers if name.lower() == "content-length"]
    length = int(lengths[0]) if lengths and lengths[0].isdigit() else 0
    while len(rest) < length:
        more = connection.recv(65536)
        if not more:
            return Arrived(line, headers, rest, "half a body"), buffered, b""
        rest += more
    body, rest = rest[:length], rest[length:]
    return Arrived(line, headers, body), head + b"\r\n\r\n" + body, rest


def http_answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} Status", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def converse(
    address: tuple[str, int],
    pieces: list[bytes],
    answers: int,
    silence: float,
    *,
    patience: float = 5,
    source: str | None = None,
) -> tuple[list[bytes], bool]:
    """Send the pieces; the answers that come, read as HTTP, and whether the other side hung up.

    After as many answers as are expected it waits for `silence` seconds for more, before for `patience`. What comes last
    and is no whole answer is the last in the list. `source` is the address to ask from.
    """
    with socket.create_connection(address, timeout=10, source_address=source and (source, 0)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # it has hung up already
                break
        found: list[bytes] = []
        rest = b""
        while True:
            connection.settimeout(patience if len(found) < answers else silence)
            try:
                more = connection.recv(65536)
            except TimeoutError:
                return [*found, rest] if rest else found, False
            except ConnectionResetError:
                more = b""
            if not more:
                return ([*found, rest] if rest else found), True
            rest += more
            while (end := _end(rest)) is not None:
                found.append(rest[:end])
                rest = rest[end:]
            if len(found) >= answers and silence == 0:
                return found, False


def _end(answer: bytes) -> int | None:
    """Where the first answer ends, None when it is not whole."""
    head, found, _ = answer.partition(b"\r\n\r\n")
    if not found:
        return None
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return end if len(answer) >= (end := len(head) + 4 + length) else None
