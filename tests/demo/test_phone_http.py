"""The phone's HTTP: framings of answers, closed connections, and nothing sent twice that must not be."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from tests.support.loop import in_loop

from gatepost.demo.phone_http import HttpClient, HttpError


@asynccontextmanager
async def server(*answers: bytes, close: bool = False):
    """Gives one answer per request, in order, and counts connections and requests."""
    seen: list[bytes] = []
    connections: list[asyncio.StreamWriter] = []
    left = list(answers)

    async def serve(reader, writer):
        connections.append(writer)
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            seen.append(head + await reader.readexactly(int(length or 0)))
            writer.write(left.pop(0))
            if close:
                break
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1")
    client = HttpClient(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    async with listening:
        try:
            yield client, seen, connections
        finally:
            await client.close()
            for writer in connections:
                writer.close()


async def get(client: HttpClient, *, repeatable: bool = True):
    return await client.request("POST", "/x", {"A": "b"}, b"body", repeatable=repeatable)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Y: z\r\n\r\nhello",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-Y: z\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nT: x\r\n\r\n",
        b"HTTP/1.1 200\nContent-Length: 5\nX-Y: z\n\nhello",
    ],
)
@in_loop
async def test_framings(raw):
    async with server(raw, raw) as (client, seen, connections):
        for _ in range(2):
            answer = await get(client)
            assert (answer.status, answer.headers["x-y"], answer.body) == (200, "z", b"hello")
        assert len(connections) == 1
        assert b"\r\nA: b\r\nContent-Length: 4\r\n\r\nbody" in seen[0]


@in_loop
async def test_an_answer_may_last_until_the_connection_ends():
    async with server(b"HTTP/1.1 200 OK\r\n\r\nhello", b"HTTP/1.0 200 OK\r\n\r\nhello", close=True) as (
        client,
        _,
        connections,
    ):
        assert (await get(client)).body == b"hello"
        assert (await get(client)).body == b"hello"
        assert len(connections) == 2


@in_loop
async def test_no_content():
    async with server(b"HTTP/1.1 204 No Content\r\n\r\n") as (client, _, _):
        assert (await get(client)).body == b""


@in_loop
async def test_a_server_may_close_whenever_it_likes():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with server(*[answer] * 5, close=True) as (client, seen, _):
        for _ in range(5):
            assert (await get(client)).status == 200
        assert len(seen) == 5


@in_loop
async def test_connection_close_is_obeyed():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"
    async with server(answer, answer) as (client, _, connections):
        await get(client)
        await get(client)
        assert len(connections) == 2


@in_loop
async def test_what_must_not_arrive_twice_gets_its_own_connection():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with server(answer, b"", close=False) as (client, seen, connections):
        await get(client)
        sending = asyncio.create_task(get(client, repeatable=False))
        await asyncio.sleep(0.05)
        for writer in connections:
            writer.transport.abort()
        with pytest.raises((HttpError, ConnectionError)):
            await sending
        assert (len(seen), len(connections)) == (2, 2)


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhe", b""]
)
@in_loop
async def test_what_is_not_an_answer(raw):
    async with server(raw, raw, close=True) as (client, _, _):
        with pytest.raises(HttpError, match="not HTTP, or ends too early"):
            await get(client)


@pytest.mark.parametrize("url", ["mail.example.com", "ftp://mail.example.com", "http://", ""])
def test_other_addresses(url):
    with pytest.raises(ValueError, match="use http://host:port"):
        HttpClient(url)
