"""One connection to the mail server, and what it tells whoever uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import httptools

from gatepost.gateway.locations import redirects

if TYPE_CHECKING:
    from gatepost.gateway.upstream import Upstream

_MOST_HEAD = 65_536  # bytes of an answer's head: twice what common servers allow


class Receiver(Protocol):
    """Whoever sent a request and takes the answer, piece by piece."""

    def upstream_head(self, status: int, headers: list[bytes], length: bytes | None) -> None:
        """The head of the final answer: header lines, and `length`, its Content-Length, None when chunked or up to the close."""

    def upstream_body(self, data: bytes) -> None:
        """A piece of the body."""

    def upstream_flush(self) -> None:
        """All pieces of one read have been given."""

    def upstream_complete(self) -> bool:
        """The answer is whole; True when the request was sent whole too, so that the connection can serve another."""

    def upstream_lost(self, *, answered: bool) -> None:
        """The connection broke; `answered` tells whether any byte of an answer had come."""

    def upstream_writable(self, *, writable: bool) -> None:
        """The connection's write buffer is full, or has room again."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to the mail server, serving one request at a time."""

    __slots__ = (
        "_bytes",
        "_head_done",
        "_headers",
        "_keep",
        "_length",
        "_parser",
        "_paused",
        "_unframed",
        "idle_since",
        "pool",
        "receiver",
        "reused",
        "transport",
    )

    def __init__(self, pool: Upstream) -> None:
        self.pool = pool
        self.transport: asyncio.Transport | None = None
        self.receiver: Receiver | None = None
        self.reused = False
        self.idle_since = 0.0
        self._parser: httptools.HttpResponseParser | None = None
        self._headers = _NONE
        self._length: bytes | None = None
        self._bytes = 0
        self._keep = True
        self._paused = False
        self._head_done = False
        self._unframed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types it as the base class

    def send(self, receiver: Receiver, data: bytes, *, whole: bool) -> None:
        """Begin a request; `data` is its head and what there is of its body, all of it if `whole`."""
        self.receiver = receiver
        self._bytes = 0
        self._head_done = self._unframed = False
        assert self.transport is not None
        if whole:
            self.pool.outbox.send(self.transport, data)
        else:
            self.transport.write(data)

    def write(self, data: bytes) -> None:
        """More of the request's body."""
        assert self.transport is not None
        self.transport.write(data)

    def abort(self) -> None:
        """Give the request up: the mail server sees the connection close."""
        self.receiver = None
        if self.transport is not None:
            self.transport.abort()

    def pause(self, *, paused: bool) -> None:
        """Stop or go on reading the answer."""
        if paused != self._paused and self.transport is not None and not self.transport.is_closing():
            self._paused = paused
            if paused:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Read some of an answer."""
        if self.receiver is None:  # an answer that nobody asked for (a 408, or worse): never mix it into the next one
            self.abort()
            return
        if not self._head_done:
            self._bytes += len(data)
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._broken()
            return
        receiver = self.receiver
        if receiver is not None:
            receiver.upstream_flush()
            if not self._head_done and self._bytes > _MOST_HEAD:
                self._broken()

    def _broken(self) -> None:
        receiver, self.receiver = self.receiver, None
        if self.transport is not None:
            self.transport.abort()
        if receiver is not None:
            receiver.upstream_lost(answered=True)

    def on_message_begin(self) -> None:
        """The parser met a status line; one behind a whole answer, that nobody asked for, is the end."""
        if self.receiver is None:
            self.abort()
        self._headers = []
        self._length = None
        self._unframed = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser met a header."""
        meaning = _MEANINGS.get(name) or _MEANINGS.get(name.lower(), _PASS)
        if meaning == _PASS:
            self._headers.append(b"%s: %s\r\n" % (name, value))
        elif meaning == _LENGTH:
            self._length = value
            self._unframed = False
        elif meaning == _ENCODING:
            self._unframed = False
        elif meaning == _OFFER:
            line = self.pool.offer.line(name, value)
            if line is not None:
                self._headers.append(line)
        elif meaning == _AWAY:  # a phone that followed would leave the gateway behind; of a redirection, we may
            assert self._parser is not None
            if redirects(self._parser.get_status_code()):
                self._headers.append(b"%s: %s\r\n" % (name, value))

    def on_headers_complete(self) -> None:
        """The parser met the end of a head."""
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200 or self.receiver is None:
            return
        self._head_done = True
        self._keep = self._parser.should_keep_alive()
        if status in {204, 304}:
            self._unframed = False
        headers, self._headers = self._headers, _NONE
        self.receiver.upstream_head(status, headers, self._length)

    def on_body(self, data: bytes) -> None:
        """The parser met some of a body."""
        if self.receiver is not None:
            self.receiver.upstream_body(data)

    def on_message_complete(self) -> None:
        """The parser met the end of an answer."""
        if not self._head_done:  # 1xx: the answer proper is still to come
            return
        receiver, self.receiver = self.receiver, None
        if receiver is None:
            return
        self._parser = None
        whole = receiver.upstream_complete()
        self.pause(paused=False)
        self.pool.release(self, keep=self._keep and whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """The mail server closed, or the connection broke."""
        self.pool.lost(self)
        receiver, self.receiver = self.receiver, None
        if receiver is not None:
            if self._head_done and self._unframed and exc is None:
                receiver.upstream_complete()
            else:
                receiver.upstream_lost(answered=self._bytes > 0)
        self.transport = self._parser = None

    def pause_writing(self) -> None:
        """Too much waits to be sent."""
        if self.receiver is not None:
            self.receiver.upstream_writable(writable=False)

    def resume_writing(self) -> None:
        """There is room again."""
        if self.receiver is not None:
            self.receiver.upstream_writable(writable=True)


class _Nothing(list[bytes]):
    """Where trailers go."""

    def append(self, _: bytes) -> None:
        """No."""


_NONE: list[bytes] = _Nothing()
_PASS, _LENGTH, _ENCODING, _HOP, _OFFER, _AWAY = 1, 2, 3, 4, 5, 6
# This connection's business, and not the phone's, or not as it is; in the usual spelling too, to save most second looks.
_MEANINGS = {
    b"content-length": _LENGTH,
    b"Content-Length": _LENGTH,
    b"transfer-encoding": _ENCODING,
    b"Transfer-Encoding": _ENCODING,
    b"connection": _HOP,
    b"Connection": _HOP,
    b"keep-alive": _HOP,
    b"proxy-connection": _HOP,
    b"proxy-authenticate": _HOP,
    b"te": _HOP,
    b"trailer": _HOP,
    b"upgrade": _HOP,
    b"x-ms-location": _AWAY,
    b"location": _AWAY,
    b"content-location": _HOP,
    b"refresh": _HOP,
    b"alt-svc": _HOP,
    b"ms-asprotocolversions": _OFFER,
    b"ms-asprotocolcommands": _OFFER,
    b"x-ms-rp": _OFFER,
    b"Content-Type": _PASS,
    b"Date": _PASS,
    b"Server": _PASS,
    b"Cache-Control": _PASS,
    b"MS-Server-ActiveSync": _PASS,
}
