from ipaddress import ip_address, ip_network

from gatepost.gateway import client
from gatepost.gateway.client import Clients

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("fe80::/10"))


def address(clients, peer, forwarded_for, forwarded=None):
    found, line = clients.client(peer, forwarded_for, forwarded)
    assert line == (b"" if found is None else b"X-Forwarded-For: %s\r\n" % str(found).encode())
    return found


def test_only_a_trusted_proxy_is_believed():
    clients = Clients(TRUSTED)
    assert address(clients, "127.0.0.1", b"203.0.113.7") == ip_address("203.0.113.7")
    assert address(clients, "198.51.100.1", b"203.0.113.7") == ip_address("198.51.100.1")
    assert address(clients, "::1", b"203.0.113.7, 127.0.0.2") == ip_address("203.0.113.7")
    assert address(clients, "127.0.0.1", b"2001:DB8::1") == ip_address("2001:db8::1")
    assert address(clients, "127.0.0.1", None) == ip_address("127.0.0.1")


def test_both_headers_have_to_agree():
    clients = Clients(TRUSTED)
    assert address(clients, "127.0.0.1", None, b"for=203.0.113.7") == ip_address("203.0.113.7")
    assert address(clients, "127.0.0.1", b"203.0.113.7", b'for="203.0.113.7:50000"') == ip_address("203.0.113.7")
    assert address(clients, "127.0.0.1", b"203.0.113.7", b"for=203.0.113.8") is None
    assert address(clients, "127.0.0.1", b"203.0.113.7", None) == ip_address("203.0.113.7")


def test_what_strangers_say_is_ignored_and_counted_each_time():
    ignored = {}
    clients = Clients(TRUSTED, ignored)
    for _ in range(3):
        assert address(clients, "198.51.100.1", b"127.0.0.1") == ip_address("198.51.100.1")
    assert address(clients, "198.51.100.1", b"127.0.0.1", b"for=127.0.0.1") == ip_address("198.51.100.1")
    assert address(clients, "198.51.100.1", None) == ip_address("198.51.100.1")
    assert address(clients, "", None, b"for=127.0.0.1") is None
    assert address(clients, "127.0.0.1", b"203.0.113.7", b"for=203.0.113.8") is None
    assert ignored == {"X-Forwarded-For": 4, "Forwarded": 2}
    clients.ignore("PROXY")
    assert ignored["PROXY"] == 1


def test_who_is_trusted():
    clients = Clients(TRUSTED)
    for peer in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1%eth0"):
        assert clients.trusts(peer)
    for peer in ("198.51.100.1", "2001:db8::1", "", "unix"):
        assert not clients.trusts(peer)


def test_where_the_address_cannot_be_known_nothing_is_told_to_the_mail_server():
    assert Clients(TRUSTED).client("", None) == (None, b"")
    assert Clients(TRUSTED).client("127.0.0.1", b"nonsense") == (None, b"")


def test_the_zone_of_a_link_local_peer_is_left_out():
    assert address(Clients(TRUSTED), "fe80::1%eth0", b"203.0.113.7") == ip_address("203.0.113.7")


def test_the_same_question_has_the_same_object_for_an_answer():
    clients = Clients(TRUSTED)
    first, _ = clients.client("127.0.0.1", b"203.0.113.7")
    assert clients.client("127.0.0.1", b"203.0.113.7")[0] is first


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(client, "_MOST_REMEMBERED", 10)
    clients = Clients(TRUSTED)
    for number in range(100):
        assert address(clients, "127.0.0.1", b"203.0.113.%d" % number) == ip_address(f"203.0.113.{number}")
        assert len(clients._remembered) <= 10


def test_what_phones_write_in_front_of_a_header_is_not_kept():
    clients = Clients(TRUSTED)
    assert address(clients, "127.0.0.1", b"x" * 1000 + b", 203.0.113.7") == ip_address("203.0.113.7")
    assert address(clients, "127.0.0.1", None, b"x=" + b"x" * 1000 + b", for=203.0.113.7") == ip_address("203.0.113.7")
    assert address(clients, "198.51.100.1", b"1.2.3.4", b"for=1.2.3.4") == ip_address("198.51.100.1")
    assert list(clients._remembered) == [("198.51.100.1", None, None)]
