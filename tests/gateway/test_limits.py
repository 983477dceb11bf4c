import asyncio
import base64
import contextlib
import dataclasses
import socket

import pytest
from tests.support import secrets
from tests.support.gateway import ALICE, MailServer, basic, http, report, rig, run

from gatepost.gateway.limits import Limits
from gatepost.model import Directory
from gatepost.wire.wbxml import Element, encode


def test_limits_do_not_change_while_the_gateway_runs():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().head_bytes = 1


def test_every_limit_is_above_zero():
    assert all(value > 0 for value in dataclasses.astuple(Limits()))


def test_more_devices_than_a_user_may_have_are_refused_and_the_known_ones_stay(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(devices_per_user=2)) as r:
            phone = await r.phone()
            for device_id in ("ONE", "TWO"):
                assert (await phone.post("FolderSync", device_id=device_id)).body == b"upstream"
            third = await phone.post("FolderSync", device_id="THREE")
            assert b"177" in third.body
            assert third.headers["x-ms-asthrottle"] == "MaximumDevicesReached"
            assert (await phone.post("FolderSync", device_id="THREE", version="12.1")).status == 403
            assert (await phone.post("Provision", report("iPhone", "iOS 18"), device_id="THREE")).status == 200
            assert (await phone.post("FolderSync", device_id="ONE")).body == b"upstream"
            assert (await phone.post("FolderSync", device_id="ONE", login="bob@example.com")).body == b"upstream"
            assert len(r.gateway.devices) == 3
            r.override("ALLOW", device_id="THREE")  # a person says that this one may
            await r.settled()
            assert (await phone.post("FolderSync", device_id="THREE")).body == b"upstream"
            assert len(r.gateway.devices) == 4

    run(story())


def test_a_device_that_a_person_allowed_may_say_what_it_is_whatever_the_number(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(devices_per_user=1)) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync", device_id="ONE")).status == 200
            r.override("ALLOW", device_id="TWO")
            await r.settled()
            assert (await phone.post("Provision", report("iPhone"), device_id="TWO")).body == b"upstream"

    run(story())


def test_nobody_hears_of_a_limit_whose_password_is_not_right_any_more(tmp_path):
    async def never(mail, request, writer):
        mail.parked += 1
        await asyncio.sleep(10)
        return False

    async def story():
        async with rig(tmp_path, limits=Limits(devices_per_user=1, requests_per_user=1)) as r:
            phone, other = await r.phone(), await r.phone()
            assert (await phone.post("FolderSync", device_id="ONE")).status == 200
            for known in r.gateway._workings.proofs._accepted.values():
                known.fresh_until = 0.0  # minutes later
            r.mail.answering = never
            phone.send("FolderSync", device_id="ONE")
            await r.until(lambda: r.mail.parked == 1)
            r.mail.password = secrets.password("what it was changed to")
            assert (await other.post("FolderSync", device_id="TWO")).status == 401
            r.knows()
            for known in r.gateway._workings.proofs._accepted.values():
                known.fresh_until = 0.0
            assert (await other.post("FolderSync", device_id="ONE")).status == 401

    run(story())


def test_a_denied_user_cannot_bring_up_devices_without_end(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(devices_per_user=2)) as r:
            r.deny_by_default()
            await r.settled()
            phone = await r.phone()
            answers = [await phone.post("FolderSync", device_id=f"PHONE{number}") for number in range(5)]
            assert [b"129" in answer.body for answer in answers] == [True, True, False, False, False]
            assert [b"177" in answer.body for answer in answers] == [False, False, True, True, True]
            assert len(r.gateway.devices) == 2

    run(story())


def test_requests_that_a_phone_left_behind_make_room_for_its_next(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(requests_per_device=2)) as r:
            phones = [await r.phone() for _ in range(4)]
            for number, phone in enumerate(phones):
                phone.send("Ping")
                await r.until(lambda number=number: r.mail.parked == min(number + 1, 2))
            for phone in phones[:2]:
                assert (await phone.answer()).body == bytes.fromhex("03016a00000d45470331000101")
            assert len(r.gateway._workings.connections) == 2

    run(story())


def test_requests_of_all_devices_of_a_user_are_counted_and_what_cannot_end_is_not_added_to(tmp_path):
    async def never(mail, request, writer):
        mail.parked += 1
        await asyncio.sleep(10)
        return False

    async def story():
        async with rig(tmp_path, mail=MailServer(answering=never), limits=Limits(requests_per_user=2)) as r:
            for number in range(2):
                (await r.phone()).send("FolderSync", device_id=f"PHONE{number}")
                await r.until(lambda number=number: r.mail.parked == number + 1)
            third, bobs = await r.phone(), await r.phone()
            answer = await third.post("FolderSync", device_id="PHONE3")
            assert (answer.status, answer.headers["x-ms-asthrottle"]) == (503, "TooManyRequests")
            assert int(answer.headers["retry-after"]) >= 60
            bobs.send("FolderSync", login="bob@example.com")
            await r.until(lambda: r.mail.parked == 3)
            assert r.gateway.metrics.limits == {"requests_per_user": 1}

    run(story())


