"""Strangers who send a head slowly, or come in crowds, are not waited for."""

import asyncio
import contextlib
import socket

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from gatepost.web.server import BoundedProtocol, HttpServer

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def slow(_):
    await asyncio.sleep(0.5)
    return PlainTextResponse("slow")


APP = Starlette(routes=[Route("/", lambda _: PlainTextResponse("hello")), Route("/slow", slow)])


async def closed(reader):
    """True once the other side has closed, in whichever way."""
    with contextlib.suppress(ConnectionResetError):
        return await reader.read() == b""
    return True


def serving(story):
    async def run():
        server = HttpServer(socket.create_server(("127.0.0.1", 0)), APP)
        await server.start()
        try:
            await asyncio.wait_for(story(server.address), 15)
        finally:
            await server.stop()

    asyncio.run(run())


@pytest.mark.parametrize("beginning", [b"", b"G", HEAD[:-2]])
def test_a_head_that_does_not_end_is_not_waited_for(monkeypatch, beginning):
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)

    async def story(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(beginning)
        assert await closed(reader)
        writer.close()

    serving(story)


def test_a_second_head_that_does_not_end_is_not_waited_for_either(monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.3)

    async def story(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD)
        assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200")
        writer.write(b"GET")
        assert await closed(reader)
        writer.close()

    serving(story)


def test_an_answer_may_take_longer_than_a_head(monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "head_seconds", 0.2)

    async def story(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD.replace(b"/ ", b"/slow "))
        assert await reader.readuntil(b"slow")
        writer.close()

    serving(story)


def test_a_head_has_an_end(monkeypatch):
    async def story(address):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD[:-2] + b"X: " + b"a" * 70_000)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()

    serving(story)


def test_a_crowd_is_not_let_in(monkeypatch):
    monkeypatch.setattr(BoundedProtocol, "most_connections", 3)

    async def story(address):
        crowd = [await asyncio.open_connection(*address) for _ in range(3)]
        reader, writer = await asyncio.open_connection(*address)
        assert await closed(reader)
        writer.close()
        crowd[0][1].write(HEAD)
        assert await crowd[0][0].readuntil(b"hello")
        for _, one in crowd:
            one.close()

    serving(story)


def test_an_address_can_be_given_back_unused():
    listener = socket.create_server(("127.0.0.1", 0))
    server = HttpServer(listener, APP)
    server.close()
    socket.create_server(server.address).close()
