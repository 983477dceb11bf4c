"""What the mail server answers, framed anew for the phone's connection."""

import pytest
from structlog.testing import capture_logs

from gatepost.gateway.answers import ASK_FOR_CREDENTIALS, Answer, Offer, corrected, status_line

TYPE = b"Content-Type: application/vnd.ms-sync.wbxml\r\n"


class Phone:
    """The side of a connection that an answer is written to."""

    def __init__(self, *, chunks=True, keeps_alive=True):
        self.chunks = chunks
        self.keeps_alive = keeps_alive
        self.written = b""
        self.writes = 0

    def close_after(self):
        self.keeps_alive = False

    def write(self, data):
        self.written += data
        self.writes += 1

    send = write


def test_a_known_length_is_said_and_the_body_goes_on_as_it_comes():
    phone = Phone()
    answer = Answer(phone, 200, [TYPE], b"5")
    answer.body(b"he")
    answer.body(b"llo")
    assert phone.written == b""
    answer.flush()
    answer.flush()
    answer.end()
    assert phone.written == b"HTTP/1.1 200 OK\r\n" + TYPE + b"Content-Length: 5\r\n\r\nhello"
    assert phone.writes == 1
    assert answer.status == 200


def test_an_unknown_length_is_chunked():
    phone = Phone()
    answer = Answer(phone, 200, [TYPE], None)
    answer.body(b"x" * 26)
    answer.flush()
    answer.body(b"y")
    answer.end()
    expected = b"Transfer-Encoding: chunked\r\n\r\n1a\r\n" + b"x" * 26 + b"\r\n1\r\ny\r\n0\r\n\r\n"
    assert phone.written == b"HTTP/1.1 200 OK\r\n" + TYPE + expected
    assert phone.writes == 2


def test_an_unknown_length_ends_with_the_connection_where_chunks_are_not_understood():
    phone = Phone(chunks=False)
    answer = Answer(phone, 200, [], None)
    answer.body(b"hello")
    answer.end()
    assert phone.written == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    assert not phone.keeps_alive


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("chunks", [True, False])
def test_an_answer_that_has_no_body_needs_no_length(status, chunks):
    phone = Phone(chunks=chunks)
    Answer(phone, status, [], None).end()
    assert phone.written == status_line(status) + b"\r\n"
    assert phone.keeps_alive


def test_a_connection_that_ends_says_so():
    phone = Phone(keeps_alive=False)
    Answer(phone, 200, [], b"0").end()
    assert phone.written == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


BASIC = b'WWW-Authenticate: Basic realm="mail"\r\n'
OURS = b"%s: %s" % ASK_FOR_CREDENTIALS


@pytest.mark.parametrize(
    ("status", "sent", "expected"),
    [
        (200, [b"WWW-Authenticate: Negotiate\r\n", TYPE], [b"WWW-Authenticate: Negotiate\r\n", TYPE]),
        (401, [BASIC, TYPE], [TYPE, BASIC]),
        (401, [b"WWW-Authenticate: Negotiate\r\n", BASIC], [BASIC]),
        (401, [b"www-authenticate:  basic realm=x\r\n"], [b"www-authenticate:  basic realm=x\r\n"]),
        (401, [b"WWW-Authenticate: NTLM\r\n", b"WWW-Authenticate: Bearer\r\n", TYPE], [TYPE, OURS]),
        (401, [], [OURS]),
    ],
)
def test_a_401_asks_for_basic_credentials_and_nothing_else(status, sent, expected):
    assert [line.strip() for line in corrected(status, sent)] == [line.strip() for line in expected]


@pytest.mark.parametrize("sent", [[], [b"WWW-Authenticate: Negotiate\r\n"], [BASIC]])
def test_every_line_ends(sent):
    assert all(line.endswith(b"\r\n") for line in corrected(401, sent))


COMMANDS, VERSIONS = b"MS-ASProtocolCommands", b"MS-ASProtocolVersions"


@pytest.mark.parametrize(
    ("commands", "refused", "expected"),
    [
        (b"Sync,Ping", (), b"Sync,Ping,Settings,Provision"),
        (b"Sync, Provision ,Ping", (), b"Sync,Provision,Ping,Settings"),
        (b"Settings,Provision", (), b"Settings,Provision"),
        (b"Sync,GetAttachment,Ping", ("GetAttachment",), b"Sync,Ping,Settings,Provision"),
        (b"Sync,getattachment", ("GetAttachment", "Provision"), b"Sync,Settings"),
        (b"", (), b"Settings,Provision"),
    ],
)
def test_commands_are_offered_that_a_phone_needs_to_provision_and_none_that_is_refused(commands, refused, expected):
    offer = Offer(refused_commands=refused)
    assert offer.line(COMMANDS, commands) == b"MS-ASProtocolCommands: %s\r\n" % expected
    assert offer.line(COMMANDS.lower(), commands) == b"ms-asprotocolcommands: %s\r\n" % expected


def test_no_command_that_is_left_is_no_line():
    assert Offer(refused_commands=("Settings", "Provision", "Sync")).line(COMMANDS, b"Sync") is None


@pytest.mark.parametrize("name", [VERSIONS, b"X-MS-RP"])
@pytest.mark.parametrize(
    ("allowed", "expected"),
    [((), b"2.5,12.1,14.0,14.1"), (("14.1", "16.1"), b"14.1"), (("2.5", "14.0"), b"2.5,14.0"), (("16.1",), None)],
)
def test_versions_are_those_that_both_want(name, allowed, expected):
    found = Offer(allowed).line(name, b"2.5, 12.1,14.0,14.1,")
    assert found == (None if expected is None else b"%s: %s\r\n" % (name, expected))


def test_that_no_version_is_left_is_said_once():
    offer = Offer(("16.1",))
    with capture_logs() as logs:
        offer.line(VERSIONS, b"2.5,12.1")
        offer.line(VERSIONS, b"2.5,12.1")
    assert [(line["event"], line["offered"], line["setting"]) for line in logs] == [
        ("upstream.no_version_left", "2.5,12.1", "gateway.protocol_versions")
    ]


def test_a_status_has_its_phrase_also_where_http_knows_none():
    assert status_line(404) == b"HTTP/1.1 404 Not Found\r\n"
    assert status_line(449) == b"HTTP/1.1 449 Retry after sending a PROVISION command\r\n"
    assert status_line(451) == b"HTTP/1.1 451 Redirect\r\n"
    assert status_line(299) == b"HTTP/1.1 299 Status\r\n"
