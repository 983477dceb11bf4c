"""Bodies of any size and speed, both ways."""

import asyncio
import hashlib
import os
from collections import deque

from tests.support.gateway import MailServer, Received, basic, http, rig, run

from gatepost.gateway.limits import Limits
from gatepost.gateway.relay import Relay
from gatepost.wire.wbxml import Element, encode

BEGINNING = encode(Element("ComposeMail:SendMail", (Element("ComposeMail:ClientId", text="1"),)))
LARGE = BEGINNING + os.urandom(25_000_000)


def test_a_mail_of_25_mb_streams_through(tmp_path):
    async def answering(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(200, hashlib.sha256(request.body).digest()))
        return True

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=answering)) as r:
            phone = await r.phone()
            answer = await phone.post("SendMail", LARGE)
            assert answer.body == hashlib.sha256(LARGE).digest()
            assert r.mail.received[-1].headers["content-length"] == str(len(LARGE))

    run(story())


def test_a_server_that_does_not_read_stops_the_phone_from_sending(tmp_path):
    async def story():
        gate = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await gate.wait()
            await reader.readexactly(len(LARGE))
            writer.write(http(200, b"done"))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(slow, "127.0.0.1", 0, limit=65_536)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with rig(tmp_path, upstream=url) as r:
            r.knows()
            phone = await r.phone()
            phone.send("SendMail", LARGE)
            await asyncio.sleep(0.5)
            assert phone.writer.transport.get_write_buffer_size() > 5_000_000  # it waits at the phone, not here
            upstream = next(iter(r.gateway._workings.upstream._open))
            assert upstream.transport.get_write_buffer_size() < 2_000_000
            gate.set()
            assert (await phone.answer()).body == b"done"
        server.close()

    run(story())


def test_a_phone_that_does_not_read_stops_the_server_from_sending(tmp_path):
    async def answering(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(200, LARGE))
        mail.writer = writer
        return True

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=answering)) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            await asyncio.sleep(0.5)
            assert r.mail.writer.transport.get_write_buffer_size() > 5_000_000
            downstream = next(iter(r.gateway._workings.downstreams))
            assert downstream.transport.get_write_buffer_size() < 2_000_000
            assert (await phone.answer()).body == LARGE

    run(story())


def test_a_phone_that_has_not_read_the_answer_before_stops_the_server_from_sending(tmp_path):
    asked, go = asyncio.Event(), asyncio.Event()

    async def answering(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        asked.set()
        await go.wait()
        writer.write(http(200, b"x" * 8_000_000))
        return True

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=answering)) as r:
            phone = await r.phone()
            phone.reader._transport.pause_reading()
            phone.send("FolderSync")
            await asked.wait()
            (downstream,) = r.gateway._workings.downstreams
            downstream._exchange._connection, connection = None, downstream._exchange._connection
            downstream.transport.write(b"." * 8_000_000)  # while there was no connection to be stopped
            downstream._exchange._connection = connection
            assert downstream.choked
            go.set()
            await r.until(lambda: downstream._exchange.answering)
            await asyncio.sleep(0.3)
            assert downstream.transport.get_write_buffer_size() < 8_500_000
            phone.reader._limit = 8_000_000  # or it takes half a minute
            phone.reader._transport.resume_reading()
            assert await phone.reader.readexactly(8_000_000) == b"." * 8_000_000
            assert len((await phone.answer()).body) == 8_000_000

    run(story())


def test_a_body_in_chunks_arrives_with_its_length(tmp_path):
    async def story():
        for size in (10, 100_000, 3_000_000):
            tmp = tmp_path / str(size)
            tmp.mkdir()
            async with rig(tmp, mail=MailServer(answering=_echo_length)) as r:
                phone = await r.phone()
                body = BEGINNING + os.urandom(size)
                phone.raw(
                    "POST",
                    "/Microsoft-Server-ActiveSync?Cmd=SendMail&User=a&DeviceId=A&DeviceType=b",
                    {
                        "Host": "x",
                        "Authorization": basic(),
                        "MS-ASProtocolVersion": "14.1",
                        "Transfer-Encoding": "chunked",
                    },
                )
                for start in range(0, len(body), 50_000):
                    piece = body[start : start + 50_000]
                    phone.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                phone.writer.write(b"0\r\n\r\n")
                assert (await phone.answer()).body == b"%d" % len(body)
                got = r.mail.received[-1]
                assert got.body == body
                assert "transfer-encoding" not in got.headers

    run(story())


async def _echo_length(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
    writer.write(http(200, request.headers["content-length"].encode()))
    return True


def test_a_large_body_is_refused_without_reaching_the_server_and_the_connection_lives_on(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            await r.settled()
            phone = await r.phone()
            answer = await phone.post("SendMail", LARGE)
            assert b"129" in answer.body
            assert (await phone.post("FolderSync")).status == 200
            assert r.mail.commands == []

    run(story())


def test_a_phone_that_goes_away_takes_its_request_along(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.send("Ping")
            await r.until(lambda: r.mail.parked == 1)
            phone.close()
            await r.until(lambda: r.mail.gave_up == 1)
            assert len(r.gateway._workings.connections) == 0

    run(story())


def test_a_server_that_never_answers_is_given_up(tmp_path):

    async def silent(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        await asyncio.sleep(10)
        return False

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=silent), limits=Limits(answer_seconds=0.1)) as r:
            answer = await (await r.phone()).post("FolderSync")
            assert answer.status == 503
            assert len(r.gateway._workings.connections) == 0

    run(story())


def test_a_denial_in_the_middle_of_an_answer_ends_the_connection(tmp_path):
    async def half(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbeginning")
        await asyncio.sleep(10)
        return False

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=half)) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            assert (await phone.reader.readuntil(b"beginning")).startswith(b"HTTP/1.1 200")
            r.override("DENY")
            assert await phone.closed()

    run(story())


def test_an_answer_before_the_end_of_the_request_ends_the_connection_to_the_server(tmp_path):
    async def hasty(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(507, b"full"))
        return True

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=hasty)) as r:
            upstream = r.gateway._workings.upstream
            upstream._keeps_alive = True
            r.mail.reads_bodies = False  # it answers at the head of a message that is still coming
            phone = await r.phone()
            phone.send("SendMail", BEGINNING + os.urandom(200_000), Content_Length="3000000")
            answer = await phone.answer()
            assert (answer.status, answer.body) == (507, b"full")
            assert upstream._idle == deque()

    run(story())


def test_a_connection_that_was_paused_serves_the_next_request(tmp_path):
    async def large(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(200, LARGE[:1_000_000]))
        return True

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=large)) as r:
            r.gateway._workings.upstream._keeps_alive = True
            phone = await r.phone()
            for _ in range(5):
                phone.send("FolderSync")
                await asyncio.sleep(0.05)
                assert len((await phone.answer()).body) == 1_000_000
            assert r.mail.connections == 1

    run(story())


def test_a_body_that_waited_for_a_proof_goes_on_over_a_kept_connection(tmp_path, monkeypatch):
    async def story():
        async with rig(tmp_path, mail=MailServer(answering=_echo_length)) as r:
            r.gateway._workings.upstream._keeps_alive = True
            phone = await r.phone()
            await phone.post("FolderSync")
            forward = Relay._forward

            def paused_first(self):  # as `Exchange._prove` leaves it
                self._downstream.pause_reading(paused=True)
                forward(self)

            monkeypatch.setattr(Relay, "_forward", paused_first)
            assert (await phone.post("SendMail", LARGE[:3_000_000])).body == b"3000000"
            assert r.mail.connections == 1

    run(story())
