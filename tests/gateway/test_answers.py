"""What the mail server answers, framed anew for the phone's connection."""

import pytest

from gatepost.gateway.answers import ASK_FOR_CREDENTIALS, Answer, corrected, with_provision

TYPE = b"Content-Type: application/vnd.ms-sync.wbxml\r\n"


class Phone:
    """The side of a connection that an answer is written to."""

    def __init__(self, *, chunks=True, keeps_alive=True):
        self.chunks = chunks
        self.keeps_alive = keeps_alive
        self.written = b""
        self.writes = 0

    def status_line(self, status):
        return b"HTTP/1.1 %d OK\r\n" % status

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
    assert phone.written == b"HTTP/1.1 %d OK\r\n\r\n" % status
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
    assert all(line.endswith(b"\r\n") for line in with_provision([b"MS-ASProtocolCommands: Sync\r\n"]))


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (b"Sync,Ping", b"Sync,Ping,Settings,Provision"),
        (b"Sync, Provision ,Ping", b"Sync,Provision,Ping,Settings"),
        (b"Settings,Provision", b"Settings,Provision"),
    ],
)
def test_options_offer_what_a_phone_needs_to_provision(commands, expected):
    lines = [TYPE, b"ms-asprotocolcommands: %s\r\n" % commands]
    assert with_provision(lines) == [TYPE, b"ms-asprotocolcommands: %s\r\n" % expected]


def test_a_server_that_names_no_commands_is_left_alone():
    assert with_provision([TYPE]) == [TYPE]
