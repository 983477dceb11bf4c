"""PROXY protocol at the gateway: from trusted proxies always, from anybody else never."""

import asyncio
from ipaddress import ip_network

import pytest
from tests.support.gateway import FOLDER_SYNC, Wire, rig, run
from tests.support.proxy_header import LOCAL, SIGNATURE, block, tlv, version_1, version_2

from gatepost.gateway.limits import Limits
from gatepost.operations import access_control_rules

LOOPBACK = (ip_network("127.0.0.0/8"),)
ELSEWHERE = (ip_network("10.0.0.0/8"),)
HERE, THERE = "203.0.113.7", "198.51.100.1"


def proxied(tmp_path, trusted=LOOPBACK, **configuration):
    return rig(tmp_path, proxy_protocol=True, trusted_proxies=trusted, **configuration)


async def connect(r, *pieces):
    phone = await r.phone()
    for piece in pieces:
        phone.writer.write(piece)
        await asyncio.sleep(0.002 if len(pieces) > 1 else 0)
    return phone


def only_from(r, network):
    access_control_rules.put(
        r.context,
        organization_id=r.organization_id,
        name="only from there",
        effect="DENY",
        description=".",
        not_ip_ranges=[network],
    )


async def seen(r, *pieces, **headers):
    """The address that the mail server is told after this header; None when it is told none."""
    phone = await connect(r, *pieces)
    assert (await phone.post("FolderSync", **headers)).status == 200
    return r.mail.received[-1].headers.get("x-forwarded-for")


def bytewise(header):
    return [header[at : at + 1] for at in range(len(header))]


@pytest.mark.parametrize(
    ("header", "address"),
    [
        (version_1(HERE), HERE),
        (version_1("2001:db8::7"), "2001:db8::7"),
        (version_2(HERE), HERE),
        (version_2("2001:db8::7", tlv(0xEA, b"\1vpce"), checksum=True), "2001:db8::7"),
        (version_2("::ffff:203.0.113.7"), HERE),
        (LOCAL, "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n", None),
        (block(0x21, 0, b""), None),
    ],
)
def test_who_connected_is_who_asks(tmp_path, header, address):
    async def story():
        async with proxied(tmp_path) as r:
            assert await seen(r, header) == address
            assert await seen(r, *bytewise(header)) == address

    run(story())


def test_header_and_request_in_one_piece(tmp_path):
    async def story():
        async with proxied(tmp_path) as r:
            phone = await r.phone()
            phone.writer.write(version_1(HERE))
            phone.send("FolderSync")  # the same turn of the event loop, and most probably the same segment
            assert (await phone.answer()).status == 200
            assert r.mail.received[-1].headers["x-forwarded-for"] == HERE
            assert (await phone.post("FolderSync")).status == 200  # again, on the same connection
            assert r.mail.received[-1].headers["x-forwarded-for"] == HERE

    run(story())


def test_rules_see_the_address(tmp_path):
    async def story():
        async with proxied(tmp_path) as r:
            only_from(r, "203.0.113.0/24")
            await r.settled()
            inside, outside, unknown = [
                await connect(r, header) for header in (version_2(HERE), version_2(THERE), b"PROXY UNKNOWN\r\n")
            ]
            assert "x-ms-asthrottle" not in (await inside.post("FolderSync")).headers
            for phone in (outside, unknown):
                assert (await phone.post("FolderSync")).headers["x-ms-asthrottle"] == "AccessControlRule"

    run(story())


def test_headers_count_only_if_the_address_is_trusted_too(tmp_path):
    async def story():
        async with proxied(tmp_path) as r:
            ignored = r.gateway.metrics.forwarding_headers_ignored
            assert await seen(r, version_1(HERE), X_Forwarded_For=THERE) == HERE
            assert await seen(r, b"PROXY UNKNOWN\r\n", X_Forwarded_For=THERE, Forwarded="for=127.0.0.1") is None
            assert ignored == {"X-Forwarded-For": 2, "Forwarded": 1}
            assert await seen(r, version_1("127.0.0.9"), X_Forwarded_For=THERE) == THERE
            assert await seen(r, LOCAL, X_Forwarded_For=THERE) == THERE
            assert sum(ignored.values()) == 3

    run(story())


@pytest.mark.parametrize(
    "said",
    [
        b"POST /Microsoft-Server-ActiveSync HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 203.0.113.07 192.0.2.1 1 2\r\n",
        b"PROXY UNKNOWN" + b" x" * 100,
        version_2(HERE, checksum=True)[:-1] + b"x",
    ],
)
def test_a_trusted_proxy_has_to_say_it(tmp_path, said):
    async def story():
        async with proxied(tmp_path) as r:
            phone = await connect(r, said)
            assert await phone.closed()
            await r.until(lambda: r.gateway.metrics.proxy_headers_refused == 1)
            assert len(r.gateway._workings.downstreams) == 0
            assert r.mail.received == []

    run(story())


