"""The mail server behind: connections to it, kept and reused as far as that is safe.

Servers close connections without saying so (SOGo after every answer). So a connection is reused only after one to the
same server has survived a moment of idleness, a request that must not be sent twice goes over a fresh or just used
connection, and one that may is sent again when a reused connection turns out to be dead before the first byte.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import httptools

if TYPE_CHECKING:
    from gatepost.gateway.configuration import GatewayConfiguration
    from gatepost.gateway.outbox import Outbox

_CONNECT_SECONDS = 5.0  # the mail server is near; nginx's and Envoy's habit for connect timeouts too
_PROBATION_SECONDS = 1.2  # more than one sweep, so that it was idle for a while: SOGo closes within milliseconds
_IDLE_SECONDS = 30.0  # less than the keep-alive of IIS (120), nginx (75) and most others
_SAFE_IDLE_SECONDS = 2.0  # (and one sweep) Apache's default keep-alive is 5: young enough for what must not be repeated
_MOST_IDLE = 256
_MOST_CONNECTING = 64  # at a time: phones that all come back at once neither flood the mail server nor our memory
_MOST_HEAD = 65_536  # bytes of an answer's head: twice what common servers allow


class UpstreamError(Exception):
    """The mail server could not be asked, or its answer could not be read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: tuple[bytes, ...]
    body: bytes


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


class Waiter(Protocol):
    """Whoever wants a new connection."""

    @property
    def over(self) -> bool:
        """True when it is not wanted any more."""

    def upstream_connected(self, connection: UpstreamConnection) -> None:
        """Here it is."""

    def upstream_unreachable(self, error: str) -> None:
        """There is none."""


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
        "_pool",
        "_unframed",
        "idle_since",
        "receiver",
        "reused",
        "transport",
    )

    def __init__(self, pool: Upstream) -> None:
        self._pool = pool
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
            self._pool.outbox.send(self.transport, data)
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
        """The parser met a status line."""
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
        self._pool.release(self, keep=self._keep and whole)

    def connection_lost(self, exc: Exception | None) -> None:
        """The mail server closed, or the connection broke."""
        self._pool.lost(self)
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


_NONE: list[bytes] = []  # never added to: on_message_begin makes a new one
_PASS, _LENGTH, _ENCODING, _HOP = 1, 2, 3, 4
# This connection's business, and not the phone's; in the usual spelling too, to save most second looks.
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
    b"Content-Type": _PASS,
    b"Date": _PASS,
    b"Server": _PASS,
    b"Cache-Control": _PASS,
    b"MS-Server-ActiveSync": _PASS,
}


