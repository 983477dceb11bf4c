"""One request's way to the mail server and its answer's way back: connections, bodies, back-pressure, loss.

Knows nothing of users and rules; `Exchange` builds on it and is asked before an answer is passed on.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import IO, TYPE_CHECKING

import structlog

from gatepost.gateway import forwarding
from gatepost.gateway.answers import ASK_FOR_CREDENTIALS, Answer

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from gatepost.gateway.downstream import Downstream
    from gatepost.gateway.forwarding import Head, Prepared
    from gatepost.gateway.upstream import UpstreamConnection
    from gatepost.gateway.workings import Workings

log = structlog.get_logger(__name__)

PARKED_SECONDS = 3_660.0  # MS-ASCMD 2.2.3.84: a heartbeat lasts 3540 seconds at most; the mail server ends it, not we
ANSWER_SECONDS = 300.0  # without a byte from the mail server: it may be sending a large message on
_PIECE = 65_536


class Relay:
    """The part of a request's life that is the mail server's; a `Receiver` of its connection."""

    __slots__ = (
        "_answer",
        "_blocked",
        "_body",
        "_body_type",
        "_connection",
        "_downstream",
        "_head",
        "_ip_address",
        "_over",
        "_prepared",
        "_retried",
        "_spool",
        "_started",
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
        self._blocked = False
        self._prepared: Prepared | None = None
        self._ip_address: IPv4Address | IPv6Address | None = None
        self._body_type: bytes | None = None
        self._connection: UpstreamConnection | None = None
        self._answer: Answer | None = None

    @property
    def parked(self) -> bool:
        """True while a Ping or Sync waits at the mail server."""
        return self._long and self._answer is None and not self._over

    @property
    def _long(self) -> bool:
        return self._prepared is not None and self._prepared.long

    @property
    def _repeatable(self) -> bool:
        return self._prepared is None or self._prepared.repeatable

    @property
    def command(self) -> str:
        """The command's name; OPTIONS has none and is called so."""
        return "OPTIONS" if self._prepared is None else self._prepared.eas.command

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
        self._downstream.hold(PARKED_SECONDS if self._long else ANSWER_SECONDS)
        connection = self._workings.upstream.take(repeatable=self._repeatable)
        if connection is not None:
            self._send(connection)
        else:
            self._connect()

    def _connect(self) -> None:
        self._downstream.pause_reading(paused=not self._downstream.complete)
        task = asyncio.get_running_loop().create_task(self._workings.upstream.connect())
        task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[UpstreamConnection]) -> None:
        error = "cancelled" if task.cancelled() else task.exception()
        if error is not None:
            if not self._over:
                log.warning("upstream.unreachable", error=str(error))
                self._cut()
                self._unavailable()
            return
        connection = task.result()
        if self._over or self._connection is not None or not self._may_go_on():
            self._workings.upstream.release(connection, keep=True)
            return
        self._send(connection)
        self._downstream.pause_reading(paused=False)

    def _send(self, connection: UpstreamConnection) -> None:
        head, prepared = self._head, self._prepared
        assert head is not None
        self._connection = connection
        start = self._workings.forwarding.options if prepared is None else prepared.start
        data = forwarding.head(start, head, self._body_type, self._ip_address) + self._body
        if not (connection.reused and self._repeatable and self._downstream.complete):
            self._head, self._body = None, b""  # not needed again: a parked request should weigh little
        connection.send(self, data)
        self._pump()

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
            self._downstream.hold(ANSWER_SECONDS)
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
        if 300 <= status < 400 or status == 451:
            log.warning("upstream.redirects", status=status)  # a phone that followed would leave the gateway behind
            self._cut()
            self._reply(502)
            return
        answered = self._may_answer(status, headers)
        if answered is None:
            return
        self._head, self._body = None, b""
        self._answer = Answer(self._downstream, status, answered, length)
        self._downstream.hold(ANSWER_SECONDS)

    def upstream_body(self, data: bytes) -> None:
        """A piece of the answer."""
        if self._answer is not None:
            self._answer.body(data)

    def upstream_flush(self) -> None:
        """What has come so far goes to the phone."""
        if self._answer is not None:
            self._answer.flush()
            self._downstream.hold(ANSWER_SECONDS)

    def upstream_complete(self) -> None:
        """The answer is whole."""
        self._connection = None
        self._untrack()
        if self._answer is not None:
            self._answer.end()
            self._finish("parked" if self._long else "answered", self._answer.status)
            self._downstream.finish()

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

    def _unavailable(self, *headers: tuple[bytes, bytes]) -> None:
        """503: nobody's fault that a phone could mend; it asks again in a while, not all at the same moment."""
        retry = (b"Retry-After", b"%d" % random.randint(60, 300))  # noqa: S311 - spreads load, hides nothing
        self._reply(503, retry, *headers)

    def _unauthorized(self) -> None:
        self._reply(401, ASK_FOR_CREDENTIALS)

    def _reply(self, status: int, *headers: tuple[bytes, bytes], body: bytes = b"") -> None:
        self._finish("refused", status)
        self._head, self._body = None, b""
        self._downstream.reply(status, headers, body)
