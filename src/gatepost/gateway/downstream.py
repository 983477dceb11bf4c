"""A phone's connection: reads requests, one at a time, and writes what their exchanges answer.

A request is looked at when it is whole, or when 64 KiB of it are here (a mail being sent): then the rest streams through.
A body in chunks is spooled to a file first, because mail servers want to be told its length.
"""

from __future__ import annotations

import asyncio
import sys
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


class _Reading:
    """A request as far as it has been read; gone when its exchange has it, because a parked one should weigh little."""

    __slots__ = (
        "body",
        "chunked",
        "head_size",
        "headers",
        "length",
        "lines",
        "method",
        "received",
        "size",
        "spool",
        "url",
    )

    def __init__(self) -> None:
        self.method = b""
        self.url = b""
        self.headers: dict[bytes, bytes] = {}
        self.lines: list[bytes] = []
        self.received = 0  # bytes since it began
        self.head_size = 0
        self.length: int | None = None
        self.chunked = False
        self.body: list[bytes] = []
        self.size = 0
        self.spool: IO[bytes] | None = None

    @property
    def wanted_whole(self) -> bool:
        """Small enough to wait for all of it: Provision and Settings are decoded, and both are small."""
        return self.size <= _LOOK_AT or (self.length or 0) <= _MOST_WHOLE

    def add(self, name: bytes, value: bytes) -> int | None:
        """Take a header; the HTTP status to refuse with, if it may not be."""
        if self.received > _MOST_HEAD:  # more than a head may have: some of it may be a body's
            self.head_size += len(name) + len(value) + 4
            if self.head_size > _MOST_HEAD:
                return 431
        known = KNOWN_HEADERS.get(name) or KNOWN_HEADERS.get(name.lower())
        if known is None:
            return None
        if known.read:
            before = self.headers.get(known.key)
            if before is not None:
                if known.key in _SINGLE:
                    return 400
                value = before + b", " + value
            self.headers[known.key] = value
        if known.line is not None:
            self.lines.append(b"%s%s\r\n" % (known.line, value))
        return None

    def frame(self) -> int | None:
        """Learn how long the body is; the HTTP status to refuse with, if that may not be."""
        encoding = self.headers.get(b"transfer-encoding")
        if encoding is not None:
            self.chunked = True
            if encoding.strip().lower() != b"chunked":
                return 501
        length = self.headers.get(b"content-length")
        self.length = 0 if length is None else int(length)
        return 413 if self.length > _MOST_BODY else None

    def head(self) -> Head:
        """What the exchange gets."""
        length = self.size if self.chunked else self.length or 0
        return Head(self.method, self.url, self.headers, self.lines, length)


class Downstream(asyncio.Protocol):
    """One connection from a phone, or from the proxy that ends its TLS."""

    __slots__ = (
        "_discard",
        "_exchange",
        "_keep_alive",
        "_parser",
        "_paused",
        "_reading",
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
        self.complete = False
        self.deadline = 0.0
        self._exchange: Exchange | None = None
        self._parser: httptools.HttpRequestParser | None = None
        self._reading: _Reading | None = None
        self._paused = False
        self._discard = False
        self._keep_alive = True
        self._version_1_1 = True

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A phone is here."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types it as the base class
        peer = transport.get_extra_info("peername")
        self.peer = sys.intern(peer[0]) if peer else ""
        self.deadline = self._workings.clock.now + _IDLE_SECONDS
        self._workings.downstreams.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The phone has gone: so has its request, at the mail server too."""
        del exc
        self._workings.downstreams.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.abandon()
        if self._reading is not None and self._reading.spool is not None:
            self._reading.spool.close()
        self.transport = self._parser = self._reading = None

    def data_received(self, data: bytes) -> None:
        """Read some of a request."""
        if self.closing:
            return
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpRequestParser(self)
            self.deadline = self._workings.clock.now + _HEAD_SECONDS
        if self._reading is None:
            self._reading = _Reading()
        self._reading.received += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # refused when its head was read
            self.closing = True
        except httptools.HttpParserError:
            if not self.closing:
                self._refuse(400)
        if self.complete:
            self._parser = None
            if self._exchange is not None:
                self._reading = None

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
        self.complete = False

    def on_url(self, url: bytes) -> None:
        """Some of the request target."""
        reading = self._now_reading()
        reading.url += url
        if len(reading.url) > _MOST_HEAD:
            self._refuse(414)
            raise _NotNowError

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        status = self._now_reading().add(name, value)
        if status is not None:
            self._refuse(status)
            raise _NotNowError

    def on_headers_complete(self) -> None:
        """The head is whole."""
        parser, reading = self._parser, self._now_reading()
        assert parser is not None
        reading.method = parser.get_method()
        self._keep_alive = parser.should_keep_alive()
        self._version_1_1 = parser.get_http_version() == "1.1"
        status = 400 if parser.should_upgrade() else reading.frame()  # h2c, CONNECT: would carry what is not looked at
        if status is not None:
            self._refuse(status)
            raise _NotNowError
        if b"expect" in reading.headers and self._version_1_1:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.deadline = self._workings.clock.now + _BODY_SECONDS

    def on_body(self, data: bytes) -> None:
        """Some of a body."""
        if self._discard:
            return
        if self._exchange is not None:
            self._exchange.request_body(data)
            return
        reading = self._now_reading()
        reading.size += len(data)
        self.deadline = self._workings.clock.now + _BODY_SECONDS
        if reading.chunked:
            self._spool(reading, data)
        else:
            reading.body.append(data)
            if not reading.wanted_whole:
                self._begin()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.complete = True
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
        if self.complete or self.closing:
            self._next()
        else:
            self._discard = True
            self.hold(_BODY_SECONDS)
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

    def _now_reading(self) -> _Reading:
        reading = self._reading
        if reading is None:  # a request right behind the one before, in the same bytes
            reading = self._reading = _Reading()
        return reading

    def _begin(self) -> None:
        reading = self._now_reading()
        exchange = Exchange(self._workings, self, reading.head(), b"".join(reading.body), reading.spool)
        self._exchange, self._reading = exchange, None
        exchange.start()

    def _next(self) -> None:
        if not self.keeps_alive:
            if self.transport is not None:
                self.transport.close()
            return
        self._discard = False
        self.deadline = self._workings.clock.now + _IDLE_SECONDS
        self.pause_reading(paused=False)

    def _refuse(self, status: int) -> None:
        self.closing = True
        self._keep_alive = False
        if self._exchange is None and not self._discard:
            self.reply(status)

    def _spool(self, reading: _Reading, data: bytes) -> None:
        if reading.size > _MOST_BODY:
            self._refuse(413)
            raise _NotNowError
        if reading.spool is None:
            reading.spool = tempfile.SpooledTemporaryFile(max_size=_LOOK_AT)  # noqa: SIM115 - closed by the exchange
        reading.spool.write(data)