class Upstream:
    """The mail server: gives and takes back connections."""

    def __init__(self, configuration: GatewayConfiguration, outbox: Outbox) -> None:
        self.address = configuration.upstream
        self.outbox = outbox
        self._ssl = configuration.ssl_context if configuration.upstream.tls else None
        self._idle: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._waiting: deque[Waiter] = deque()
        self._connecting = 0
        self._keeps_alive = False
        self._now = time.monotonic()  # as of the last sweep
        self.connects = 0

    def __len__(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def take(self, *, repeatable: bool) -> UpstreamConnection | None:
        """An idle connection, or None when one has to be made; `repeatable` as in `EasRequest`."""
        idle = self._idle
        if not idle or not self._keeps_alive:
            return None
        connection = idle[-1]  # the most recently used: the others may grow old and go
        if self._now - connection.idle_since > (_IDLE_SECONDS if repeatable else _SAFE_IDLE_SECONDS):
            return None
        idle.pop()
        if connection.transport is None or connection.transport.is_closing():
            return self.take(repeatable=repeatable)
        connection.reused = True
        return connection

    def want(self, waiter: Waiter) -> None:
        """Make a connection for `waiter`, in its turn."""
        if self._connecting >= _MOST_CONNECTING:
            self._waiting.append(waiter)
            return
        self._connecting += 1
        task = asyncio.get_running_loop().create_task(self.connect())
        task.add_done_callback(partial(self._connected, waiter))

    def _connected(self, waiter: Waiter, task: asyncio.Task[UpstreamConnection]) -> None:
        self._connecting -= 1
        error = "cancelled" if task.cancelled() else task.exception()
        if error is None:
            waiter.upstream_connected(task.result())
        else:  # the others would wait for the same
            waiting, self._waiting = (waiter, *self._waiting), deque()
            for one in waiting:
                one.upstream_unreachable(str(error))
        while self._waiting and self._connecting < _MOST_CONNECTING:
            following = self._waiting.popleft()
            if not following.over:
                self.want(following)

    async def connect(self) -> UpstreamConnection:
        """A new connection; UpstreamError when the mail server cannot be reached."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: UpstreamConnection(self),
                    self.address.host,
                    self.address.port,
                    ssl=self._ssl,
                    server_hostname=self.address.host if self._ssl is not None else None,
                )
        except (OSError, TimeoutError) as error:
            raise UpstreamError(f"cannot connect to the mail server: {str(error) or 'timed out'}") from error
        self.connects += 1
        self._open.add(connection)
        return connection

    def release(self, connection: UpstreamConnection, *, keep: bool) -> None:
        """An answer is over: keep the connection if it may live on."""
        transport = connection.transport
        if transport is None:
            return
        if not keep or transport.is_closing() or len(self._idle) >= _MOST_IDLE:
            transport.close()
            return
        connection.idle_since = self._now
        self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        if connection.receiver is None and connection in self._idle:
            self._idle.remove(connection)
            if self._now == connection.idle_since:
                self._keeps_alive = False  # closed right after an answer without a word: reuse would be a gamble

    def sweep(self) -> None:
        """Called about every second: close what was idle too long, and learn whether the server keeps connections."""
        self._now = now = time.monotonic()
        if not self._keeps_alive and self._idle:
            self._keeps_alive = now - self._idle[0].idle_since > _PROBATION_SECONDS
        while self._idle and now - self._idle[0].idle_since > _IDLE_SECONDS:
            connection = self._idle.popleft()
            if connection.transport is not None:
                connection.transport.close()

    def close(self) -> None:
        """Close every connection."""
        self._idle.clear()
        for connection in list(self._open):
            connection.abort()

    async def ask(self, method: bytes, headers: tuple[bytes, ...]) -> Reply:
        """Send a request without a body on the gateway's own behalf and wait for the whole answer."""
        asked = _Asked()
        head = b"%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Length: 0\r\n\r\n" % (
            method,
            self.address.path,
            self.address.authority,
            b"\r\n".join(headers),
        )
        connection = self.take(repeatable=True) or await self.connect()
        try:
            connection.send(asked, head, whole=True)
            return await asked.reply
        except UpstreamError:
            if not connection.reused:
                raise
        finally:
            if connection.receiver is asked:  # given up while waiting
                connection.abort()
        connection, asked = await self.connect(), _Asked()
        try:
            connection.send(asked, head, whole=True)
            return await asked.reply
        finally:
            if connection.receiver is asked:
                connection.abort()


class _Asked:
    """Receives the answer to `Upstream.ask`."""

    _MOST = 65_536  # an OPTIONS answer has no body to speak of

    def __init__(self) -> None:
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._status = 0
        self._headers = _NONE
        self._body = bytearray()

    def upstream_head(self, status: int, headers: list[bytes], length: bytes | None) -> None:
        del length
        self._status, self._headers = status, headers

    def upstream_body(self, data: bytes) -> None:
        if len(self._body) < self._MOST:
            self._body += data

    def upstream_flush(self) -> None:
        pass

    def upstream_complete(self) -> bool:
        if not self.reply.done():
            self.reply.set_result(Reply(self._status, tuple(self._headers), bytes(self._body)))
        return True

    def upstream_lost(self, *, answered: bool) -> None:
        if not self.reply.done():
            self.reply.set_exception(UpstreamError(f"the mail server closed the connection (answered: {answered})"))

    def upstream_writable(self, *, writable: bool) -> None:
        pass
