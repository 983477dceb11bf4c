"""How an ASGI application is served, so that strangers cost neither memory nor connections nor log lines.

For the API, the webhooks and health. Phones come to the gateway, which has a server of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from starlette.types import ASGIApp

_HEAD_BYTES = 65_536  # more than any SDK sends; h11 refuses a longer one, where httptools would take it in
_HEAD_SECONDS = 20.0  # from the first byte, or from the connection, to the last byte of a head
_MOST_CONNECTIONS = 1_000  # more than there are administrators' programs; beyond it a newcomer is closed


class BoundedProtocol(H11Protocol):
    """uvicorn's own, with a time limit for heads and a number of connections that is not passed."""

    head_seconds = _HEAD_SECONDS
    most_connections = _MOST_CONNECTIONS
    _head_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        """Somebody is here."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            transport.abort()
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Some bytes of a head or a body."""
        if self._head_deadline is None and not self._answering():
            self._wait_for_head()
        super().data_received(data)
        if self._answering():
            self._head_came()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gone."""
        self._head_came()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        self._head_deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _head_came(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None


def configuration(app: ASGIApp, **changed: Any) -> uvicorn.Config:
    """Uvicorn's settings. It logs errors only: what it warns of is what somebody sent that is no HTTP."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        h11_max_incomplete_event_size=_HEAD_BYTES,
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=5,
        **changed,
    )


class _QuietUvicorn(uvicorn.Server):
    """Uvicorn that leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an application on a socket that is bound already, so that a taken port is found out before anything starts."""

    def __init__(self, listener: socket.socket, app: ASGIApp) -> None:
        self._listener = listener
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._server = _QuietUvicorn(configuration(app))
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Serve, once it is really accepting."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        while not self._server.started and not self._task.done():  # noqa: ASYNC110 - uvicorn has a flag, not an event
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Let the requests in flight finish, for five seconds at most."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task

    def close(self) -> None:
        """Give the address back without ever having served."""
        self._listener.close()
