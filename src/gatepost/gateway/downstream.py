"""A phone's connection: reads requests, one at a time, and writes what their exchanges answer.

A request is looked at when it is whole; one with a body of more than 1 MiB (a mail being sent) when 64 KiB of that are
here, and the rest streams through. A body in chunks is spooled to a file first, because mail servers want to be told its
length.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from typing import IO, TYPE_CHECKING

import httptools
import structlog

from gatepost.gateway.answers import ASK_FOR_CREDENTIALS, status_line
from gatepost.gateway.discovery import Discovery, asks
from gatepost.gateway.exchange import Exchange
from gatepost.gateway.reading import LOOK_AT, Reading, StopReading
from gatepost.gateway.vouching import Vouching

if TYPE_CHECKING:
    from gatepost.gateway.forwarding import Head
    from gatepost.gateway.proving import Proving
    from gatepost.gateway.workings import Workings

log = structlog.get_logger(__name__)

_LINGER_SECONDS = 30.0  # what comes after an early answer is thrown away for so long, that the phone gets to read it


class Downstream(asyncio.Protocol):
    """One connection from a phone, or from the proxy that ends its TLS."""

    __slots__ = (
        "_body_since",
        "_body_size",
        "_discard",
        "_draining",
        "_exchange",
        "_keep_alive",
        "_parser",
        "_paused",
        "_paused_since",
        "_plain",
        "_reading",
        "_version_1_1",
        "_vouching",
        "_workings",
        "choked",
        "closing",
        "complete",
        "deadline",
        "limits",
        "peer",
        "transport",
    )

    def __init__(self, workings: Workings) -> None:
        self._workings = workings
        self.limits = workings.configuration.limits
        self.transport: asyncio.Transport | None = None
        self.peer = ""
        self.closing = False
        self.complete = False
        self.deadline = 0.0
        self._exchange: Proving | None = None
        self._parser: httptools.HttpRequestParser | None = None
        self._reading: Reading | None = None
        self._paused = False
        self._paused_since = 0.0
        self._plain: Head | None = None  # the head of a request that may be recognised when it comes again
        self._discard = False
        self._draining = False
        self._keep_alive = True
        self._version_1_1 = True
        self._vouching: Vouching | None = None
        self.choked = False
        self._body_since, self._body_size = 0.0, 0

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A phone is here."""
        self.transport = transport  # type: ignore[assignment]  # asyncio types it as the base class
        peer = transport.get_extra_info("peername")
        self.peer = sys.intern(peer[0]) if peer else ""
        self.deadline = self._workings.clock.now + self.limits.idle_seconds
        if not self._workings.downstreams.add(self):
            self._workings.metrics.limit("connections")
            self.refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """The phone has gone: so has its request, at the mail server too."""
        del exc
        self._workings.downstreams.discard(self)
        self._abandon()
        if self._reading is not None and self._reading.spool is not None:
            self._reading.spool.close()
        self.transport = self._parser = self._reading = None

    def data_received(self, data: bytes) -> None:
        """Read some of a request."""
        if self.closing:
            return
        parser, reading = self._parser, self._reading
        if parser is None or reading is None:
            if self._exchange is None and not self._discard and self._recognised(data):
                return
            reading = self._reading = Reading(self)
            parser = self._parser = httptools.HttpRequestParser(reading)
            self.deadline = self._workings.clock.now + self.limits.head_seconds
        reading.received += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # refused when its head was read
            self.closing = True
        except httptools.HttpParserError as error:
            self._unreadable(error)
        if reading.received > self.limits.head_bytes and not (reading.head_read or self.complete or self.closing):
            self.refuse(431)  # a head that does not end
        if self.complete:
            self._parser = self._reading = None
            if self._plain is not None:
                self._remember(data if reading.received == len(data) else b"", self._plain)

    def _unreadable(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and not isinstance(cause, StopReading):
            # A mistake of ours, which the parser passes on as one of its own: nobody is let in or kept waiting.
            log.error("request.failed", exc_info=cause)
            self.abort()
        elif not self.closing:
            self.refuse(400)

    def _recognised(self, data: bytes) -> bool:
        """A whole request whose head came before, in these bytes and nothing else."""
        end = data.find(b"\r\n\r\n") + 4
        head = self._workings.heads.get(data[:end]) if end > 3 else None
        if head is None or len(data) - end != head.length:
            return False
        self.complete = self._version_1_1 = True
        self._keep_alive = not self._draining
        self._exchange = exchange = Exchange(self._workings, self, head, data[end:], None)
        exchange.start()
        return True

    def _remember(self, data: bytes, head: Head) -> None:
        """`data` are all the bytes of the request, if they came at once: some of them may mean something else alone."""
        self._plain = None
        end = data.find(b"\r\n\r\n") + 4
        if data and len(data) - end == head.length:
            self._workings.heads.offer(data[:end], head)

    def pause_writing(self) -> None:
        """The phone reads slower than the mail server answers."""
        self.choked = True
        self.deadline = self._workings.clock.now + self.limits.write_seconds
        if self._exchange is not None:
            self._exchange.downstream_writable(writable=False)
        else:
            self.pause_reading(paused=True)  # what it asks next would be answered into memory

    def resume_writing(self) -> None:
        """The phone has caught up."""
        self.choked = False
        self.hold(self.limits.answer_seconds if self._exchange is not None else self.limits.idle_seconds)
        if self._exchange is not None:
            self._exchange.downstream_writable(writable=True)
        elif self._vouching is None or self._vouching.over:
            self.pause_reading(paused=False)

    # -- the reading's side

    def request_begins(self) -> None:
        """One that does not wait for the answer to the one before ends the connection after that."""
        if self._exchange is not None or self._discard:
            self.closing = True
            raise StopReading
        self.complete = False

    def head_read(self) -> bytes:
        """A head is whole; answers the request's method."""
        parser = self._parser
        assert parser is not None
        self._keep_alive = parser.should_keep_alive() and not self._draining
        version = parser.get_http_version()
        self._version_1_1 = version == "1.1"
        if version not in {"1.1", "1.0"}:
            self.refuse(505)
            raise StopReading
        if parser.should_upgrade():  # h2c and CONNECT would carry what is not looked at
            self.refuse(400)
            raise StopReading
        self._body_since, self._body_size = self._workings.clock.now, 0
        self.deadline = self._body_since + self.limits.body_seconds
        method: bytes = parser.get_method()
        return method

    def go_on(self) -> None:
        """The phone waits to be told that it may send the body."""
        if self._version_1_1:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")  # behind the answer before, if that was just said

    def takes_body(self, data: bytes) -> bool:
        """False when the exchange has it, or nobody wants it."""
        if self._discard:
            return False
        self._body_size += len(data)
        if self._exchange is not None:
            self._exchange.request_body(data)
        limits, now = self.limits, self._workings.clock.now
        slowest = self._body_since + limits.body_seconds + self._body_size / limits.body_bytes_per_second
        self.hold(min(limits.body_seconds, slowest - now))
        return self._exchange is None

    @property
    def idle(self) -> bool:
        """True while nothing is done for the phone: it says nothing, or not all yet, or is a stranger who waits to be known."""
        exchange = self._exchange or self._vouching
        return exchange is None or exchange.strange

    def vouch(self, reading: Reading) -> bool:
        """A long body comes: does the mail server know the credentials? False when that has been answered with a refusal.

        Reading is paused until that is known; what was read already is kept.
        """
        if self._workings.configuration.autodiscover and asks(reading.url):
            self.refuse(413)  # who looks for the gateway has some hundred bytes to say
            raise StopReading
        self._vouching = vouching = Vouching(self._workings, self, reading.head(), b"", None)
        vouching.start()
        return not (self._discard or self.closing)

    def vouched(self) -> None:
        """It does; what comes is counted as its user's until all of it is here."""
        self._body_since = self._workings.clock.now
        self.hold(self.limits.body_seconds)
        self.pause_reading(paused=False)

    def make_spool(self) -> IO[bytes]:
        """A place for a body whose length is not known yet."""
        return tempfile.SpooledTemporaryFile(max_size=LOOK_AT)

    def request_complete(self, reading: Reading) -> None:
        """All of the request is here."""
        self.complete = True
        if self._exchange is not None:
            self.hold(self.limits.parked_seconds if self._exchange.parked else self.limits.answer_seconds)
        if self._discard:
            self._next()
        elif self._exchange is None:
            self.begin(reading)

    def begin(self, reading: Reading) -> None:
        """Enough of the request is here to be looked at."""
        vouching, self._vouching = self._vouching, None
        body = reading.body
        first = body[0] if len(body) == 1 else b"".join(body)
        head = reading.head()
        kind = Discovery if self._workings.configuration.autodiscover and asks(head.target) else Exchange
        self._exchange = exchange = kind(self._workings, self, head, first, reading.spool)
        reading.body, reading.spool = [], None
        if vouching is not None:
            exchange.succeed(vouching)
        exchange.start()
        if head.asked is not None and reading.plain and self.keeps_alive and self._version_1_1 and self.complete:
            self._plain = head

    def refuse(self, status: int) -> None:
        """Not even HTTP, or too much of it: answer, unless an answer is under way, and close."""
        self.closing = True
        self._keep_alive = False
        if self._exchange is None and not self._discard:
            self.reply(status, (ASK_FOR_CREDENTIALS,) if status == 401 else ())

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

    def send(self, data: bytes) -> None:
        """Send an answer, or the rest of one."""
        if self.transport is not None:
            self._workings.outbox.send(self.transport, data)

    def write(self, data: bytes) -> None:
        """Send some of an answer."""
        if self.transport is not None:
            self.transport.write(data)

    def reply(self, status: int, headers: tuple[tuple[bytes, bytes], ...] = (), body: bytes = b"") -> None:
        """Send a whole answer; the exchange is over."""
        lines = [status_line(status)]
        lines += [b"%s: %s\r\n" % header for header in headers]
        lines.append(b"Content-Length: %d\r\n" % len(body))
        if not self.keeps_alive:
            lines.append(b"Connection: close\r\n")
        lines += (b"\r\n", body)
        self.send(b"".join(lines))
        self.finish()

    def finish(self) -> None:
        """The answer is sent: go on to the next request, once the rest of this one has been read."""
        if self._vouching is not None:
            self._vouching.abandon()
        self._exchange = self._vouching = None
        if self.complete or self.closing:
            self._next()
        else:
            self._discard = True
            self.hold(_LINGER_SECONDS)
            self.pause_reading(paused=False)

    def abort(self) -> None:
        """Nothing sensible can be said any more: close at once."""
        self._abandon()
        if self.transport is not None:
            self.transport.abort()

    def pause_reading(self, *, paused: bool) -> None:
        """Stop or go on reading the request's body."""
        if self.transport is not None and paused != self._paused and not self.transport.is_closing():
            self._paused = paused
            now = self._workings.clock.now
            if paused:
                self._paused_since = now
                self.hold(self.limits.answer_seconds)
                self.transport.pause_reading()
            else:
                self._body_since += now - self._paused_since  # it was not the phone who was slow
                self.transport.resume_reading()

    def hold(self, seconds: float) -> None:
        """The exchange sets its own time limit from now on; a phone that does not read has another."""
        if not self.choked:
            self.deadline = self._workings.clock.now + seconds

    def expire(self) -> None:
        """The deadline has passed."""
        exchange = self._exchange or self._vouching
        if exchange is not None and (self.choked or self._dawdles(exchange)):
            self._abandon()
            if exchange.answering:
                self.abort()
            else:
                self.refuse(408)
        elif exchange is not None:
            exchange.expire()
        elif self._parser is not None and not (self._discard or self.closing):
            self.refuse(408)
        else:
            self.abort()

    def _dawdles(self, exchange: Proving) -> bool:
        """It is the phone that everybody waits for: for the rest of its body."""
        return not (self.complete or self._paused or exchange.answering)

    def drain(self) -> None:
        """The gateway stops: close now if idle, else after the answer."""
        self._draining = True
        self._keep_alive = False
        if self._exchange is None and self._parser is None:
            self._close()

    # -- inside

    def _abandon(self) -> None:
        for one in (self._exchange, self._vouching):
            if one is not None:
                one.abandon()
        self._exchange = self._vouching = None

    def _next(self) -> None:
        if not self._keep_alive or self.closing:
            self._close()
            return
        self._discard = False
        self.hold(self.limits.idle_seconds)
        self.pause_reading(paused=self.choked)

    def _close(self) -> None:
        """Close, after what has been said."""
        self._workings.outbox.flush()
        self.hold(self.limits.write_seconds)  # until the phone has read it
        if self.transport is not None:
            self.transport.close()