@pytest.mark.parametrize("login", [ALICE, "somebody@example.net"])
def test_options_count_too(tmp_path, login):
    async def never(mail, request, writer):
        if not request.question:
            mail.parked += 1
            await asyncio.sleep(10)
        writer.write(http(200))
        return True

    async def story():
        mail = MailServer(answering=never, answers_options=True)
        async with rig(tmp_path, mail=mail, limits=Limits(requests_per_user=2)) as r:
            phones = [await r.phone() for _ in range(3)]
            for number, phone in enumerate(phones):
                phone.raw("OPTIONS", "/Microsoft-Server-ActiveSync", {"Host": "x", "Authorization": basic(login)})
                await r.until(lambda number=number: r.mail.parked == min(number + 1, 2))
            answer = await phones[-1].answer()
            assert (answer.status, answer.headers["x-ms-asthrottle"]) == (503, "TooManyRequests")
            phones[0].close()
            await r.until(lambda: len(r.gateway._workings.connections) == 1)

    run(story())


@pytest.mark.parametrize("directory", [Directory.OPEN, Directory.CLOSED])
def test_no_spelling_of_a_login_has_tries_of_its_own(tmp_path, directory):
    """The mail server takes all of these for the same user, as SOGo does."""

    async def story():
        async with rig(tmp_path, directory=directory, limits=Limits(failed_logins=3)) as r:
            phone = await r.phone()
            for number, login in enumerate(
                ("alice%40", "%61lice@", "A\\alice@", "B\\alice@", "C\\%61lice%40", "álice@")
            ):
                login = f"{login}example.com"
                answer = await phone.post("FolderSync", login=login, password=secrets.password(f"guess {number}"))
                assert answer.status == (401 if number < 3 else 503)
            assert len(r.mail.questions) == 3

    run(story())


def test_a_connection_too_many_costs_an_idle_one(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(connections=3)) as r:
            parked, idle, other = [await r.phone() for _ in range(3)]
            parked.send("Ping")
            await r.until(lambda: r.mail.parked == 1)
            assert (await idle.post("FolderSync")).status == 200
            latest = await r.phone()
            assert (await latest.post("FolderSync")).status == 200
            assert len(r.gateway._workings.downstreams) <= 3
            assert r.mail.parked == 1
            assert other

    run(story())


def test_when_all_connections_work_the_next_is_closed(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(connections=2)) as r:
            for number in range(2):
                (await r.phone()).send("Ping", device_id=f"PHONE{number}")
            await r.until(lambda: r.mail.parked == 2)
            turned_away = await r.phone()
            assert (await turned_away.answer()).status == 503
            assert await turned_away.closed()
            assert r.gateway.metrics.limits == {"connections": 1}

    run(story())


def test_strangers_who_wait_to_be_known_keep_nobody_out(tmp_path):
    async def never(mail, request, writer):
        if request.question and "carol" in basic_of(request):
            await asyncio.sleep(10)
        writer.write(http(200, b"upstream"))
        return True

    def basic_of(request):
        return base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()

    async def story():
        mail = MailServer(answering=never, answers_options=True)
        async with rig(tmp_path, mail=mail, limits=Limits(connections=4, requests_per_user=100)) as r:
            phone = await r.phone()
            assert (await phone.post("FolderSync")).status == 200
            for number in range(6):
                stranger = await r.phone()
                if number % 2:
                    stranger.send("FolderSync", login=f"carol{number}@example.com")
                else:
                    stranger.send("SendMail", b"x" * 20_000, login=f"carol{number}@example.com", Content_Length="90000")
                await r.until(lambda number=number: len(mail.questions) == number + 2)
            assert (await (await r.phone()).post("FolderSync")).status == 200
            wondering = sum(len(one.wondering) for one in r.gateway._workings.prober._open.values())
            assert wondering == sum(one.strange for one in at_work(r)) < 6
            assert mail.commands == ["FolderSync", "FolderSync"]

    def at_work(r):
        found = ((one._exchange or one._vouching) for one in r.gateway._workings.downstreams)
        return [one for one in found if one is not None]

    run(story())


def test_a_phone_that_does_not_read_its_answer_is_left(tmp_path):
    async def story():
        mail = MailServer(body=b"x" * 20_000_000)
        async with rig(tmp_path, mail=mail, limits=Limits(write_seconds=0.2)) as r:
            phone = await r.phone()
            phone.reader._transport.pause_reading()
            phone.send("FolderSync")
            await r.until(lambda: len(r.gateway._workings.downstreams) == 0)
            assert len(r.gateway._workings.connections) == 0
            await r.until(lambda: all(one.receiver is None for one in r.gateway._workings.upstream._open))

    run(story())


