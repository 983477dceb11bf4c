"""A mailbox that lives on another server works, and no phone is led around the gateway."""

import asyncio
import contextlib
import os
import ssl

import pytest
from structlog.testing import capture_logs
from tests.support.gateway import ALICE, WRONG_PASSWORD, MailServer, basic, http, rig, run
from tests.support.tls import make_certificates

from gatepost.gateway import redirects as module
from gatepost.gateway.configuration import GatewayConfiguration, upstream_address
from gatepost.gateway.locations import LocationRefused
from gatepost.gateway.outbox import Outbox
from gatepost.gateway.redirects import Redirects
from gatepost.gateway.upstream import Upstream, UpstreamError
from gatepost.wire.wbxml import Element, decode, encode

EAS = "/Microsoft-Server-ActiveSync"
SEND_MAIL = encode(Element("ComposeMail:SendMail", (Element("ComposeMail:ClientId", text="1"),)))
PING_7 = bytes.fromhex("03016a00000d45470337000101")
AUTHORIZATION = basic().encode()


def sends_on(location, status=451):
    """A mail server that has nobody's mailbox."""

    async def answering(mail, request, writer):
        where = location() if callable(location) else location
        writer.write(http(status, b"not here", f"{'X-MS-Location' if status == 451 else 'Location'}: {where}"))
        return True

    return answering


@contextlib.asynccontextmanager
async def two(tmp_path, *, status=451, path=EAS, listed=True, **configuration):
    """A gateway in front of a mail server that sends everybody on to the second one, and that one."""
    second = MailServer(body=b"second")
    await second.start()
    authority = second.url.removeprefix("http://")
    home = MailServer(answering=sends_on(f"{second.url}{path}", status))
    hosts = {"redirect_hosts": (authority,)} if listed else {}
    try:
        async with rig(tmp_path, mail=home, **(hosts | configuration)) as r:
            yield r, home, second
    finally:
        await second.close()


# -- the phone does not notice


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 451])
def test_a_request_is_sent_on_and_the_next_one_goes_there_at_once(tmp_path, status):
    async def story():
        async with two(tmp_path, status=status, path="/SOGo" + EAS) as (r, home, second):
            phone = await r.phone()
            for _ in range(3):
                answer = await phone.post("FolderSync")
                assert (answer.status, answer.body) == (200, b"second")
                assert "location" not in answer.headers
                assert "x-ms-location" not in answer.headers
            assert home.commands == ["FolderSync"]
            assert second.commands == ["FolderSync"] * 3
            got = second.received[-1]
            assert got.line.startswith(f"POST /SOGo{EAS}?Cmd=FolderSync&User=alice")
            assert got.headers["host"] == second.url.removeprefix("http://")
            assert got.headers["x-forwarded-host"] == "gate.example.com"
            assert got.headers["authorization"] == basic()

    run(story())


