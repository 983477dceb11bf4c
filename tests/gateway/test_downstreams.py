"""More connections than there may be: those that wait for nothing go."""

from dataclasses import dataclass, field

from structlog.testing import capture_logs

from gatepost.gateway.downstreams import Downstreams


@dataclass(eq=False)
class Connection:
    deadline: float = 0.0
    idle: bool = True
    aborted: list[int] = field(default_factory=list)

    def abort(self):
        self.aborted.append(1)


def test_the_longest_idle_one_makes_room():
    everybody = Downstreams(3)
    old, busy, new = Connection(1.0), Connection(0.5, idle=False), Connection(9.0)
    assert all(everybody.add(one) for one in (new, busy, old))
    latest = Connection(10.0)
    with capture_logs() as logged:
        assert everybody.add(latest)
        assert everybody.add(Connection(11.0))
    assert (old.aborted, busy.aborted, new.aborted) == ([1], [], [1])
    assert len(everybody) == 3
    assert [entry["event"] for entry in logged] == ["connections.full"]


def test_when_all_are_busy_the_newcomer_is_turned_away():
    everybody = Downstreams(2)
    busy = [Connection(idle=False), Connection(idle=False)]
    assert all(everybody.add(one) for one in busy)
    assert not everybody.add(Connection())
    assert set(everybody) == set(busy)


def test_a_crowd_at_the_door_is_let_in_in_groups():
    everybody = Downstreams(1_000)
    for number in range(5_000):
        assert everybody.add(Connection(float(number)))
        assert len(everybody) <= 1_000
    assert min(one.deadline for one in everybody) >= 5_000 - 1_000


def test_it_is_told_again_after_it_was_calm():
    everybody = Downstreams(2)
    with capture_logs() as logged:
        for _ in range(2):
            for number in range(4):
                everybody.add(Connection(float(number)))
            for one in everybody:
                everybody.discard(one)
    assert len(logged) == 2
