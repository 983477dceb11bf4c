from dataclasses import dataclass

from gatepost.gateway.connections import Connections
from gatepost.gateway.identify import Identity


@dataclass(eq=False)
class InFlight:
    identity: Identity | None


def exchange(user_id="alice", organization_id="one"):
    return InFlight(Identity(organization_id, user_id))


def filled(*exchanges):
    connections = Connections(64, 8)
    for one in exchanges:
        connections.add(one.identity.user_id, one)
    return connections


def test_requests_are_found_by_user_and_by_organization():
    ping, sync, bob = exchange(), exchange(), exchange("bob", "two")
    connections = filled(ping, sync, bob)
    assert len(connections) == 3
    assert connections.of_user("alice") == (ping, sync)
    assert connections.of_user("nobody") == ()
    assert list(connections.of_organization("one")) == [ping, sync]
    assert list(connections.of_organization("two")) == [bob]
    assert connections.all() == (ping, sync, bob)


def test_a_request_that_is_over_is_gone_and_leaves_nothing():
    ping, sync, bob = exchange(), exchange(), exchange("bob")
    connections = filled(ping, sync, bob)
    connections.remove("alice", ping)
    assert connections.of_user("alice") == (sync,)
    connections.remove("alice", ping)
    assert connections.of_user("alice") == (sync,)
    connections.remove("alice", sync)
    connections.remove("bob", bob)
    assert len(connections) == 0
    assert connections._by_user == {}


def test_removing_what_is_not_there_does_no_harm():
    connections = filled(exchange())
    connections.remove("alice", exchange())
    connections.remove("nobody", exchange())
    assert len(connections) == 1


def test_requests_may_end_while_they_are_looked_at():
    those = [exchange() for _ in range(3)]
    connections = filled(*those, exchange("bob"))
    seen = []
    for one in connections.of_organization("one"):
        connections.remove(one.identity.user_id, one)
        seen.append(one)
    assert len(seen) == 4
    assert len(connections) == 0


def test_who_is_nobody_belongs_to_no_organization():
    nobody = InFlight(None)
    connections = Connections(64, 8)
    connections.add("", nobody)
    assert list(connections.of_organization("one")) == []
    assert connections.all() == (nobody,)
