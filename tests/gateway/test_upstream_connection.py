"""A connection to the mail server without sockets: what it tells its receiver, byte by byte."""

import pytest

from gatepost.gateway.answers import Offer
from gatepost.gateway.upstream_connection import _NONE, UpstreamConnection


class Transport:
    def __init__(self):
        self.written, self.reading, self.aborted = b"", True, False

    def write(self, data):
        self.written += data

    def is_closing(self):
        return self.aborted

    def abort(self):
        self.aborted = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Pool:
    def __init__(self):
        self.released, self.gone, self.outbox, self.offer = [], [], self, Offer(("14.1", "16.1"), ("Find",))

    def send(self, transport, data):
        transport.write(data)

    def release(self, connection, *, keep):
        self.released.append(keep)

    def lost(self, connection):
        self.gone.append(connection)


class Receiver:
    def __init__(self):
        self.told, self.whole = [], True

    def upstream_head(self, status, headers, length):
        self.told.append((status, headers, length))

    def upstream_body(self, data):
        self.told.append(data)

    def upstream_flush(self):
        pass

    def upstream_complete(self):
        self.told.append("complete")
        return self.whole

    def upstream_lost(self, *, answered):
        self.told.append(f"lost, answered: {answered}")

    def upstream_writable(self, *, writable):
        self.told.append(f"writable: {writable}")


def asking():
    connection, transport, receiver = UpstreamConnection(Pool()), Transport(), Receiver()
    connection.connection_made(transport)
    connection.send(receiver, b"a request", whole=True)
    assert transport.written == b"a request"
    return connection, transport, receiver


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nKeep-Alive: timeout=5\r\nX-A: b\r\n\r\nbody"


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_an_answer_in_pieces(step):
    connection, _, receiver = asking()
    for start in range(0, len(ANSWER), step):
        connection.data_received(ANSWER[start : start + step])
    head, *body, complete = receiver.told
    assert head == (200, [b"X-A: b\r\n"], b"4")
    assert b"".join(body) == b"body"
    assert complete == "complete"
    assert connection.pool.released == [True]


@pytest.mark.parametrize(
    ("answer", "whole", "kept"),
    [
        (ANSWER, True, True),
        (ANSWER, False, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", True, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True, False),
        (b"HTTP/1.1 204 None\r\n\r\n", True, True),
    ],
)
def test_whether_the_connection_may_serve_another_request(answer, whole, kept):
    connection, _, receiver = asking()
    receiver.whole = whole
    connection.data_received(answer)
    assert receiver.told[-1] == "complete"
    assert connection.pool.released == [kept]


@pytest.mark.parametrize(
    ("come", "error", "told"),
    [
        (b"", None, "lost, answered: False"),
        (b"HTTP/1.1 20", None, "lost, answered: True"),
        (ANSWER[:-1], None, "lost, answered: True"),
        (b"HTTP/1.1 200 OK\r\n\r\nall of it", None, "complete"),
        (b"HTTP/1.1 200 OK\r\n\r\nnot all", OSError("reset"), "lost, answered: True"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", None, "lost, answered: True"),
    ],
)
def test_the_end_of_the_connection_is_the_end_of_the_answer_only_where_nothing_else_says_it(come, error, told):
    connection, _, receiver = asking()
    if come:
        connection.data_received(come)
    connection.connection_lost(error)
    assert receiver.told[-1] == told
    assert connection.pool.gone == [connection]


def test_nonsense_breaks_the_connection():
    connection, transport, receiver = asking()
    connection.data_received(b"SSH-2.0-OpenSSH\r\n\r\n")
    assert receiver.told == ["lost, answered: True"]
    assert transport.aborted


def test_what_nobody_asked_for_breaks_the_connection():
    connection, transport, _ = asking()
    connection.data_received(ANSWER)
    connection.data_received(ANSWER)
    assert transport.aborted


@pytest.mark.parametrize("more", [ANSWER, ANSWER[:20], b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_what_comes_behind_the_answer_breaks_the_connection_for_the_next_request(more):
    connection, transport, receiver = asking()
    connection.data_received(ANSWER + more)
    assert receiver.told[-1] == "complete"
    assert transport.aborted


def test_a_paused_connection_is_read_again_when_it_is_given_back():
    connection, transport, receiver = asking()
    connection.data_received(ANSWER[:-1])
    connection.pause(paused=True)
    assert not transport.reading
    connection.data_received(ANSWER[-1:])
    assert receiver.told[-1] == "complete"
    assert transport.reading


def test_a_request_that_is_given_up_hears_no_more():
    connection, transport, receiver = asking()
    connection.abort()
    connection.connection_lost(None)
    assert receiver.told == []
    assert transport.aborted


def test_a_full_buffer_is_told():
    connection, _, receiver = asking()
    connection.pause_writing()
    connection.resume_writing()
    assert receiver.told == ["writable: False", "writable: True"]


def heads(*lines, status=200):
    """The header lines that a receiver is told of an answer with these."""
    connection, _, receiver = asking()
    connection.data_received(b"HTTP/1.1 %d X\r\n" % status + b"".join(b"%s\r\n" % line for line in lines) + b"\r\n")
    return receiver.told[0][1] if receiver.told else None


AWAY = (b"Location: /", b"X-MS-Location: https://a", b"x-ms-LOCATION: https://b")


@pytest.mark.parametrize("status", [200, 201, 207, 401, 404, 449, 450, 452, 500, 503])
def test_what_leads_a_phone_away_is_not_told(status):
    assert heads(*AWAY, b"Content-Location: /", b"Alt-Svc: h3", b"Refresh: 0", b"X-A: b", status=status) == [
        b"X-A: b\r\n"
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 451])
def test_of_a_redirection_it_is(status):
    assert heads(*AWAY, b"Content-Location: /", status=status) == [line + b"\r\n" for line in AWAY]


def test_a_location_before_the_answer_proper_is_not_told():
    connection, _, receiver = asking()
    connection.data_received(b"HTTP/1.1 103 X\r\nLocation: /\r\n\r\nHTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n")
    assert receiver.told[0] == (302, [], b"0")


def test_versions_and_commands_are_those_that_are_offered():
    assert heads(
        b"MS-ASProtocolVersions: 2.5,14.1,16.0", b"ms-asprotocolcommands: Sync,Find", b"X-MS-RP: 14.0,16.1"
    ) == [
        b"MS-ASProtocolVersions: 14.1\r\n",
        b"ms-asprotocolcommands: Sync,Settings,Provision\r\n",
        b"X-MS-RP: 16.1\r\n",
    ]
    assert heads(b"X-MS-RP: 12.1", b"X-A: b") == [b"X-A: b\r\n"]


def test_trailers_are_nobodys():
    for _ in range(2):
        connection, _, receiver = asking()
        connection.data_received(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Evil: y\r\n\r\n"
        )
        assert receiver.told == [(200, [], None), b"x", "complete"]
    assert _NONE == []
