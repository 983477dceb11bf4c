"""The client is the last address that only trusted proxies vouch for."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.wire.client_address import HOP_LIMIT, client_address

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("10.0.0.0/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", b"198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", b"198.51.100.7", "198.51.100.7"),
        ("::1", b"2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", b"203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", b"203.0.113.9, 198.51.100.7,10.1.2.3", "198.51.100.7"),
        ("127.0.0.1", b"10.9.9.9, 10.1.2.3", "10.9.9.9"),
        ("127.0.0.1", b"nonsense, 198.51.100.7", "198.51.100.7"),
        ("::ffff:127.0.0.1", b"::ffff:198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", b"198.51.100.7:5061", "198.51.100.7"),
        ("127.0.0.1", b"[2001:db8::1]:443", "2001:db8::1"),
        ("127.0.0.1", b"[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", None, "fe80::1"),
    ],
)
def test_who_asked(peer, forwarded, client):
    assert client_address(peer, forwarded, TRUSTED) == ip_address(client)


@pytest.mark.parametrize(
    ("peer", "forwarded"),
    [
        (None, None),
        (None, b"198.51.100.7"),
        ("", None),
        ("127.0.0.1", b""),
        ("127.0.0.1", b"unknown"),
        ("127.0.0.1", b"198.51.100.7, unknown"),
        ("127.0.0.1", b"198.51.100.7,"),
        ("127.0.0.1", b"198.51.100.7:port"),
        ("127.0.0.1", b"198.51.100.7:99999999"),
        ("127.0.0.1", b"[2001:db8::1"),
        ("127.0.0.1", b"[2001:db8::1]x"),
        ("127.0.0.1", b"198.51.100.07"),
        ("127.0.0.1", b"198.51.100.7%eth0"),
        ("127.0.0.1", b"[198.51.100.7]"),
        ("127.0.0.1", b",".join([b"127.0.0.1"] * (HOP_LIMIT + 9))),
    ],
)
def test_nobody_knows(peer, forwarded):
    assert client_address(peer, forwarded, TRUSTED) is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", b"for=198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", b"for=198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", b"for=203.0.113.9, for=198.51.100.7;proto=https, for=10.1.2.3", "198.51.100.7"),
        ("::1", b'for=_hidden, for="[2001:db8::1]:4711"', "2001:db8::1"),
        ("127.0.0.1", b"for=unknown", None),
        ("127.0.0.1", b"for=198.51.100.7, for=_hidden", None),
        ("127.0.0.1", b"for=198.51.100.7, for=unknown, for=10.1.2.3", None),
        ("127.0.0.1", b"for=198.51.100.7, proto=https", None),
        ("127.0.0.1", b"for=2001:db8::1", None),
        ("127.0.0.1", b'x="for=203.0.113.9, for=198.51.100.7', None),
        ("127.0.0.1", b",".join([b"for=127.0.0.1"] * HOP_LIMIT), "127.0.0.1"),
        ("127.0.0.1", b",".join([b"for=198.51.100.7", *[b"for=127.0.0.1"] * HOP_LIMIT]), None),
        ("", b"for=198.51.100.7", None),
    ],
)
def test_who_asked_by_the_standard_header(peer, forwarded, client):
    assert client_address(peer, None, TRUSTED, forwarded) == (None if client is None else ip_address(client))


@pytest.mark.parametrize(
    ("x_forwarded_for", "forwarded", "client"),
    [
        (b"198.51.100.7", b"for=198.51.100.7", "198.51.100.7"),
        (b"203.0.113.9, 198.51.100.7", b"for=198.51.100.7", "198.51.100.7"),
        (b"198.51.100.7, 10.1.2.3", b"for=198.51.100.7", "198.51.100.7"),
        (b"198.51.100.7", b"for=198.51.100.8", None),
        (b"198.51.100.7", b"for=198.51.100.8, for=198.51.100.7, for=203.0.113.9", None),
        (b"198.51.100.7", b"for=unknown", None),
        (b"198.51.100.7", b"", None),
        (b"", b"for=198.51.100.7", None),
        (b"nonsense", b"nonsense", None),
    ],
)
def test_two_headers_that_disagree_are_worth_nothing(x_forwarded_for, forwarded, client):
    expected = None if client is None else ip_address(client)
    assert client_address("127.0.0.1", x_forwarded_for, TRUSTED, forwarded) == expected
    assert client_address("192.0.2.1", x_forwarded_for, TRUSTED, forwarded) == ip_address("192.0.2.1")


def test_nobody_is_trusted_by_default():
    assert client_address("127.0.0.1", b"198.51.100.7", ()) == ip_address("127.0.0.1")


@given(st.binary(max_size=60), st.text(max_size=20) | st.sampled_from(["127.0.0.1", "192.0.2.1"]))
def test_any_bytes_are_read_or_nobody_knows(forwarded, peer):
    client = client_address(peer, forwarded, TRUSTED)
    assert client is None or isinstance(client, IPv4Address | IPv6Address)


@given(st.binary(max_size=60))
def test_what_the_client_writes_does_not_count(hearsay):
    assert client_address("127.0.0.1", hearsay + b",198.51.100.7", TRUSTED) == ip_address("198.51.100.7")
