"""One request's way to the mail server and its answer's way back: connections, bodies, back-pressure, loss, redirections.

Knows nothing of users and rules; `Exchange` builds on it and is asked before an answer is passed on.
"""

from __future__ import annotations

import random
import time
from typing import IO, TYPE_CHECKING

import structlog

from gatepost.gateway import forwarding
from gatepost.gateway.answers import ASK_FOR_CREDENTIALS, Answer
from gatepost.gateway.locations import redirects
from gatepost.gateway.redirects import MOST_HOPS
from gatepost.gateway.upstream import UpstreamError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from gatepost.gateway.downstream import Downstream
    from gatepost.gateway.forwarding import Head
    from gatepost.gateway.upstream import Upstream
    from gatepost.gateway.upstream_connection import UpstreamConnection
    from gatepost.gateway.workings import Workings
    from gatepost.wire.eas.request import EasRequest

log = structlog.get_logger(__name__)

_PIECE = 65_536
_MOST_HELD = 1_048_576  # bytes of a spooled body that are held in memory, so that they can be sent again


class Relay:
    """The part of a request's life that is the mail server's; a `Receiver` of its connection."""

    _authorization: bytes  # who asks, as the phone said it

    __slots__ = (
        "_answer",
        "_blocked",
        "_body",
        "_body_type",
        "_connection",
        "_downstream",
        "_eas",
        "_forwarded_for",
        "_head",
        "_hops",
        "_host",
        "_ip_address",
        "_long",
        "_over",
        "_repeatable",
        "_retried",
        "_spool",
        "_start",
        "_started",
        "_upstream",
        "_workings",
    )

    def __init__(
        self, workings: Workings, downstream: Downstream, head: Head, body: bytes, spool: IO[bytes] | None
    ) -> None:
        self._workings = workings
        self._downstream = downstream
        self._head: Head | None = head
        self._body = body
        self._spool = spool
        self._started = time.monotonic()
        self._over = False
        self._retried = False
        self._hops = 0
        self._host: bytes | None = None  # when the head is not here any more
        self._upstream: Upstream = workings.upstream
        self._blocked = False
        self._eas: EasRequest | None = None  # None for OPTIONS
        self._start = workings.forwarding.options
        self._long = False
        self._repeatable = True
        self._ip_address: IPv4Address | IPv6Address | None = None
        self._forwarded_for = b""
        self._body_type: bytes | None = None
        self._connection: UpstreamConnection | None = None
        self._answer: Answer | None = None

    @property
    def parked(self) -> bool:
        """True while a Ping or Sync waits at the mail server."""
        return self._long and self._answer is None and not self._over

    @property
    def answering(self) -> bool:
        """True once an answer of the mail server is on its way to the phone."""
        return self._answer is not None

    def lasts_too_long(self, now: float) -> bool:
        """The whole of it has its time, however lively it is; `now` is monotonic."""
        return now - self._started > self._downstream.limits.request_seconds

    @property
    def command(self) -> str:
        """The command's name; OPTIONS has none and is called so."""
        return "OPTIONS" if self._eas is None else self._eas.command

    # -- what Exchange adds

    def _may_go_on(self) -> bool:
        """False when the request was answered otherwise, because it may not reach the mail server any more."""
        return True

    def _may_answer(self, status: int, headers: list[bytes]) -> list[bytes] | None:
        """The header lines to answer with, or None when the request was answered otherwise."""
        del status
        return headers

    def _untrack(self) -> None:
        """The request is not at the mail server any more."""

    # -- there

    def _forward(self) -> None:
        if self._workings.redirects.known:  # nobody's mailbox is elsewhere, mostly
            self._route(self._workings.redirects.of(self._authorization))
        limits = self._downstream.limits
        self._downstream.hold(limits.parked_seconds if self._long else limits.answer_seconds)
        connection = self._upstream.take(repeatable=self._repeatable)
        if connection is not None:
            self._send(connection)
            self._downstream.pause_reading(paused=False)  # it may have waited for its credentials to be proven
        else:
            self._connect()

    def _route(self, upstream: Upstream) -> None:
        """From now on this mail server is meant."""
        if upstream is not self._upstream:
            assert self._head is not None
            self._upstream = upstream
            self._start = forwarding.start(upstream.address, self._eas)
            self._head = self._head.elsewhere()

    def _connect(self) -> None:
        self._downstream.pause_reading(paused=not self._downstream.complete)
        self._upstream.want(self)

    @property
    def over(self) -> bool:
        """True when nobody waits for an answer any more."""
        return self._over

    def upstream_unreachable(self, error: str) -> None:
        """There is no connection to be had."""
        if self._over:
            return
        log.warning("upstream.unreachable", error=error)
        workings = self._workings
        if self._upstream is not workings.upstream:
            workings.redirects.forget(self._authorization)
            if not self._hops:  # it was sent there by memory alone: the mailbox may be where it was before
                self._hops = 1
                self._route(workings.upstream)
                if self._may_go_on():
                    self._forward()
                return
        self._cut()
        self._unavailable()

    def upstream_connected(self, connection: UpstreamConnection) -> None:
        """The connection that was wanted."""
        if self._over or self._connection is not None or not self._may_go_on():
            connection.pool.release(connection, keep=True)
            return
        self._send(connection)
        self._downstream.pause_reading(paused=False)

    def _send(self, connection: UpstreamConnection) -> None:
        head = self._head
        assert head is not None
        self._connection = connection
        if self._spool is not None and head.length <= _MOST_HELD:
            self._body = self._spool.read()
            self._drop_spool()
        whole = self._downstream.complete and self._spool is None
        data = forwarding.head(self._start, head, self._body_type, self._forwarded_for) + self._body
        # Again over another connection, or to another server, if this one turns out to be dead or wrong.
        again = whole and ((connection.reused and self._repeatable) or self._workings.redirects.expected)
        if not again:
            self._host = head.headers.get(b"host")
            self._lighten()
        connection.send(self, data, whole=whole)
        self._pump()

    def _lighten(self) -> None:
        """A parked request should weigh little: forget what would only be needed to send it again."""
        self._head, self._body, self._start = None, b"", b""

    def _pump(self) -> None:
        """Send a spooled body on until the connection's buffer is full."""
        while self._spool is not None and self._connection is not None and not self._blocked:
            piece = self._spool.read(_PIECE)
            if piece:
                self._connection.write(piece)
            else:
                self._drop_spool()

    def request_body(self, data: bytes) -> None:
        """More of a long body has come from the phone."""
        if self._connection is not None:
            self._connection.write(data)
        elif not self._over:
            self._body += data

    def upstream_writable(self, *, writable: bool) -> None:
        """The mail server takes the body slower than the phone gives it."""
        self._blocked = not writable
        if self._spool is not None:
            self._pump()
        elif not self._downstream.complete:
            self._downstream.pause_reading(paused=not writable)

    # -- and back

    def upstream_head(self, status: int, headers: list[bytes], length: bytes | None) -> None:
        """The head of the answer: the last moment at which a denial can still be said instead."""
        if status >= 300 and self._is_elsewhere(status, headers):
            return
        answered = self._may_answer(status, headers)
        if answered is None:
            return
        self._lighten()
        self._answer = Answer(self._downstream, status, answered, length)
        if self._downstream.choked:  # by what it was answered before
            self.downstream_writable(writable=False)
        self._downstream.hold(self._downstream.limits.answer_seconds)

    def _is_elsewhere(self, status: int, headers: list[bytes]) -> bool:
        """Go where the mail server says that the mailbox is; False when it says nothing of the kind."""
        elsewhere = self._workings.redirects
        if not redirects(status):
            if status == 401 and elsewhere.known:
                elsewhere.forget(self._authorization)
            return False
        connection, self._connection = self._connection, None
        assert connection is not None
        connection.abort()
        host = self._host if self._head is None else self._head.headers.get(b"host")
        try:
            upstream = elsewhere.follow(self._authorization, self._upstream, status, headers, host)
        except UpstreamError:
            self._break_off(502)
            return True
        self._hops += 1
        if self._hops > MOST_HOPS:
            log.warning("upstream.sent_on_too_often", command=self.command)
            self._break_off(502)
        elif self._head is None:  # not whole here any more: the phone has to ask again
            self._cut()
            self._reply(451, *elsewhere.here(host))
        else:
            self._retried = False
            self._route(upstream)
            if self._may_go_on():
                self._forward()
        return True

    def upstream_body(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._answer is not None:
            self._answer.body(data)

    def upstream_flush(self) -> None:
        """What has come so far goes to the phone."""
        if self._answer is not None:
            self._answer.flush()
            self._downstream.hold(self._downstream.limits.answer_seconds)

    def upstream_complete(self) -> bool:
        """The answer is whole; False when it came before all of the request was sent."""
        whole = self._downstream.complete and self._spool is None
        self._connection = None
        self._untrack()
        if self._answer is not None:
            self._answer.end()
            self._finish("parked" if self._long else "answered", self._answer.status)
            self._downstream.finish()
        return whole

    def upstream_lost(self, *, answered: bool) -> None:
        """The connection to the mail server broke."""
        connection, self._connection = self._connection, None
        if self._over:
            return
        again = connection is not None and connection.reused and not answered and not self._retried
        if self._answer is None and again and self._repeatable and self._head is not None:
            self._retried = True
            self._connect()
            return
        log.warning("upstream.lost", command=self.command, answered=answered)
        self._break_off(502)

    def downstream_writable(self, *, writable: bool) -> None:
        """The phone takes the answer slower than the mail server gives it."""
        if self._connection is not None:
            self._connection.pause(paused=not writable)

    # -- the end

    def expire(self) -> None:
        """Too much time has passed without a byte."""
        log.warning("request.expired", command=self.command)
        self._break_off(503)

    def abandon(self) -> None:
        """The phone has gone."""
        self._cut()
        self._over = True
        self._drop_spool()

    def _cut(self) -> None:
        """Take the request back from the mail server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
            if not self._repeatable:  # it may have been carried out
                self._lighten()
        self._untrack()

    def _break_off(self, status: int) -> None:
        self._cut()
        if self._answer is not None:  # half of it is with the phone: there is no word for that but the end
            self._finish("answered", self._answer.status)
            self._downstream.abort()
        elif status == 503:
            self._unavailable()
        else:
            self._reply(status)

    def _drop_spool(self) -> None:
        spool, self._spool = self._spool, None
        if spool is not None:
            spool.close()

    def _finish(self, kind: str, status: int) -> None:
        self._over = True
        self._drop_spool()
        self._workings.metrics.answered(self.command, status, kind, time.monotonic() - self._started)

    def _unavailable(self, reason: str = "") -> None:
        """503: nobody's fault that a phone could mend; it asks again in a while, not all at the same moment."""
        retry = (b"Retry-After", b"%d" % random.randint(60, 300))  # noqa: S311 - spreads load, hides nothing
        self._reply(503, *((retry, (b"X-MS-ASThrottle", reason.encode())) if reason else (retry,)))

    def _unauthorized(self) -> None:
        self._reply(401, ASK_FOR_CREDENTIALS)

    def _reply(self, status: int, *headers: tuple[bytes, bytes], body: bytes = b"") -> None:
        self._finish("refused", status)
        self._lighten()
        self._downstream.reply(status, headers, body)
