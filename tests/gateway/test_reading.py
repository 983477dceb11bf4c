"""A request's bytes, read: whole, byte by byte, and whatever else somebody sends."""

import io

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.gateway.limits import Limits
from gatepost.gateway.reading import Reading, StopReading

MOST_HEAD, MOST_BODY = Limits().head_bytes, Limits().body_bytes


class Connection:
    """Stands where `Downstream` does."""

    def __init__(self):
        self.refused, self.begun, self.complete, self.told = [], [], 0, []
        self.method = b"POST"
        self.limits = Limits()
        self.vouched_for, self.stranger = 0, False
        self.chunks = True

    def request_begins(self):
        pass

    def head_read(self):
        return self.method

    def go_on(self):
        self.told.append("100")

    def takes_body(self, data):
        return not self.begun

    def vouch(self, reading):
        self.vouched_for += 1
        return not self.stranger

    def make_spool(self):
        return io.BytesIO()

    def begin(self, reading):
        self.begun.append(reading.head())

    def request_complete(self, reading):
        self.complete += 1
        self.head, self.body, self.spool = reading.head(), b"".join(reading.body), reading.spool

    def refuse(self, status):
        self.refused.append(status)


def read(data, step=1_000_000):
    connection = Connection()
    reading = Reading(connection)
    parser = httptools.HttpRequestParser(reading)
    try:
        for start in range(0, len(data), step):
            reading.received += len(data[start : start + step])
            parser.feed_data(data[start : start + step])
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        assert isinstance(error.__context__, StopReading) or not connection.refused  # noqa: PT017
    return connection, reading


REQUEST = b"POST /x?a HTTP/1.1\r\nHOST: h\r\nuser-agent: Phone\r\nX-Other: no\r\nCookie: a=1\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_what_is_read_does_not_depend_on_how_it_comes(step):
    connection, reading = read(REQUEST, step)
    head = connection.head
    assert (head.method, head.target, head.length) == (b"POST", b"/x?a", 5)
    assert head.headers == {b"host": b"h", b"user-agent": b"Phone", b"content-length": b"5"}
    assert sorted(head.lines) == [b"Cookie: a=1\r\n", b"User-Agent: Phone\r\n"]
    assert connection.body == b"hello"
    assert (connection.complete, connection.refused) == (1, [])
    assert reading.plain


def test_a_body_in_chunks_is_spooled_and_measured():
    sent = b"POST / HTTP/1.1\r\nAuthorization: Basic YTpi\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    connection, reading = read(sent)
    assert connection.spool.getvalue() == b"abcde"
    assert connection.head.length == 5
    assert not reading.plain


def test_a_long_body_begins_before_its_end_and_a_short_one_does_not():
    for length, begun in ((70_000, 0), (1_048_577, 1)):
        connection, _ = read(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % length + b"x" * 70_000, 1_000)
        assert len(connection.begun) == begun


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * (MOST_HEAD + 1) + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * MOST_HEAD + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nAuthorization: a\r\nAUTHORIZATION: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY + 1), 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    ],
)
def test_limits(sent, status):
    connection, _ = read(sent)
    assert connection.refused == [status]
    assert connection.complete == 0


def test_a_head_near_the_limit_with_a_large_body_behind_it_is_no_large_head():
    body = b"x" * 60_000
    sent = b"POST / HTTP/1.1\r\nX: " + b"a" * 30_000 + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    connection, _ = read(sent)
    assert connection.refused == []
    assert connection.complete == 1


def test_the_phone_that_waits_to_be_told_is_told():
    connection, reading = read(REQUEST.replace(b"X-Other: no", b"Authorization: Basic YTpi\r\nExpect: 100-continue"))
    assert connection.told == ["100"]
    assert not reading.plain


@pytest.mark.parametrize("host", [b"", b"gate.example.com", b"gate:8443", b"[::1]:443", b"192.0.2.1", b"gate_1"])
def test_hosts(host):
    connection, _ = read(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert connection.head.headers[b"host"] == host


def test_credentials_go_on_in_one_spelling():
    connection, _ = read(b"GET / HTTP/1.1\r\nAuthorization:  basic   YTpi \r\n\r\n")
    assert connection.head.headers[b"authorization"] == b"Basic YTpi"
    assert connection.head.lines == [b"Authorization: Basic YTpi\r\n"]


def test_there_are_no_chunks_in_http_1_0():
    connection = Connection()
    connection.chunks = False
    parser = httptools.HttpRequestParser(Reading(connection))
    with pytest.raises(httptools.HttpParserError):
        parser.feed_data(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert connection.refused == [400]


def test_several_forwarded_for_mean_one_list():
    connection, _ = read(b"GET / HTTP/1.1\r\nX-Forwarded-For: a\r\nx-forwarded-for: b\r\n\r\n")
    assert connection.head.headers[b"x-forwarded-for"] == b"a, b"


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [
                b"POST / HTTP/1.1\r\n",
                b"Host: a\r\n",
                b"\r\n",
                b"Content-Length: 3\r\n",
                b"abc",
                b"\x00",
                b"Transfer-Encoding: chunked\r\n",
                b"3\r\n",
                b"0\r\n",
                b"\n",
                b" ",
            ]
        )
    ).map(b"".join),
    st.integers(1, 40),
)
def test_any_bytes_are_read_or_refused_and_the_same_way_in_pieces(data, step):
    whole, _ = read(data)
    pieces, _ = read(data, step)
    assert (whole.complete, whole.refused) == (pieces.complete, pieces.refused)


def test_trailers_mean_nothing():
    sent = (
        b"POST / HTTP/1.1\r\nAuthorization: Basic YTpi\r\nX-Forwarded-For: 198.51.100.7\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nX-Forwarded-For: 10.0.0.1\r\nAuthorization: Basic Yjpi\r\nCookie: c\r\n\r\n"
    )
    connection, _ = read(sent)
    assert connection.complete == 1
    assert connection.head.headers[b"x-forwarded-for"] == b"198.51.100.7"
    assert connection.head.headers[b"authorization"] == b"Basic YTpi"
    assert connection.head.lines == [b"Authorization: Basic YTpi\r\n"]


@pytest.mark.parametrize("authorization", [b"", b"Authorization: Bearer x\r\n", b"Authorization: Basic !\r\n"])
def test_a_body_in_chunks_is_not_kept_for_somebody_without_credentials(authorization):
    connection, _ = read(b"POST / HTTP/1.1\r\n" + authorization + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert connection.refused == [401]