async def narrow(r):
    """A phone that does not read for now, on a connection with little room; and the gateway's end of it."""
    phone = await r.phone()
    await r.until(lambda: len(r.gateway._workings.downstreams) == 1)
    (downstream,) = r.gateway._workings.downstreams
    phone.reader._transport.pause_reading()
    phone.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    downstream.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return phone, downstream


def test_who_asks_and_asks_and_reads_nothing_is_left(tmp_path):
    async def story():
        async with rig(tmp_path, limits=Limits(write_seconds=0.3)) as r:
            phone, downstream = await narrow(r)
            most = 0
            with contextlib.suppress(ConnectionError, RuntimeError):
                async with asyncio.timeout(5):
                    while len(r.gateway._workings.downstreams):
                        phone.writer.write(b"GET / HTTP/1.1\r\n\r\n" * 100)
                        most = max(most, downstream.transport.get_write_buffer_size())
                        await asyncio.sleep(0.001)
            assert 0 < most < 2_000_000
            assert downstream not in set(r.gateway._workings.downstreams)

    run(story())


def test_who_is_told_that_it_was_too_late_and_does_not_read_that_is_left_too(tmp_path):
    async def story():
        limits = Limits(head_seconds=0.2, write_seconds=0.2)
        async with rig(tmp_path, mail=MailServer(body=b"x" * 60_000), limits=limits) as r:
            phone, _ = await narrow(r)
            phone.send("FolderSync")  # its answer stays in the system's buffers, and the next one behind it
            await r.until(lambda: r.gateway.metrics.requests == {("FolderSync", 200): 1})
            phone.writer.write(b"POST /Micro")
            await r.until(lambda: len(r.gateway._workings.downstreams) == 0)

    run(story())


def test_who_reads_late_is_answered_all_the_same(tmp_path):
    async def story():
        async with rig(tmp_path, mail=MailServer(body=b"x" * 200_000)) as r:
            phone, downstream = await narrow(r)
            phone.send("FolderSync")
            await r.until(lambda: downstream.choked and len(r.gateway._workings.connections) == 0)
            phone.send("FolderSync")
            await asyncio.sleep(0.1)
            assert r.mail.commands == ["FolderSync"], "the second is not read before the first answer is"
            phone.reader._transport.resume_reading()
            for _ in range(2):
                assert len((await phone.answer()).body) == 200_000
            assert r.mail.commands == ["FolderSync", "FolderSync"]

    run(story())


@pytest.mark.parametrize("size", [40_000, 2_000_000])
def test_a_body_that_trickles_is_not_waited_for(tmp_path, size):
    async def story():
        limits = Limits(body_seconds=0.3, body_bytes_per_second=100_000)
        async with rig(tmp_path, limits=limits) as r:
            r.knows()
            phone = await r.phone()
            body = encode(Element("ComposeMail:SendMail", (Element("ComposeMail:Mime", opaque=b"x" * size),)))
            phone.send("SendMail", body[:70_000], Content_Length=str(len(body)))
            trickled = 0
            with contextlib.suppress(ConnectionError):
                while not phone.reader._buffer and trickled < 200:
                    phone.writer.write(b"x")  # never a pause of a whole `body_seconds`
                    trickled += 1
                    await asyncio.sleep(0.05)
            assert (await phone.answer()).status == (408 if size > 70_000 else 200)
            assert trickled < 200

    run(story())


def test_limits_of_documents_are_those_that_were_set(tmp_path):
    async def story():
        deep = report("iPhone", root="Settings:Settings")
        async with rig(tmp_path, limits=Limits(document_depth=2)) as r:
            phone = await r.phone()
            assert (await phone.post("Settings", deep)).status == 400
        long = Element("Settings:Settings", (Element("Settings:Status", text="x" * 3_000),))
        (tmp_path / "other").mkdir()
        async with rig(tmp_path / "other", limits=Limits(document_string_bytes=2_000)) as r:
            phone = await r.phone()
            assert (await phone.post("Settings", encode(long))).status == 400

    run(story())


def test_a_request_that_is_lively_for_ever_has_an_end(tmp_path):
    async def trickle(mail, request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.05)
        return False

    async def story():
        limits = Limits(request_seconds=0.5)
        async with rig(tmp_path, mail=MailServer(answering=trickle), limits=limits) as r:
            phone = await r.phone()
            phone.send("FolderSync")
            assert await phone.reader.readuntil(b"x")
            await r.until(lambda: len(r.gateway._workings.downstreams) == 0)
            assert len(r.gateway._workings.connections) == 0
            parked = await r.phone()
            r.mail.answering = None
            parked.send("Ping")
            assert (await parked.answer()).status == 503

    run(story())
