"""A phone's connection: reads requests, one at a time, and writes what their exchanges answer.

A request is looked at when it is whole, or when 64 KiB of it are here (a mail being sent): then the rest streams through.
A body in chunks is spooled to a file first, because mail servers want to be told its length.
"""

from __future__ import annotations

import asyncio
import tempfile
from http import HTTPStatus
from typing import IO, TYPE_CHECKING

import httptools

from gatepost.gateway.exchange import Exchange
from gatepost.gateway.forwarding import KNOWN_HEADERS, Head

if TYPE_CHECKING:
    from gatepost.gateway.workings import Workings

_MOST_HEAD = 32_768  # bytes: Kerberos tickets make heads of 16 KiB; nginx's large_client_header_buffers allow 32
_LOOK_AT = 65_536  # bytes of a body that are waited for before it is looked at
_MOST_WHOLE = 1_048_576  # bytes of a body that must be whole to be looked at (Settings with out-of-office texts)
_MOST_BODY = 157_286_400  # 150 MiB: Exchange Online's limit for a message, the largest in the field
_IDLE_SECONDS = 90.0  # more than nginx's keep-alive to us (60), so that it closes first
_HEAD_SECONDS = 30.0  # from the first byte to the last of a head
_BODY_SECONDS = 60.0  # without a further byte of a body

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    449: b"Retry after sending a PROVISION command",
    451: b"Redirect",
}
_SINGLE = frozenset(  # two of one of these could mean one thing here and another at the mail server
    {b"authorization", b"host", b"content-type", b"user-agent", b"ms-asprotocolversion", b"x-ms-policykey"}
)


class _NotNowError(Exception):
    """Raised inside a parser callback to stop reading: the reason is in the connection's state."""


