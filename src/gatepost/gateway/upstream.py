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

from gatepost.gateway.answers import Offer
from gatepost.gateway.upstream_connection import UpstreamConnection

if TYPE_CHECKING:
    from gatepost.gateway.configuration import GatewayConfiguration
    from gatepost.gateway.outbox import Outbox

_CONNECT_SECONDS = 5.0  # the mail server is near; nginx's and Envoy's habit for connect timeouts too
_PROBATION_SECONDS = 1.2  # more than one sweep, so that it was idle for a while: SOGo closes within milliseconds
_IDLE_SECONDS = 30.0  # less than the keep-alive of IIS (120), nginx (75) and most others
_SAFE_IDLE_SECONDS = 2.0  # (and one sweep) Apache's default keep-alive is 5: young enough for what must not be repeated
_MOST_IDLE = 256
_MOST_CONNECTING = 64  # at a time: phones that all come back at once neither flood the mail server nor our memory


class UpstreamError(Exception):
    """The mail server could not be asked, or its answer could not be read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: tuple[bytes, ...]
    body: bytes


class Waiter(Protocol):
    """Whoever wants a new connection."""

    @property
    def over(self) -> bool:
        """True when it is not wanted any more."""

    def upstream_connected(self, connection: UpstreamConnection) -> None:
        """Here it is."""

    def upstream_unreachable(self, error: str) -> None:
        """There is none."""


class Upstream:
    """A mail server: gives and takes back connections."""

    def __init__(self, configuration: GatewayConfiguration, outbox: Outbox) -> None:
        self.address = configuration.upstream
        self.offer = Offer(configuration.protocol_versions, configuration.refused_commands)
        self.outbox = outbox
        self._ssl = configuration.ssl_context if configuration.upstream.tls else None
        self._idle: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._waiting: deque[Waiter] = deque()
        self._connecting = 0
        self._keeps_alive = False
        self._now = time.monotonic()  # as of the last sweep

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
        self._headers: list[bytes] = []
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
