"""Phones, and what else connects: HTTP taken literally."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.support.gateway import FOLDER_SYNC, basic, rig, run

from gatepost.gateway.limits import Limits

TARGET = "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice&DeviceId=A1&DeviceType=iPhone"


def request(*, version: str = "1.1", extra: str = "", body: bytes = FOLDER_SYNC, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    head = (
        f"POST {TARGET} HTTP/{version}\r\nHost: x\r\nAuthorization: {basic()}\r\nMS-ASProtocolVersion: 14.1\r\n"
        f"Content-Type: application/vnd.ms-sync.wbxml\r\n{extra}Content-Length: {length}\r\n\r\n"
    )
    return head.encode() + body


def test_a_request_byte_by_byte(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for byte in request():
                phone.writer.write(bytes([byte]))
                await asyncio.sleep(0)
            assert (await phone.answer()).body == b"upstream"
            got = r.mail.received[-1]
            assert got.body == FOLDER_SYNC
            assert got.headers["authorization"] == basic()

    run(story())


def test_keep_alive_by_version_and_wish(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            for sent, stays in (
                (request(), True),
                (request(extra="Connection: close\r\n"), False),
                (request(version="1.0"), False),
            ):
                phone = await r.phone()
                phone.writer.write(sent)
                answer = await phone.answer()
                assert answer.status == 200
                assert (answer.headers.get("connection") != "close") is stays
                if not stays:
                    assert await phone.closed()

    run(story())


def test_a_request_before_the_answer_ends_the_connection_after_it(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(request() + request())
            assert (await phone.answer()).status == 200
            assert await phone.closed()
            assert r.mail.commands.count("FolderSync") == 1

    run(story())


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (request(version="0.9"), 505),
        (request(version="2.0"), 505),
        (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"X-A: " + b"b" * 40_000 + b"\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 6_000 + b"Host: x\r\n\r\n", 431),
        (request(extra=f"Authorization: {basic('bob')}\r\n"), 400),
        (request(extra="MS-ASProtocolVersion: 12.1\r\n"), 400),
    ],
)
def test_what_has_no_meaning_or_two_is_refused_and_ends_the_connection(tmp_path, sent, status):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(sent)
            assert (await phone.answer()).status == status
            assert await phone.closed()
            assert r.mail.received == []

    run(story())


def test_expect_is_answered(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(request(extra="Expect: 100-continue\r\n", body=b"", length=len(FOLDER_SYNC)))
            assert (await phone.answer()).status == 100
            phone.writer.write(FOLDER_SYNC)
            assert (await phone.answer()).body == b"upstream"

    run(story())


@pytest.mark.parametrize(
    ("sent", "limit", "answered"),
    [
        (b"", "idle_seconds", False),
        (b"POST /Micro", "head_seconds", True),
        (request()[:-2], "body_seconds", True),
    ],
)
def test_slow_ones_are_not_waited_for(tmp_path, sent, limit, answered):
    async def story():
        async with rig(tmp_path, limits=Limits(**{limit: 0.1})) as r:
            phone = await r.phone()
            if sent:
                phone.writer.write(sent)
            if answered:
                assert (await phone.answer()).status == 408
            assert await phone.closed()
            assert len(r.gateway._workings.downstreams) == 0

    run(story())


def test_an_idle_connection_after_an_answer_is_closed(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(idle_seconds=0.1)) as r:
            phone = await r.phone()
            phone.writer.write(request())
            assert (await phone.answer()).status == 200
            assert await phone.closed()

    run(story())


def test_cookies_of_two_headers_are_joined(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(request(extra="Cookie: a=1\r\nCookie: b=2\r\n"))
            assert (await phone.answer()).status == 200

    run(story())


def test_a_head_that_does_not_end_is_not_read_for_long(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            for beginning in (b"GET / HTTP/1.1\r\nX-A: ", b"GET /"):
                phone = await r.phone()
                phone.writer.write(beginning)
                for _ in range(4):
                    phone.writer.write(b"a" * 10_000)
                    await asyncio.sleep(0.01)
                assert (await phone.answer()).status in {414, 431}
                assert await phone.closed()

    run(story())


def test_a_body_in_chunks_without_credentials_is_asked_for_them(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(
                f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n".encode()
            )
            answer = await phone.answer()
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert await phone.closed()

    run(story())


def test_a_large_document_is_not_decoded(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            answer = await phone.post("Provision", bytes.fromhex("03016a00000e45") + b"\0" * 300_000)
            assert answer.status == 400

    run(story())


def test_a_mistake_of_ours_closes_the_connection_and_is_told(tmp_path, monkeypatch):
    def broken(exchange):
        raise RuntimeError("broken")

    async def story():
        async with rig(tmp_path) as r:
            monkeypatch.setattr("gatepost.gateway.exchange.Exchange.start", broken)
            with capture_logs() as logged:
                phone = await r.phone()
                phone.writer.write(request())
                assert await phone.closed()
            assert [entry["event"] for entry in logged] == ["request.failed"]
            assert r.mail.received == []
            assert len(r.gateway._workings.downstreams) == 0

    run(story())


def test_who_is_told_to_go_on_hears_the_answer_before_that_first(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            first = b"OPTIONS /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: x\r\n\r\n"
            phone.writer.write(first + request(extra="Expect: 100-continue\r\n"))
            assert (await phone.answer()).status == 401
            assert (await phone.answer()).status == 100
            assert (await phone.answer()).status == 200

    run(story())


def test_of_a_user_agent_a_thousand_characters_are_kept(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync", User_Agent="a" * 5_000)).status == 200
            (state,) = r.gateway.devices.take()
            assert state.http_user_agent == "a" * 1_024
            assert r.mail.received[-1].headers["user-agent"] == "a" * 5_000

    run(story())
