"""A long body is kept for those whom the mail server knows, and for nobody else."""

import asyncio

from tests.support.gateway import WRONG_PASSWORD, MailServer, Received, basic, http, rig, run

from gatepost.gateway.limits import Limits
from gatepost.wire.wbxml import Element, encode

MIME = b"Subject: hello\r\n\r\n" + b"x" * 300_000
MAIL = encode(
    Element(
        "ComposeMail:SendMail",
        (Element("ComposeMail:ClientId", text="1"), Element("ComposeMail:Mime", opaque=MIME)),
    )
)
TARGET = "/Microsoft-Server-ActiveSync?Cmd=SendMail&User=alice&DeviceId=Phone1&DeviceType=iPhone"


def head(password: str | None = None, framing: str = "Transfer-Encoding: chunked", method: str = "POST") -> bytes:
    credentials = basic() if password is None else basic(password=password)
    lines = (
        f"{method} {TARGET} HTTP/1.1",
        "Host: x",
        f"Authorization: {credentials}",
        "MS-ASProtocolVersion: 14.1",
        "Content-Type: application/vnd.ms-sync.wbxml",
        framing,
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def chunks(data: bytes, size: int = 8_000) -> list[bytes]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces] + [b"0\r\n\r\n"]


async def lengths(mail: MailServer, request: Received, writer: asyncio.StreamWriter) -> bool:
    writer.write(http(200, b"%d" % len(request.body)))
    return True


def test_a_long_body_in_pieces_is_whole_at_the_mail_server(tmp_path):
    async def story():
        async with rig(tmp_path, mail=MailServer(answering=lengths)) as r:
            for framing, pieces in (
                ("Transfer-Encoding: chunked", chunks(MAIL)),
                (f"Content-Length: {len(MAIL)}", [MAIL[start : start + 9_000] for start in range(0, len(MAIL), 9_000)]),
            ):
                phone = await r.phone()
                phone.writer.write(head(framing=framing))
                for piece in pieces:
                    phone.writer.write(piece)
                    await asyncio.sleep(0.001)
                assert (await phone.answer()).body == b"%d" % len(MAIL)
                assert r.mail.received[-1].body == MAIL
            assert len(r.mail.questions) == 1

    run(story())


def test_all_of_it_at_once_is_whole_too_and_asked_about_once(tmp_path):
    async def story():
        async with rig(tmp_path, mail=MailServer(answering=lengths)) as r:
            phone = await r.phone()
            phone.writer.write(head() + b"".join(chunks(MAIL)))
            assert (await phone.answer()).body == b"%d" % len(MAIL)
            assert len(r.mail.questions) == 1
            assert len(r.gateway._workings.failed_logins) == 0

    run(story())


def test_one_that_comes_in_one_piece_takes_one_try_and_gives_it_back(tmp_path):
    async def story():
        async with rig(tmp_path, mail=MailServer(answering=lengths)) as r:
            for password, status, left in ((None, 200, 0), (WRONG_PASSWORD, 401, 1)):
                phone = await r.phone()
                phone.writer.write(head(password) + b"".join(chunks(MAIL[:30_000])))
                assert (await phone.answer()).status == status
                assert len(r.gateway._workings.failed_logins) == left

    run(story())


def test_bodies_that_come_are_counted_as_their_user_s_requests(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(requests_per_user=2)) as r:
            r.deny_by_default()
            r.knows()
            r.knows("bob@example.com")
            await r.settled()
            count = r.gateway._workings.connections
            for framing in ("Transfer-Encoding: chunked", f"Content-Length: {len(MAIL)}"):
                pieces = chunks(MAIL) if "chunked" in framing else [MAIL[:40_000], MAIL[40_000:]]
                phones = [await r.phone() for _ in range(3)]
                for number, phone in enumerate(phones):
                    phone.writer.write(head(framing=framing) + b"".join(pieces[: len(pieces) // 2]))
                    await r.until(lambda number=number: len(count) == min(number + 1, 2))
                answer = await phones[2].answer()
                assert (answer.status, answer.headers["x-ms-asthrottle"]) == (503, "TooManyRequests")
                phones[0].close()
                await r.until(lambda: len(count) == 1)
                phones[1].writer.write(b"".join(pieces[len(pieces) // 2 :]))
                assert b"129" in (await phones[1].answer()).body
                assert len(count) == 0
                assert sum(one.idle for one in r.gateway._workings.downstreams) == len(r.gateway._workings.downstreams)
            assert r.gateway.metrics.limits == {"requests_per_user": 2}

    run(story())


def test_a_stranger_s_is_answered_before_it_is_here(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(head(WRONG_PASSWORD) + b"".join(chunks(MAIL)[:4]))  # and never the rest
            answer = await phone.answer()
            assert answer.status == 401
            assert r.mail.commands == []
            assert r.gateway.metrics.logins == {"refused": 1}

    run(story())


def test_what_is_no_command_is_answered_before_it_is_here(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            for target, status in (("Cmd=Nothing", 501), ("Cmd=SendMail&Cmd=Sync", 400), ("", 400)):
                phone = await r.phone()
                sent = head().replace(
                    TARGET.encode(), f"/Microsoft-Server-ActiveSync?{target}&User=a&DeviceId=P&DeviceType=x".encode()
                )
                phone.writer.write(sent + b"".join(chunks(MAIL)[:4]))
                assert (await phone.answer()).status == status
            assert r.mail.received == []

    run(story())


def test_a_phone_that_breaks_the_frame_while_it_is_asked_about_is_answered_once(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(head() + b"".join(chunks(MAIL)[:4]) + b"not a size\r\n")
            answer = await phone.answer()
            assert answer.status == 400
            assert await phone.closed()
            await r.until(lambda: len(r.gateway._workings.prober) == 0)
            assert len(r.gateway._workings.failed_logins) == 0 or r.mail.questions

    run(story())


def test_a_phone_that_goes_while_it_is_asked_about(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(head() + b"".join(chunks(MAIL)[:4]))
            await r.until(lambda: len(r.mail.questions) == 1)
            phone.close()
            await r.until(lambda: len(r.gateway._workings.downstreams) == 0)
            assert r.mail.commands == []

    run(story())


def test_one_who_stops_sending_after_the_proof_is_not_waited_for(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(body_seconds=0.2)) as r:
            for framing in ("Transfer-Encoding: chunked", f"Content-Length: {len(MAIL)}"):
                phone = await r.phone()
                body = b"".join(chunks(MAIL)[:4]) if "chunked" in framing else MAIL[:40_000]
                phone.writer.write(head(framing=framing) + body)
                assert (await phone.answer()).status == 408
                assert await phone.closed()
            assert r.mail.commands == []

    run(story())