@pytest.mark.parametrize("header", [version_1(HERE), version_2(HERE), b"PROXY UNKNOWN\r\n", LOCAL])
def test_nobody_else_may_say_it(tmp_path, header):
    async def story():
        async with proxied(tmp_path, ELSEWHERE) as r:
            for pieces in ([header], bytewise(header[: 6 if header.startswith(b"PROXY") else 12])):
                phone = await connect(r, *pieces)
                assert (await phone.answer()).status == 400
                assert await phone.closed()
            assert r.gateway.metrics.forwarding_headers_ignored == {"PROXY": 2}
            assert r.gateway.metrics.proxy_headers_refused == 0
            assert r.mail.received == []

    run(story())


def test_anybody_else_speaks_http_at_once(tmp_path):
    async def story():
        async with proxied(tmp_path, ELSEWHERE) as r:
            assert await seen(r) == "127.0.0.1"
            assert await seen(r, b"\r\n") == "127.0.0.1"  # which could have begun as a header does
            slow = await r.phone()
            head = "POST /Microsoft-Server-ActiveSync?Cmd=FolderSync&User=a&DeviceId=B&DeviceType=c HTTP/1.1\r\n"
            for byte in bytewise(head.encode()):
                slow.writer.write(byte)
                await asyncio.sleep(0.001)
            slow.writer.write(b"Host: a\r\nContent-Length: %d\r\n\r\n%s" % (len(FOLDER_SYNC), FOLDER_SYNC))
            assert (await slow.answer()).status == 401
            assert r.gateway.metrics.forwarding_headers_ignored == {}

    run(story())


def test_without_the_setting_it_is_no_http(tmp_path):
    async def story():
        async with rig(tmp_path, trusted_proxies=LOOPBACK) as r:
            assert (await (await connect(r, version_1(HERE))).answer()).status == 400
            assert (await (await connect(r, version_2(HERE))).answer()).status == 400

    run(story())


def test_a_header_that_does_not_come_is_not_waited_for(tmp_path):
    async def story():
        async with proxied(tmp_path, limits=Limits(head_seconds=0.5)) as r:
            silent, halfway = await connect(r), await connect(r, SIGNATURE)
            assert await silent.closed()
            assert await halfway.closed()
            await r.until(lambda: r.gateway.metrics.proxy_headers_refused == 2)

    run(story())


def test_one_that_only_looks_whether_somebody_listens_is_not_counted(tmp_path):
    async def story():
        async with proxied(tmp_path) as r:
            (await connect(r)).close()
            (await connect(r, version_1(HERE))).close()
            await r.until(lambda: len(r.gateway._workings.downstreams) == 0)
            await asyncio.sleep(0.05)
            assert r.gateway.metrics.proxy_headers_refused == 0
            (await connect(r, version_1(HERE)[:10])).close()
            await r.until(lambda: r.gateway.metrics.proxy_headers_refused == 1)

    run(story())


def test_a_gateway_that_stops_does_not_wait_for_headers(tmp_path):
    async def story():
        async with proxied(tmp_path) as r:
            waiting = [await connect(r), await connect(r, SIGNATURE), await connect(r, version_1(HERE))]
            await r.until(lambda: len(r.gateway._workings.downstreams) == 3)
            async with asyncio.timeout(2):
                await r.gateway.stop()
            assert all([await phone.closed() for phone in waiting])

    run(story())


def test_the_most_connections_are_so_many_with_their_headers(tmp_path):
    async def story():
        async with proxied(tmp_path, limits=Limits(connections=4)) as r:
            phones = [await connect(r, SIGNATURE) for _ in range(8)]
            await r.until(lambda: len(r.gateway._workings.downstreams) <= 4)
            assert await seen(r, version_1(HERE)) == HERE
            assert len(phones) == 8

    run(story())


def test_parked_requests_and_long_bodies_go_through_the_same_transport(tmp_path):
    async def story():
        async with proxied(tmp_path) as r:
            parked = await connect(r, version_2(HERE))
            parked.send("Ping")
            await r.until(lambda: r.mail.parked == 1)
            parked.close()
            await r.until(lambda: r.mail.gave_up == 1)

    run(story())


def test_the_peer_itself_may_be_without_an_address(tmp_path):
    """As behind a Unix socket: nobody is trusted there."""

    async def story():
        async with proxied(tmp_path) as r:
            from gatepost.gateway.preamble import Preamble

            path = str(tmp_path / "socket")
            server = await asyncio.get_running_loop().create_unix_server(lambda: Preamble(r.gateway._workings), path)
            reader, writer = await asyncio.open_unix_connection(path)
            phone = Wire(reader, writer)
            assert (await phone.post("FolderSync", X_Forwarded_For=THERE)).status == 200
            assert "x-forwarded-for" not in r.mail.received[-1].headers
            phone.close()
            server.close()

    run(story())
