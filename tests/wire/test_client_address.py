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
        ("127.0.0.1", b",".join([b"127.0.0.1"] * (HOP_LIMIT + 9))),
    ],
)
def test_nobody_knows(peer, forwarded):
    assert client_address(peer, forwarded, TRUSTED) is None


def test_nobody_is_trusted_by_default():
    assert client_address("127.0.0.1", b"198.51.100.7", ()) == ip_address("127.0.0.1")


@given(st.binary(max_size=60), st.text(max_size=20) | st.sampled_from(["127.0.0.1", "192.0.2.1"]))
def test_any_bytes_are_read_or_nobody_knows(forwarded, peer):
    client = client_address(peer, forwarded, TRUSTED)
    assert client is None or isinstance(client, IPv4Address | IPv6Address)


@given(st.binary(max_size=60))
def test_what_the_client_writes_does_not_count(hearsay):
    assert client_address("127.0.0.1", hearsay + b",198.51.100.7", TRUSTED) == ip_address("198.51.100.7")