def test_a_mail_is_sent_on_once_because_nothing_was_done_with_it(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            body = SEND_MAIL + os.urandom(500_000)
            assert (await (await r.phone()).post("SendMail", body)).body == b"second"
            assert home.commands == second.commands == ["SendMail"]
            assert second.received[-1].body == body

    run(story())


@pytest.mark.parametrize("size", [10, 200_000, 900_000])
def test_a_mail_in_chunks_is_sent_on_too(tmp_path, size):
    async def story():
        async with two(tmp_path) as (r, _home, second):
            body = SEND_MAIL + os.urandom(size)
            phone = await r.phone()
            _chunked(phone, body)
            assert (await phone.answer()).body == b"second"
            assert second.received[-1].body == body

    run(story())


def _chunked(phone, body):
    target = f"{EAS}?Cmd=SendMail&User=a&DeviceId=A&DeviceType=b"
    lines = {"Host": "gate.example.com", "Authorization": basic(), "MS-ASProtocolVersion": "14.1"}
    phone.raw("POST", target, lines | {"Transfer-Encoding": "chunked"})
    for start in range(0, len(body), 50_000):
        piece = body[start : start + 50_000]
        phone.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    phone.writer.write(b"0\r\n\r\n")


def test_options_are_sent_on(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, _second):
            home.answers_options = True
            phone = await r.phone()
            phone.raw("OPTIONS", EAS, {"Host": "gate.example.com", "Authorization": basic()})
            answer = await phone.answer()
            assert answer.headers["ms-asprotocolversions"] == "12.1,14.1"
            assert "x-ms-location" not in answer.headers
            await phone.post("FolderSync")
            assert home.commands == []

    run(story())


def test_credentials_are_proven_where_the_mailbox_is(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            home.answers_options = True
            r.deny_by_default()
            await r.settled()
            answer = await (await r.phone()).post("FolderSync")
            assert (answer.status, b"129" in answer.body) == (200, True)
            assert (len(home.questions), len(second.questions)) == (1, 1)
            phone = await r.phone()
            assert (await phone.post("FolderSync", password=WRONG_PASSWORD)).status == 401
            assert (home.commands, second.commands) == ([], [])

    run(story())


def test_who_stays_is_not_sent_anywhere(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, _second):
            sending = home.answering

            async def answering(mail, request, writer):
                if basic() == request.headers["authorization"]:
                    return await sending(mail, request, writer)
                writer.write(http(200, b"home"))
                return True

            home.answering = answering
            phone = await r.phone()
            for _ in range(3):
                assert (await phone.post("FolderSync")).body == b"second"
                assert (await phone.post("FolderSync", login="bob@example.com", device_id="B")).body == b"home"

    run(story())


def test_a_head_that_is_recognised_goes_where_its_mailbox_is_at_the_moment(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            sending, home.answering = home.answering, None
            phone = await r.phone()
            for _ in range(4):
                assert (await phone.post("FolderSync")).body == b"upstream"
            home.answering = sending
            for _ in range(4):
                assert (await phone.post("FolderSync")).body == b"second"
            home.answering = None
            second.answering = sends_on(home.url)
            for _ in range(4):
                assert (await phone.post("FolderSync")).body == b"upstream"
            for mail in (home, second):
                for request in mail.received:
                    assert request.headers["host"] == mail.url.removeprefix("http://")

    run(story())


# -- what is not whole here any more


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [(None, "https://gate.example.com"), ("https://eas.example.com", "https://eas.example.com")],
)
def test_a_mail_that_is_streaming_is_asked_for_again_here(tmp_path, public_url, expected):
    async def story():
        async with two(tmp_path, public_url=public_url) as (r, home, second):
            home.reads_bodies = False  # it answers at the head of the mail
            body = SEND_MAIL + os.urandom(3_000_000)
            phone = await r.phone()
            answer = await phone.post("SendMail", body)
            assert (answer.status, answer.headers["x-ms-location"]) == (451, expected + EAS)
            assert second.commands == []
            assert (await phone.post("SendMail", body)).body == b"second"
            assert second.received[-1].body == body
            assert home.commands == ["SendMail"]

    run(story())


def test_a_large_mail_in_chunks_is_asked_for_again_too(tmp_path):
    async def story():
        async with two(tmp_path) as (r, _home, second):
            body = SEND_MAIL + os.urandom(2_000_000)
            phone = await r.phone()
            _chunked(phone, body)
            answer = await phone.answer()
            assert (answer.status, answer.headers["x-ms-location"]) == (451, "https://gate.example.com" + EAS)
            _chunked(phone, body)
            assert (await phone.answer()).body == b"second"
            assert second.received[-1].body == body

    run(story())


def test_where_no_other_server_is_expected_nothing_is_held_and_the_phone_asks_again(tmp_path):
    async def story():
        home = MailServer(answering=sends_on("/SOGo" + EAS, 302))
        async with rig(tmp_path, mail=home) as r:
            phone = await r.phone()
            answer = await phone.post("FolderSync")
            assert (answer.status, answer.headers["x-ms-location"]) == (451, "https://gate.example.com" + EAS)
            home.answering = None
            assert (await phone.post("FolderSync")).status == 200
            assert home.received[-1].line.startswith(f"POST /SOGo{EAS}?Cmd=FolderSync")

    run(story())


def test_a_phone_that_does_not_say_where_it_found_us_is_not_told(tmp_path):
    async def story():
        async with rig(tmp_path, mail=MailServer(answering=sends_on("/SOGo" + EAS, 302))) as r:
            phone = await r.phone()
            answer = await phone.post("FolderSync", Host="")
            assert (answer.status, answer.headers.get("x-ms-location")) == (451, None)

    run(story())


# -- led astray


@pytest.mark.parametrize("status", [302, 451])
def test_a_host_that_is_not_listed_is_never_asked(tmp_path, status):
    async def story():
        async with two(tmp_path, status=status, listed=False) as (r, _home, elsewhere):
            phone = await r.phone()
            with capture_logs() as logs:
                for command, body in (("FolderSync", None), ("SendMail", SEND_MAIL), ("Ping", None)):
                    answer = await phone.post(command, body)
                    assert answer.status == 502
                    assert answer.body == b""
                    assert not {"location", "x-ms-location"} & set(answer.headers)
            assert elsewhere.connections == 0
            [line] = [line for line in logs if line["event"] == "upstream.redirect_refused"]
            assert line["host"] == elsewhere.url.removeprefix("http://")
            assert line["setting"] == "gateway.redirect_hosts"

    run(story())


def test_nobody_is_asked_over_http_instead_of_https(tmp_path):
    certificates = make_certificates(tmp_path)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificates.certificate, certificates.key)
    trusting = ssl.create_default_context(cafile=certificates.authority)

    async def story():
        async with two(tmp_path, tls=serving, ssl_context=trusting) as (r, home, second):
            assert (await (await r.phone()).post("FolderSync")).status == 502
            assert second.connections == 0
            # but another one with TLS, verified like the first
            third = MailServer(body=b"third")
            await third.start(serving)
            home.answering = sends_on(third.url)
            r.gateway._workings.redirects._locations._allowed = frozenset({("127.0.0.1", int(third.url[-5:]))})
            assert (await (await r.phone()).post("FolderSync")).body == b"third"
            await third.close()

    run(story())


@pytest.mark.parametrize(
    "location",
    [
        "http://{second}@127.0.0.1:9/Microsoft-Server-ActiveSync",
        "http://user:secret@{second}/Microsoft-Server-ActiveSync",
        "http://{second}\\@127.0.0.1:9/",
        "http://{second}:80/",
        "http://[::1]/",
        "ftp://{second}/",
        "",
        "Microsoft-Server-ActiveSync",
    ],
)
def test_what_could_be_read_in_two_ways_is_not_followed(tmp_path, location):
    async def story():
        async with two(tmp_path) as (r, home, second):
            home.answering = sends_on(location.format(second=second.url.removeprefix("http://")))
            assert (await (await r.phone()).post("FolderSync")).status == 502
            assert second.connections == 0

    run(story())


@pytest.mark.parametrize("gap", ["\r\n ", "\r\n\t", "\r", "\n"])
def test_a_location_on_two_lines_is_none(tmp_path, gap):
    async def story():
        async with two(tmp_path) as (r, home, second):

            async def answering(mail, request, writer):
                writer.write(
                    f"HTTP/1.1 451 X\r\nX-MS-Location: {second.url}{gap}/x\r\nContent-Length: 0\r\n\r\n".encode()
                )
                return True

            home.answering = answering
            assert (await (await r.phone()).post("FolderSync")).status == 502
            assert second.connections == 0

    run(story())


def test_a_location_that_belongs_to_another_answer_is_not_taken(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            r.gateway._workings.upstream._keeps_alive = True
            answers = iter(
                [
                    http(200, b"first", f"X-MS-Location: {second.url}"),
                    b"HTTP/1.1 100 Continue\r\n"
                    + f"X-MS-Location: {second.url}\r\n\r\n".encode()
                    + http(451, b"", "Server: x"),
                ]
            )

            async def answering(mail, request, writer):
                writer.write(next(answers))
                return True

            home.answering = answering
            phone = await r.phone()
            assert (await phone.post("FolderSync")).body == b"first"
            assert (await phone.post("FolderSync")).status == 502
            assert second.connections == 0

    run(story())


def test_headers_that_lead_away_end_here_in_every_other_answer(tmp_path):
    leading = [
        "Location: https://elsewhere.example.org/",
        "LOCATION: https://elsewhere.example.org/",
        "Content-Location: https://elsewhere.example.org/",
        "X-MS-Location: https://elsewhere.example.org/",
        "x-ms-LOCATION: https://elsewhere.example.org/",
        "Refresh: 0; url=https://elsewhere.example.org/",
        'Alt-Svc: h3="elsewhere.example.org:443"',
    ]
    passing = ["X-MS-Credential-Service-Url: https://password.example.com/", "X-MS-Credentials-Expire: 3", "X-Other: y"]

    async def story():
        for status in (200, 201, 400, 401, 403, 404, 449, 500, 503):

            async def answering(mail, request, writer, status=status):
                writer.write(http(status, b"", *leading, *passing))
                return True

            folder = tmp_path / str(status)
            folder.mkdir()
            async with rig(folder, mail=MailServer(answering=answering)) as r:
                answer = await (await r.phone()).post("FolderSync")
                assert answer.status == status
                assert "elsewhere" not in str(answer.headers)
                assert {"x-ms-credential-service-url", "x-ms-credentials-expire", "x-other"} <= set(answer.headers)

    run(story())


# -- round and round


def test_two_servers_that_send_a_phone_to_each_other_are_left_alone(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            second.answering = sends_on(home.url)
            phone = await r.phone()
            with capture_logs() as logs:
                assert (await phone.post("FolderSync")).status == 502
                asked = len(home.commands) + len(second.commands)
                assert asked <= 4
                for _ in range(5):
                    assert (await phone.post("FolderSync")).status == 502
            assert len(home.commands) + len(second.commands) <= asked + 5
            assert "servers send the phone to each other" in {line.get("reason") for line in logs}

    run(story())


def test_nor_are_they_when_the_phone_has_to_ask_again_each_time(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            second.answering = sends_on(home.url)
            body = SEND_MAIL + os.urandom(1_200_000)
            phone = await r.phone()
            found = [(await phone.post("SendMail", body)).status for _ in range(5)]
            assert found == [451, 451, 451, 502, 502]

    run(story())


@pytest.mark.parametrize("changes", [3, 1000])
def test_a_chain_of_servers_has_an_end(tmp_path, monkeypatch, changes):
    monkeypatch.setattr(module, "_MOST_CHANGES", changes)

    async def story():
        async with two(tmp_path) as (r, _home, second):
            paths = iter(f"/{number}{EAS}" for number in range(100))
            second.answering = sends_on(lambda: next(paths), 302)
            with capture_logs() as logs:
                assert (await (await r.phone()).post("FolderSync")).status == 502
            assert len(second.commands) == 3
            event = "upstream.redirect_refused" if changes == 3 else "upstream.sent_on_too_often"
            assert event in {line["event"] for line in logs}

    run(story())


def test_a_mailbox_that_moved_back_is_found(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            phone = await r.phone()
            assert (await phone.post("FolderSync")).body == b"second"
            home.answering = None

            async def gone(mail, request, writer):
                writer.write(http(451))  # without a location: look for it anew
                return True

            second.answering = gone
            for _ in range(3):
                assert (await phone.post("FolderSync")).body == b"upstream"
            assert second.commands == ["FolderSync"] * 2

    run(story())


# -- forgotten


def test_a_401_there_is_the_phones_and_the_next_request_asks_at_home(tmp_path):
    async def story():
        async with two(tmp_path) as (r, _home, second):
            phone = await r.phone()
            assert (await phone.post("FolderSync")).body == b"second"
            assert len(r.gateway._workings.redirects.known) == 1
            second.password = WRONG_PASSWORD
            answer = await phone.post("FolderSync")
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Basic")
            assert r.gateway._workings.redirects.known == {}

    run(story())


def test_a_server_that_is_gone_is_forgotten_and_home_is_asked(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            phone = await r.phone()
            assert (await phone.post("FolderSync")).body == b"second"
            await second.close()
            sending, home.answering = home.answering, None
            assert (await phone.post("SendMail", SEND_MAIL)).body == b"upstream"
            assert r.gateway._workings.redirects.known == {}
            home.answering = sending
            answer = await phone.post("FolderSync")
            assert (answer.status, "retry-after" in answer.headers) == (503, True)
            assert r.gateway._workings.redirects.known == {}

    run(story())


def test_credentials_are_proven_at_home_when_the_other_server_is_gone(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            redirects = r.gateway._workings.redirects
            redirects.follow(AUTHORIZATION, redirects.home, 451, [f"X-MS-Location: {second.url}".encode()], None)
            await second.close()
            assert (await redirects.ask(AUTHORIZATION)).status == 200
            assert redirects.known == {}
            home.answers_options = True
            home.answering = sends_on(second.url)
            with pytest.raises(UpstreamError, match="cannot connect"):
                await redirects.ask(AUTHORIZATION)
            home.answering = sends_on(home.url)
            with pytest.raises(UpstreamError, match="to itself"):
                await redirects.ask(AUTHORIZATION)

    run(story())


def test_credentials_that_are_wrong_there_are_asked_about_at_home_the_next_time(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            redirects = r.gateway._workings.redirects
            home.answers_options = True
            assert (await redirects.ask(AUTHORIZATION)).status == 200
            assert len(redirects.known) == 1
            second.password = WRONG_PASSWORD
            assert (await redirects.ask(AUTHORIZATION)).status == 401
            assert redirects.known == {}

    run(story())


def test_connections_that_turn_out_dead_are_replaced_at_both_servers(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            phone = await r.phone()
            await phone.post("FolderSync")
            sending = home.answering

            def breaking_once(mail, then):
                async def answering(mail, request, writer):
                    mail.answering = then
                    return False

                mail.answering = answering

            home.answering = None
            r.gateway._workings.redirects.forget(AUTHORIZATION)
            await phone.post("FolderSync")
            assert (await phone.post("FolderSync")).body == b"upstream"
            redirects = r.gateway._workings.redirects
            for upstream in redirects._servers.values():
                upstream._keeps_alive = True
                assert upstream._idle
            breaking_once(home, sending)
            breaking_once(second, None)
            assert (await phone.post("FolderSync")).body == b"second"

    run(story())


@pytest.mark.parametrize("changes", [3, 1000])
def test_a_question_that_is_sent_on_and_on_is_given_up(tmp_path, monkeypatch, changes):
    monkeypatch.setattr(module, "_MOST_CHANGES", changes)

    async def story():
        async with two(tmp_path) as (r, home, second):
            home.answers_options = second.answers_options = True
            second.answering = sends_on(home.url)
            with pytest.raises(UpstreamError):
                await r.gateway._workings.redirects.ask(AUTHORIZATION)
            assert len(home.questions) + len(second.questions) == 4

    run(story())


# -- denied


def test_a_ping_that_is_parked_at_the_other_server_is_cut_at_once(tmp_path):
    async def story():
        async with two(tmp_path) as (r, _home, second):
            phone = await r.phone()
            phone.send("Ping")
            await r.until(lambda: second.parked == 1)
            r.override("DENY")
            async with asyncio.timeout(1):
                answer = await phone.answer()
            assert (answer.status, answer.body) == (200, PING_7)
            await r.until(lambda: second.gave_up == 1)
            assert len(r.gateway._workings.connections) == 0
            answer = await phone.post("FolderSync")
            assert b"129" in answer.body
            assert second.commands == ["Ping"]

    run(story())


def test_a_denial_while_the_other_server_is_being_reached_is_in_time(tmp_path, monkeypatch):
    async def story():
        async with two(tmp_path) as (r, home, second):
            gate, connect = asyncio.Event(), Upstream.connect

            async def slowly(self):
                if self is not r.gateway._workings.upstream:
                    await gate.wait()
                return await connect(self)

            monkeypatch.setattr(Upstream, "connect", slowly)
            phone = await r.phone()
            phone.send("SendMail", SEND_MAIL)
            await r.until(lambda: home.commands == ["SendMail"] and r.gateway._workings.redirects.known)
            r.override("DENY")
            await r.settled()
            gate.set()
            assert b"129" in (await phone.answer()).body
            assert second.commands == []

    run(story())


def _keep(r):
    """The connections to both servers are believed to live on, so that they are used again at once."""
    redirects = r.gateway._workings.redirects
    for upstream in (redirects.home, redirects.of(AUTHORIZATION)):
        upstream._keeps_alive = True


def test_a_denial_while_a_server_turns_out_to_be_gone_is_in_time(tmp_path, monkeypatch):
    async def story():
        async with two(tmp_path) as (r, home, _second):
            home.answering, sending = None, home.answering
            phone = await r.phone()
            await phone.post("FolderSync")
            home.answering = sending
            await phone.post("FolderSync")
            home.answering = None
            _keep(r)
            other = r.gateway._workings.redirects.of(AUTHORIZATION)
            other._idle.clear()
            gate = asyncio.Event()

            async def gone(self):
                await gate.wait()
                raise UpstreamError("gone")

            monkeypatch.setattr(Upstream, "connect", gone)
            before = len(home.commands)
            phone.send("SendMail", SEND_MAIL)
            await r.until(lambda: other._connecting == 1)
            r.override("DENY")
            await r.settled()
            gate.set()
            assert b"129" in (await phone.answer()).body
            assert len(home.commands) == before

    run(story())


def test_a_denial_that_came_with_the_redirection_is_in_time(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, second):
            phone = await r.phone()
            await phone.post("FolderSync")
            _keep(r)
            r.gateway._workings.redirects.forget(AUTHORIZATION)
            r.gateway._reconsider = lambda exchanges: None  # it has many others to look at first
            sending = home.answering

            async def answering(mail, request, writer):
                r.override("DENY")
                await r.settled()
                return await sending(mail, request, writer)

            home.answering = answering
            assert b"129" in (await phone.post("SendMail", SEND_MAIL)).body
            assert second.commands == ["FolderSync"]

    run(story())


def test_a_mail_that_may_have_been_sent_is_not_sent_again_when_a_denial_passes(tmp_path):
    async def story():
        async with two(tmp_path) as (r, home, _second):
            arrived = asyncio.Event()

            async def silent(mail, request, writer):
                arrived.set()
                await asyncio.sleep(10)
                return False

            home.answering = silent
            phone = await r.phone()
            phone.send("SendMail", SEND_MAIL)
            await arrived.wait()
            [exchange] = r.gateway._workings.connections.all()
            assert exchange._head is not None, "it is held, for it may be sent on"
            decisions = iter([False, True])
            through, exchange_class = type(exchange)._through, type(exchange)
            try:
                exchange_class._through = lambda self, decision: next(decisions)
                exchange.reconsider()
            finally:
                exchange_class._through = through
            assert (await phone.answer()).status == 503
            assert home.commands == ["SendMail"]

    run(story())


# -- versions and commands


def test_only_what_is_wanted_is_offered_and_taken(tmp_path):
    async def story():
        offering = [
            "MS-ASProtocolVersions: 2.5,12.1,14.1,16.1",
            "MS-ASProtocolCommands: Sync,GetAttachment,Ping,Provision",
            "X-MS-RP: 2.5,14.1",
        ]

        async def answering(mail, request, writer):
            writer.write(http(200, b"", *offering))
            return True

        mail = MailServer(answering=answering, answers_options=True)
        wanted = {"protocol_versions": ("14.1", "16.1"), "refused_commands": ("GetAttachment", "Find")}
        async with rig(tmp_path, mail=mail, **wanted) as r:
            phone = await r.phone()
            phone.raw("OPTIONS", EAS, {"Host": "gate.example.com", "Authorization": basic()})
            answer = await phone.answer()
            assert answer.headers["ms-asprotocolversions"] == "14.1,16.1"
            assert answer.headers["ms-asprotocolcommands"] == "Sync,Ping,Provision,Settings"
            assert answer.headers["x-ms-rp"] == "14.1"
            answer = await phone.post("FolderSync")
            assert (answer.status, answer.headers["x-ms-rp"]) == (200, "14.1")
            before = len(mail.commands)
            answer = await phone.post("FolderSync", version="16.0")
            assert decode(answer.body).text_at("FolderHierarchy:Status") == "138"
            assert (await phone.post("FolderSync", version="12.1")).status == 400
            assert (await phone.post("GetAttachment")).status == 501
            assert (await phone.post("SendMail", SEND_MAIL + bytes(2_000_000), version="12.1")).status == 400
            assert (await phone.post("FolderSync")).status == 200
            assert len(mail.commands) == before + 1

    run(story())


# -- what is remembered


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def remembering(**made):
    """A memory without any server, and its clock."""
    configuration = GatewayConfiguration(
        "127.0.0.1", 0, upstream_address("http://mail.example.com"), redirect_hosts=("mail2.example.com",), **made
    )
    outbox, clock = Outbox(), Clock()
    return Redirects(configuration, Upstream(configuration, outbox), outbox, clock), clock


def follow(redirects, authorization=AUTHORIZATION, current=None, where="http://mail2.example.com/"):
    current = redirects.home if current is None else current
    return redirects.follow(authorization, current, 451, [b"X-MS-Location: " + where.encode()], None)


def test_it_is_remembered_for_an_hour_after_it_was_said_last():
    redirects, clock = remembering()
    assert redirects.of(AUTHORIZATION) is redirects.home
    second = follow(redirects)
    assert second.address == upstream_address("http://mail2.example.com")
    clock.now += 3000
    assert follow(redirects) is redirects.of(AUTHORIZATION) is second
    clock.now += 3600
    assert redirects.of(AUTHORIZATION) is second
    redirects.sweep()
    assert len(redirects.known) == 1
    clock.now += 0.1
    assert redirects.of(AUTHORIZATION) is redirects.home
    redirects.sweep()
    assert redirects.known == {}


def test_it_is_remembered_for_these_credentials_only():
    redirects, _ = remembering()
    second = follow(redirects, basic(password=WRONG_PASSWORD).encode())
    assert redirects.of(AUTHORIZATION) is redirects.home
    follow(redirects)
    redirects.forget(basic(password=WRONG_PASSWORD).encode())
    redirects.forget(b"somebody else's")
    assert redirects.of(AUTHORIZATION) is second
    assert not any(part in repr(redirects.known) for part in (ALICE, AUTHORIZATION.decode()))


def test_the_memory_is_bounded_and_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr(module, "_MOST_REMEMBERED", 10)
    redirects, _ = remembering()
    for number in range(100):
        follow(redirects, b"flood %d" % number)
    assert len(redirects.known) == 10
    assert redirects.of(b"flood 89") is redirects.home
    assert redirects.of(b"flood 90") is not redirects.home


def test_three_changes_a_minute_are_enough():
    redirects, clock = remembering()
    home = redirects.home
    second = follow(redirects)
    for _ in range(5):
        follow(redirects)  # says nothing new
    assert follow(redirects, current=second, where="http://mail.example.com/") is home
    assert follow(redirects) is second
    with pytest.raises(UpstreamError, match="each other"):
        follow(redirects, current=second, where="http://mail.example.com/")
    clock.now += 60.1
    assert follow(redirects) is second


def test_a_server_that_names_ever_new_places_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(module, "_MOST_SERVERS", 4)
    redirects, _clock = remembering()
    for number in range(3):
        follow(redirects, b"user %d" % number, where=f"http://mail2.example.com/{number}{EAS}")
    with pytest.raises(UpstreamError, match="more than 4"):
        follow(redirects, where=f"http://mail2.example.com/9{EAS}")
    redirects.forget(b"user 1")
    assert follow(redirects, where=f"http://mail2.example.com/9{EAS}").address.path.startswith(b"/9/")
    assert len(redirects._servers) == 4


def test_a_refusal_is_said_once_a_minute_for_each_host(monkeypatch):
    monkeypatch.setattr(module, "_MOST_SAID", 3)
    redirects, clock = remembering()
    with capture_logs() as logs:
        for where in (
            "http://a.example.org/",
            "http://a.example.org/",
            "http://b.example.org/",
            "http://a.example.org/",
        ):
            with pytest.raises(UpstreamError):
                follow(redirects, where=where)
        clock.now += 60
        with pytest.raises(UpstreamError):
            follow(redirects, where="http://a.example.org/")
        for number in range(10):
            with pytest.raises(UpstreamError):
                follow(redirects, where=f"http://{number}.example.org/")
    assert [line["host"] for line in logs][:3] == ["a.example.org", "b.example.org", "a.example.org"]
    assert {(line["status"], line["upstream"]) for line in logs} == {(451, "mail.example.com")}
    assert len(redirects._said) <= 3


def test_a_server_with_tls_is_verified_even_if_the_configured_one_has_none():
    redirects, _ = remembering()
    second = follow(redirects, where="https://mail2.example.com/")
    assert second._ssl.verify_mode is ssl.CERT_REQUIRED
    assert second._ssl.check_hostname
    assert redirects.home._ssl is None


def test_a_refusal_has_its_reason():
    assert LocationRefused("why").reason == "why"


def test_connections_of_all_servers_are_counted_swept_and_closed(tmp_path):
    async def story():
        async with two(tmp_path) as (r, _home, second):
            redirects = r.gateway._workings.redirects
            phone = await r.phone()
            phone.send("Ping")
            await r.until(lambda: second.parked == 1)
            assert redirects.connections == 1 + len(redirects.home)
            other = redirects.of(AUTHORIZATION)
            assert other is not redirects.home
            redirects.close()
            await r.until(lambda: redirects.connections == 0)

    run(story())
