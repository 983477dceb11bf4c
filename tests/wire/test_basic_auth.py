"""Basic credentials are read or there are none; nothing else happens."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.basic_auth import HEADER_LIMIT, Credentials, canonical, parse, render


def basic(raw: bytes) -> bytes:
    return b"Basic " + b64encode(raw)


@pytest.mark.parametrize(
    ("header", "login", "password"),
    [
        (basic(b"alice:secret"), "alice", "secret"),
        (basic(b"EXAMPLE\\alice:secret"), "EXAMPLE\\alice", "secret"),
        (basic(b"alice@example.com:a:b:"), "alice@example.com", "a:b:"),
        (basic("müller:pässword".encode()), "müller", "pässword"),
        (basic("müller:pässword".encode("latin-1")), "müller", "pässword"),
        (basic(b"alice:"), "alice", ""),
        (basic(b"alice:secret").replace(b"Basic", b"bASIC"), "alice", "secret"),
        (b"  " + basic(b"alice:secret").replace(b" ", b"   ") + b" ", "alice", "secret"),
    ],
)
def test_credentials(header, login, password):
    assert parse(header) == Credentials(login, password)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Basic",
        b"Basic ",
        b"Bearer " + b64encode(b"alice:secret"),
        b"Basic" + b64encode(b"alice:secret"),
        basic(b"alice"),
        basic(b":secret"),
        basic(b"  :secret"),
        basic(b"alice\r\nX: y:secret"),
        basic(b"alice:sec\0ret"),
        basic(b"alice:secret") + b"!",
        basic(b"alice:secret") + b" more",
        basic(b"alice:secre").rstrip(b"="),
        b"Basic ====",
        b"Basic \xff\xfe",
        basic(b"a:" + b"b" * HEADER_LIMIT),
    ],
)
def test_no_credentials(header):
    assert parse(header) is None


def test_the_password_is_not_shown():
    assert "secret" not in repr(parse(basic(b"alice:secret")))


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)


@given(texts.filter(lambda login: ":" not in login and login.strip()), texts)
def test_rendered_and_read_again_is_the_same(login, password):
    assert parse(render(Credentials(login, password))) == Credentials(login, password)


@given(st.binary(max_size=80) | st.binary(max_size=60).map(basic))
def test_any_bytes_are_read_or_refused(header):
    assert parse(header) is None or isinstance(parse(header), Credentials)


@pytest.mark.parametrize(
    "header",
    [
        b"Basic YWxpY2U6eA==",
        b"basic YWxpY2U6eA==",
        b"  BASIC   YWxpY2U6eA==  ",
        b"Basic YWxpY2U6eB==",  # bits of the last letter that mean nothing
    ],
)
def test_one_spelling(header):
    assert canonical(header) == b"Basic YWxpY2U6eA=="
    assert parse(header) == parse(canonical(header)) == Credentials("alice", "x")


@pytest.mark.parametrize(
    "header", [b"", b"Basic", b"Bearer abc", b"Basic YWxpY2U6eA", b"Basic Y W", b"Basic" + b" " * 9000]
)
def test_what_cannot_be_read_stays_as_it_is(header):
    assert canonical(header) == header


def test_the_bytes_stay_in_their_charset():
    assert canonical(basic("müller:ß".encode("latin-1"))) == basic("müller:ß".encode("latin-1"))