class Downstream(asyncio.Protocol):
    """One connection from a phone, or from the proxy that ends its TLS."""

    __slots__ = (
        "_body",
        "_bytes",
        "_chunked",
        "_discard",
        "_exchange",
        "_head_size",
        "_headers",
        "_keep_alive",
        "_length",
        "_lines",
        "_method",
        "_parser",
        "_paused",
        "_reading",
        "_size",
        "_spool",
        "_url",
        "_version_1_1",
        "_workings",
        "closing",
        "complete",
        "deadline",
        "peer",
        "transport",
    )

    def __init__(self, workings: Workings) -> None:
        self._workings = workings
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self.closing = False
        self.deadline = 0.0
        self._exchange: Exchange | None = None
        self._parser: httptools.HttpRequestParser | None = None
        self._paused = False
        self._reading = False
        self._reset()

    def _reset(self) -> None:
        self._method = b""
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._lines: list[bytes] = []
        self._head_size = 0
        self._bytes = 0
        self._body: list[bytes] = []
        self._size = 0
        self._spool: IO[bytes] | None = None
        self._length: int | None = None
        self._chunked = False
        self._discard = False
        self._keep_alive = True
        self._version_1_1 = True
        self.complete = False

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A phone is here."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types it as the base class
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if peer else ""
        self.deadline = self._workings.clock.now + _IDLE_SECONDS
        self._workings.downstreams.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The phone has gone: so has its request, at the mail server too."""
        del exc
        self._workings.downstreams.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        self._drop_spool()
        self.transport = self._parser = None

    def data_received(self, data: bytes) -> None:
        """Read some of a request."""
        if self.closing:
            return
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
            self.deadline = self._workings.clock.now + _HEAD_SECONDS
        if self._length is None and not self._chunked:
            self._bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # refused when its head was read
            self.closing = True
        except httptools.HttpParserError:
            if not self.closing:
                self._refuse(400)
        if not self._reading:
            self._parser = None  # a parked request should weigh little; the next one makes a new one

    def pause_writing(self) -> None:
        """The phone reads slower than the mail server answers."""
        if self._exchange is not None:
            self._exchange.downstream_writable(writable=False)

    def resume_writing(self) -> None:
        """The phone has caught up."""
        if self._exchange is not None:
            self._exchange.downstream_writable(writable=True)

    # -- the parser's side

    def on_message_begin(self) -> None:
        """A request begins; one that does not wait for the answer to the one before ends the connection after that."""
        if self._exchange is not None or self._discard:
            self.closing = True
            raise _NotNowError
        self._reading = True

    def on_url(self, url: bytes) -> None:
        """Some of the request target."""
        self._url += url
        if len(self._url) > _MOST_HEAD:
            self._refuse(414)
            raise _NotNowError

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        if self._bytes > _MOST_HEAD:
            self._measure(name, value)
        known = KNOWN_HEADERS.get(name) or KNOWN_HEADERS.get(name.lower())
        if known is None:
            return
        if known.read:
            if known.key in self._headers:
                value = self._joined(known.key, value)
            self._headers[known.key] = value
        if known.line is not None:
            self._lines.append(b"%s%s\r\n" % (known.line, value))

    def _measure(self, name: bytes, value: bytes) -> None:
        """Called once more bytes have come than a head may have: some of them may be a body's."""
        self._head_size += len(name) + len(value) + 4
        if self._head_size > _MOST_HEAD:
            self._refuse(431)
            raise _NotNowError

    def _joined(self, key: bytes, value: bytes) -> bytes:
        """What two headers of one name mean together."""
        if key in _SINGLE:
            self._refuse(400)
            raise _NotNowError
        return self._headers[key] + b", " + value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser, headers = self._parser, self._headers
        assert parser is not None
        if parser.should_upgrade():  # h2c and CONNECT would carry what is not looked at
            self._refuse(400)
            raise _NotNowError
        self._method = parser.get_method()
        self._keep_alive = parser.should_keep_alive()
        self._version_1_1 = parser.get_http_version() == "1.1"
        self._chunked = b"transfer-encoding" in headers
        if self._chunked and headers[b"transfer-encoding"].strip().lower() != b"chunked":
            self._refuse(501)
            raise _NotNowError
        length = headers.get(b"content-length")
        self._length = 0 if length is None else int(length)
        if self._length > _MOST_BODY:
            self._refuse(413)
            raise _NotNowError
        if b"expect" in headers and self._version_1_1 and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.deadline = self._workings.clock.now + _BODY_SECONDS

    def on_body(self, data: bytes) -> None:
        """Some of a body."""
        if self._discard:
            return
        self._size += len(data)
        if self._exchange is not None:
            self.deadline = self._workings.clock.now + _BODY_SECONDS
            self._exchange.request_body(data)
        elif self._chunked:
            self._spool_body(data)
        else:
            self._body.append(data)
            self.deadline = self._workings.clock.now + _BODY_SECONDS
            if self._size > _LOOK_AT and not self._wanted_whole():
                self._begin()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.complete = True
        self._reading = False
        if self._discard:
            self._next()
        elif self._exchange is None:
            self._begin()

    # -- the exchange's side

    @property
    def keeps_alive(self) -> bool:
        """True when the connection may serve another request."""
        return self._keep_alive and not self.closing

    @property
    def chunks(self) -> bool:
        """True when an answer of unknown length may be sent in chunks."""
        return self._version_1_1

    def close_after(self) -> None:
        """The answer ends with the connection."""
        self._keep_alive = False

    def write(self, data: bytes) -> None:
        """Send some of an answer."""
        if self.transport is not None:
            self.transport.write(data)

    def reply(self, status: int, headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b"") -> None:
        """Send a whole answer; the exchange is over."""
        lines = [self.status_line(status)]
        lines += [b"%s: %s\r\n" % header for header in headers]
        lines.append(b"Content-Length: %d\r\n" % len(body))
        if not self.keeps_alive:
            lines.append(b"Connection: close\r\n")
        lines += (b"\r\n", body)
        self.write(b"".join(lines))
        self.finish()

    def finish(self) -> None:
        """The answer is sent: go on to the next request, once the rest of this one has been read."""
        self._exchange = None
        if self.complete:
            self._next()
        else:
            self._discard = True
            self._body.clear()
            self.deadline = self._workings.clock.now + _BODY_SECONDS
            self.pause_reading(paused=False)

    def abort(self) -> None:
        """Nothing sensible can be said any more: close at once."""
        self._exchange = None
        if self.transport is not None:
            self.transport.abort()

    def pause_reading(self, *, paused: bool) -> None:
        """Stop or go on reading the request's body."""
        if self.transport is not None and paused != self._paused and not self.transport.is_closing():
            self._paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def hold(self, seconds: float) -> None:
        """The exchange sets its own time limit from now on."""
        self.deadline = self._workings.clock.now + seconds

    def expire(self) -> None:
        """The deadline has passed."""
        exchange = self._exchange
        if exchange is not None:
            exchange.expire()
        elif self._parser is not None and not self._discard:
            self._refuse(408)
        else:
            self.abort()

    def drain(self) -> None:
        """The gateway stops: close now if idle, else after the answer."""
        self._keep_alive = False
        if self._exchange is None and self._parser is None and self.transport is not None:
            self.transport.close()

    def status_line(self, status: int) -> bytes:
        """The first line of an answer."""
        return b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES.get(status, b"Status"))

    # -- inside

    def _wanted_whole(self) -> bool:
        """Provision and Settings are decoded, so all of them must be here; both are small."""
        return self._size <= _MOST_WHOLE and (self._length or 0) <= _MOST_WHOLE

    def _begin(self) -> None:
        length = self._size if self._chunked else self._length or 0
        head = Head(self._method, self._url, self._headers, self._lines, length)
        body, self._body, self._headers, self._lines = self._body, [], {}, []
        exchange = self._exchange = Exchange(self._workings, self, head, b"".join(body), self._spool)
        self._spool = None
        exchange.start()

    def _next(self) -> None:
        if not self.keeps_alive:
            if self.transport is not None:
                self.transport.close()
            return
        self._reset()
        self.deadline = self._workings.clock.now + _IDLE_SECONDS
        self.pause_reading(paused=False)

    def _refuse(self, status: int) -> None:
        self.closing = True
        self._keep_alive = False
        if self._exchange is None and self.transport is not None:
            self.complete = True
            self.reply(status)

    def _spool_body(self, data: bytes) -> None:
        if self._size > _MOST_BODY:
            self._refuse(413)
            raise _NotNowError
        if self._spool is None:
            self._spool = tempfile.SpooledTemporaryFile(max_size=_LOOK_AT)  # noqa: SIM115 - closed by the exchange
        self._spool.write(data)

    def _drop_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            self._spool = None
