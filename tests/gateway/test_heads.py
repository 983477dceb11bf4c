import asyncio

from tests.support.gateway import FOLDER_SYNC, basic, rig, run

from gatepost.gateway import heads as module
from gatepost.gateway.forwarding import Head
from gatepost.gateway.heads import Heads

TARGET = "/Microsoft-Server-ActiveSync?Cmd=FolderSync&User=alice&DeviceId=A1&DeviceType=iPhone"


def head():
    return Head(b"POST", b"/", {}, [], 0)


def test_a_head_is_kept_when_it_comes_a_second_time():
    heads, one = Heads(0.0), head()
    heads.offer(b"a", one)
    assert heads.get(b"a") is None
    heads.offer(b"a", one)
    assert heads.get(b"a") is one
    assert len(heads) == 1


def test_heads_are_forgotten_and_bounded(monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    heads = Heads(0.0)
    for number in range(100):
        for _ in range(2):
            heads.offer(b"%d" % number, head())
        assert len(heads) <= 10
    heads.offer(b"x" * 3_000, head())
    heads.offer(b"x" * 3_000, head())
    assert heads.get(b"x" * 3_000) is None
    heads.sweep(299.0)
    assert len(heads) > 0
    heads.sweep(301.0)
    assert len(heads) == 0
    assert heads.get(b"99") is None


def request(*, extra="", body=FOLDER_SYNC, length=None, login="alice@example.com"):
    length = len(body) if length is None else length
    return (
        f"POST {TARGET} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic(login)}\r\nMS-ASProtocolVersion: 14.1\r\n"
        f"Content-Type: application/vnd.ms-sync.wbxml\r\n{extra}Content-Length: {length}\r\n\r\n"
    ).encode() + body


async def ask(phone, sent):
    phone.writer.write(sent)
    return await phone.answer()


def test_a_recognised_request_is_decided_anew_each_time(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.knows()
            phone = await r.phone()
            for _ in range(4):
                assert (await ask(phone, request())).body == b"upstream"
            assert len(r.gateway._workings.heads) == 1
            _, first, *others = r.mail.received  # before them the question whether she can log in
            assert all((one.line, one.headers, one.body) == (first.line, first.headers, first.body) for one in others)
            r.override("DENY", device_id="A1")
            await r.settled()
            assert b"129" in (await ask(phone, request())).body
            r.override("ALLOW", device_id="A1")
            await r.settled()
            assert (await ask(phone, request())).body == b"upstream"
            r.mail.password = "changed"
            assert (await ask(phone, request())).status == 401

    run(story())


def test_the_body_is_looked_at_each_time(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for _ in range(3):
                assert (await ask(phone, request())).status == 200
            other = bytearray(FOLDER_SYNC)
            other[5] = 0x14  # the same length, but ItemOperations' code page
            reached = len(r.mail.received)
            assert (await ask(phone, request(body=bytes(other)))).status == 400
            assert len(r.mail.received) == reached

    run(story())


def test_what_is_not_a_whole_plain_request_is_read(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            for _ in range(3):
                assert (await ask(phone, request())).status == 200
            whole = request()
            phone.writer.write(whole[:-5])  # the head is known, the body comes in two pieces
            await asyncio.sleep(0.05)
            assert (await ask(phone, whole[-5:])).body == b"upstream"
            phone.writer.write(whole + whole)  # two at once: the second is not answered
            assert (await phone.answer()).status == 200
            assert await phone.closed()

    run(story())


def test_a_request_that_ends_its_connection_is_not_kept(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            for extra in ("Connection: close\r\n", "Expect: 100-continue\r\n"):
                for _ in range(3):
                    phone = await r.phone()
                    phone.writer.write(request(extra=extra))
                    await phone.answer()
            assert len(r.gateway._workings.heads) == 0

    run(story())
