"""A REST API on loopback that answers as a test says."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from gatepost.demo.mailbox_http import HttpAnswer, HttpConnection, HttpRequest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


def answer(document: Any = None, status: int = 200, headers: Mapping[str, str] | None = None, body: bytes | None = None) -> HttpAnswer:  # fmt: skip
    """JSON, or `body` as it is."""
    body = json.dumps(document).encode() if body is None else body
    return HttpAnswer(status, tuple((headers or {}).items()), body)


class RestApi:
    """`reply` answers each request; `asked` are the targets, in order, and `requests` all of them."""

    def __init__(self, reply: Callable[[HttpRequest], HttpAnswer]) -> None:
        self.reply = reply
        self.requests: list[HttpRequest] = []
        self.url = ""

    @property
    def asked(self) -> list[str]:
        """Path and query of each request."""
        return [one.path + (f"?{one.query.decode()}" if one.query else "") for one in self.requests]

    async def respond(self, request: HttpRequest) -> HttpAnswer:
        """For the connection."""
        self.requests.append(request)
        return self.reply(request)


@asynccontextmanager
async def rest_api(reply: Callable[[HttpRequest], HttpAnswer]) -> AsyncIterator[RestApi]:
    """The API while the block runs."""
    api = RestApi(reply)
    connections: set[HttpConnection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpConnection(api.respond, connections), "127.0.0.1", 0)
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield api
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        workers = [one.worker for one in connections if one.worker is not None]
        await asyncio.gather(*workers, return_exceptions=True)
