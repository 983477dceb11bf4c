"""HTTP/1.1 for the mailbox server: whole requests in, whole answers out, and a closed connection cancels its request."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

BODY_LIMIT = 50 * 1024 * 1024
"""Bytes; as large as the mails that servers in the field take."""

_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {449: "Retry after sending a PROVISION command"}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request with its whole body; header names in lower case."""

    method: str
    path: str
    query: bytes
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer; Content-Length and Connection are added when it is written."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def as_bytes(self, *, keep_alive: bool) -> bytes:
        """The answer as it goes over the wire."""
        lines = [f"HTTP/1.1 {self.status} {_PHRASES[self.status]}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += [f"Content-Length: {len(self.body)}", f"Connection: {'keep-alive' if keep_alive else 'close'}"]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


@dataclass(slots=True)
class _Incoming:
    """What has arrived of a request."""

    url: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)


async def stop_serving(server: asyncio.Server, connections: set[HttpConnection]) -> None:
    """Listen no more, and end all connections."""
    server.close()
    open_ones = list(connections)
    for connection in open_ones:
        connection.close()
    workers = [connection.worker for connection in open_ones if connection.worker is not None]
    await asyncio.gather(*workers, return_exceptions=True)


class HttpConnection(asyncio.Protocol):
    """One connection: answers its requests one after the other with `answer`, kept alive as the client wishes."""

    def __init__(
        self, answer: Callable[[HttpRequest], Awaitable[HttpAnswer]], connections: set[HttpConnection]
    ) -> None:
        self._answer = answer
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._incoming = _Incoming()
        self._requests: asyncio.Queue[tuple[HttpRequest | None, bool]] = asyncio.Queue()
        self._transport: asyncio.Transport | None = None
        self.worker: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start answering."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        self.worker = asyncio.get_running_loop().create_task(self._work())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Cancel what is being answered: nobody waits for it."""
        self._connections.discard(self)
        if self.worker is not None:
            self.worker.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is not HTTP is answered 400 and closed."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._requests.put_nowait((None, False))

    def close(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._incoming = _Incoming()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._incoming.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; of two with the same name the last counts, as in many servers."""
        self._incoming.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Let a client go on that waits to be asked for the body."""
        if self._incoming.headers.get("expect", "").lower() == "100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body, chunked or not."""
        self._incoming.body += body
        if len(self._incoming.body) > BODY_LIMIT:
            raise ValueError(f"a body of more than {BODY_LIMIT} bytes")

    def on_message_complete(self) -> None:
        """A request is whole."""
        incoming = self._incoming
        path, _, query = incoming.url.partition(b"?")
        request = HttpRequest(
            self._parser.get_method().decode("latin-1"),
            path.decode("latin-1"),
            query,
            incoming.headers,
            bytes(incoming.body),
        )
        self._requests.put_nowait((request, self._parser.should_keep_alive()))

    async def _work(self) -> None:
        keep_alive = True
        while keep_alive:
            request, keep_alive = await self._requests.get()
            answer = await self._answered(request) if request is not None else HttpAnswer(400)
            assert self._transport is not None
            self._transport.write(answer.as_bytes(keep_alive=keep_alive))
        if self._transport is not None:
            self._transport.close()

    async def _answered(self, request: HttpRequest) -> HttpAnswer:
        try:
            return await self._answer(request)
        except Exception:  # noqa: BLE001 - a server answers, and its log says why it could not
            _log.exception("could not answer %s %s", request.method, request.path)
            return HttpAnswer(500)
