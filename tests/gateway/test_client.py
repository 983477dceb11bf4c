from ipaddress import ip_address, ip_network

from gatepost.gateway import client
from gatepost.gateway.client import Clients

TRUSTED = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("fe80::/10"))


def test_only_a_trusted_proxy_is_believed():
    clients = Clients(TRUSTED)
    assert clients.client("127.0.0.1", b"203.0.113.7")[0] == ip_address("203.0.113.7")
    assert clients.client("198.51.100.1", b"203.0.113.7")[0] == ip_address("198.51.100.1")
    assert clients.client("::1", b"203.0.113.7, 127.0.0.2")[0] == ip_address("203.0.113.7")
    assert clients.client("127.0.0.1", None)[0] == ip_address("127.0.0.1")
    assert clients.client("127.0.0.1", b"nonsense")[0] is None


def test_a_unix_socket_has_no_address():
    assert Clients(TRUSTED).client("", None)[0] is None


def test_the_zone_of_a_link_local_peer_is_left_out():
    assert Clients(TRUSTED).client("fe80::1%eth0", b"203.0.113.7")[0] == ip_address("203.0.113.7")


def test_the_same_question_has_the_same_object_for_an_answer():
    clients = Clients(TRUSTED)
    first = clients.client("127.0.0.1", b"203.0.113.7")
    assert clients.client("127.0.0.1", b"203.0.113.7") is first


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(client, "_MOST_REMEMBERED", 10)
    clients = Clients(TRUSTED)
    for number in range(100):
        assert clients.client("127.0.0.1", b"203.0.113.%d" % number)[0] == ip_address(f"203.0.113.{number}")
        assert len(clients._remembered) <= 10
