"""The mailbox server's HTTP: framings, keep-alive, pipelining, and a connection that goes away."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.support.loop import in_loop

from gatepost.demo import mailbox_http
from gatepost.demo.mailbox_http import HttpAnswer, HttpConnection, HttpRequest


@asynccontextmanager
async def connected(answer):
    connections: set[HttpConnection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpConnection(answer, connections), "127.0.0.1")
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()
        await asyncio.sleep(0.01)
        assert not connections


async def echo(request: HttpRequest) -> HttpAnswer:
    return HttpAnswer(200, (("X-Query", request.query.decode()),), request.method.encode() + b" " + request.body)


async def read(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    return head, await reader.readexactly(int(head.partition("Content-Length: ")[2].split()[0]))


@in_loop
async def test_content_length_and_chunks_on_one_connection():
    async with connected(echo) as (reader, writer):
        writer.write(b"POST /a?b=c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        head, body = await read(reader)
        assert head.startswith("HTTP/1.1 200 OK\r\nX-Query: b=c\r\n")
        assert "Connection: keep-alive" in head
        assert body == b"POST hello"
        writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
        assert (await read(reader))[1] == b"POST hello"


@in_loop
async def test_pipelined_requests_are_answered_in_order():
    slow = asyncio.Event()

    async def answer(request: HttpRequest) -> HttpAnswer:
        if request.path == "/slow":
            await slow.wait()
        return await echo(request)

    async with connected(answer) as (reader, writer):
        writer.write(b"GET /slow?1 HTTP/1.1\r\n\r\nGET /?2 HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.02)
        slow.set()
        assert ["X-Query: 1" in (await read(reader))[0], "X-Query: 2" in (await read(reader))[0]] == [True, True]


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"])
@in_loop
async def test_close_where_the_client_wants_it(request_line):
    async with connected(echo) as (reader, writer):
        writer.write(request_line)
        assert "Connection: close" in (await read(reader))[0]
        assert await reader.read() == b""


@in_loop
async def test_a_client_that_waits_for_100_is_told_to_go_on():
    async with connected(echo) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hi")
        assert (await read(reader))[1] == b"POST hi"


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello world",
    ],
)
@in_loop
async def test_what_is_not_http_or_too_large_is_400(raw, monkeypatch):
    monkeypatch.setattr(mailbox_http, "BODY_LIMIT", 10)
    async with connected(echo) as (reader, writer):
        writer.write(raw)
        answer = await reader.read()
        assert b"HTTP/1.1 400 Bad Request\r\n" in answer
        assert b"Connection: close" in answer


@in_loop
async def test_an_error_is_500_and_logged(caplog):
    async def broken(_: HttpRequest) -> HttpAnswer:
        raise RuntimeError("oops")

    async with connected(broken) as (reader, writer):
        writer.write(b"GET /x HTTP/1.1\r\n\r\n")
        assert (await read(reader))[0].startswith("HTTP/1.1 500 ")
    assert "could not answer GET /x" in caplog.text


@in_loop
async def test_who_goes_away_cancels_the_answer():
    cancelled = asyncio.Event()

    async def hang(_: HttpRequest) -> HttpAnswer:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return HttpAnswer(200)

    async with connected(hang) as (_, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.close()
        await asyncio.wait_for(cancelled.wait(), 5)
