"""Mail servers as they are: they close without a word, break off, redirect, and know no chunks."""

import asyncio
import ssl

import pytest
from tests.support.gateway import MailServer, http, rig, run
from tests.support.tls import make_certificates

from gatepost.gateway import upstream as module
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.outbox import Outbox
from gatepost.gateway.upstream import Upstream, UpstreamError
from gatepost.wire.wbxml import Element, encode

SEND_MAIL = encode(Element("ComposeMail:SendMail", (Element("ComposeMail:ClientId", text="1"),)))


def test_a_server_that_closes_after_each_answer_without_saying_so_loses_nothing(tmp_path):
    async def answering(mail, request, writer):
        writer.write(http(200, b"once"))
        return False

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=answering)) as r:
            phone = await r.phone()
            for _ in range(20):
                assert (await phone.post("SendMail", SEND_MAIL)).body == b"once"
                assert (await phone.post("FolderSync")).body == b"once"
            assert r.mail.commands.count("SendMail") == 20
            assert r.mail.connections == len(r.mail.questions) + 40

    run(story())


def test_a_server_that_keeps_connections_is_believed_after_a_moment(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            await phone.post("FolderSync")
            await r.until(lambda: r.gateway._workings.upstream._keeps_alive)
            before = r.mail.connections
            for _ in range(10):
                assert (await phone.post("FolderSync")).status == 200
            assert r.mail.connections <= before + 1

    run(story())


async def _kept(r, phone):
    """A connection to the mail server that was used and is believed to live on."""
    await phone.post("FolderSync")
    await r.until(lambda: r.gateway._workings.upstream._keeps_alive)


def test_a_kept_connection_that_turns_out_dead_is_replaced_for_what_may_be_repeated(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            await _kept(r, phone)

            async def breaking(mail, request, writer):
                mail.answering = None
                return False

            r.mail.answering = breaking
            assert (await phone.post("FolderSync")).body == b"upstream"
            assert r.mail.commands[-2:] == ["FolderSync", "FolderSync"]

    run(story())


def test_what_must_not_be_repeated_is_not_sent_again(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            await _kept(r, phone)

            async def breaking(mail, request, writer):
                return False

            r.mail.answering = breaking
            assert (await phone.post("SendMail", SEND_MAIL)).status == 502
            assert r.mail.commands.count("SendMail") == 1
            # nor is anything, once a byte of an answer has come

            async def half(mail, request, writer):
                writer.write(b"HTTP/1.1 2")
                await writer.drain()
                return False

            r.mail.answering = half
            before = len(r.mail.received)
            assert (await phone.post("FolderSync")).status == 502
            assert len(r.mail.received) == before + 1

    run(story())


def test_a_server_that_is_away_is_503_with_a_time_to_come_back(tmp_path):
    async def story():
        async with rig(tmp_path, upstream="http://127.0.0.1:1") as r:
            phone = await r.phone()
            answer = await phone.post("FolderSync")
            assert answer.status == 503
            assert 60 <= int(answer.headers["retry-after"]) <= 300
            r.deny_by_default()
            await r.settled()
            assert (await phone.post("FolderSync")).status == 503

    run(story())


@pytest.mark.parametrize(
    ("sent", "status", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 200, b"abcde"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", 200, b"to the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", 200, b"old"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 451 X\r\nX-MS-Location: https://elsewhere/\r\nContent-Length: 0\r\n\r\n", 502, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n", 502, b""),
        (b"HTTP/1.1 507 Full\r\nContent-Length: 4\r\n\r\nfull", 507, b"full"),
        (b"no HTTP at all\r\n\r\n", 502, b""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, 502, b""),
    ],
)
def test_answers_of_every_frame(tmp_path, sent, status, body):
    async def answering(mail, request, writer):
        writer.write(sent)
        await writer.drain()
        if len(sent) > 70_000:
            await asyncio.sleep(5)
        return False

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=answering)) as r:
            phone = await r.phone()
            for _ in range(2):  # the phone's connection lives on
                answer = await phone.post("FolderSync")
                assert (answer.status, answer.body) == (status, body)
                assert "location" not in answer.headers
                assert "x-ms-location" not in answer.headers

    run(story())


def test_an_answer_that_breaks_off_ends_the_phones_connection(tmp_path):
    async def answering(mail, request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        return False

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=answering)) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            got = await phone.reader.read(-1)
            assert got.endswith(b"half")

    run(story())


def test_what_nobody_asked_for_ends_the_connection_to_the_server(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.knows()
            phone = await r.phone()
            await _kept(r, phone)
            upstream = r.gateway._workings.upstream
            assert len(upstream._idle) == 1
            r.mail._writers[-1].write(http(200, b"poison"))
            await r.until(lambda: len(upstream) == 0)
            assert (await phone.post("FolderSync")).body == b"upstream"

    run(story())


def test_idle_connections_are_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.3)

    async def story():
        async with rig(tmp_path) as r:
            r.knows()
            await (await r.phone()).post("FolderSync")
            assert len(r.gateway._workings.upstream) == 1
            await r.until(lambda: len(r.gateway._workings.upstream) == 0)

    run(story())


def _server_context(certificates):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.certificate, certificates.key)
    return context


def test_a_server_with_tls_is_verified(tmp_path):
    certificates = make_certificates(tmp_path)
    trusting = ssl.create_default_context(cafile=certificates.authority)

    async def story(context, statuses):
        async with rig(tmp_path, tls=_server_context(certificates), ssl_context=context) as r:
            r.knows()
            phone = await r.phone()
            for status in statuses:
                assert (await phone.post("FolderSync")).status == status
            phone.send("Ping")
            if statuses[0] == 200:
                await r.until(lambda: r.mail.parked == 1)
                r.override("DENY")
                assert (await phone.answer()).status == 200
                await r.until(lambda: r.mail.parked == 0)
            assert len(r.mail.received) == (0 if statuses[0] != 200 else 3)

    run(story(trusting, (200, 200)))
    (tmp_path / "gatepost.db").unlink()
    run(story(ssl.create_default_context(), (503, 503)))


def test_ask_raises_its_own_error_when_the_server_closes():
    async def story():
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        outbox = Outbox()
        outbox.open(asyncio.get_running_loop())
        asking = Upstream(GatewayConfiguration("127.0.0.1", 0, upstream_address(url)), outbox)
        with pytest.raises(UpstreamError, match="closed the connection"):
            await asking.ask(b"OPTIONS", (b"Authorization: Basic x",))
        server.close()

    run(story())
