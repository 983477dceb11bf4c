"""So many tries in a row, one more in a while: each key for itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.gateway import budgets as module
from gatepost.gateway.budgets import FailedLogins


class FakeClock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def budget(clock):
    return FailedLogins(3, 60.0, clock)


def test_three_tries_and_then_one_a_minute(budget, clock):
    assert [budget.take(b"alice") for _ in range(4)] == [0.0, 0.0, 0.0, 60.0]
    clock.now += 59
    assert budget.take(b"alice") == 1.0
    clock.now += 1
    assert [budget.take(b"alice") for _ in range(2)] == [0.0, 60.0]
    clock.now += 600
    assert [budget.take(b"alice") for _ in range(4)] == [0.0, 0.0, 0.0, 60.0]


def test_one_key_does_not_pay_for_another(budget):
    for _ in range(5):
        budget.take(b"alice")
    assert budget.take(b"bob") == 0.0


def test_what_is_given_back_can_be_taken_again_and_leaves_nothing_behind(budget):
    for _ in range(100):
        assert budget.take(b"alice") == 0.0
        budget.give_back(b"alice")
    assert len(budget) == 0
    budget.give_back(b"alice")
    assert len(budget) == 0


def test_giving_back_earns_nothing(budget):
    budget.take(b"alice")
    for _ in range(5):
        budget.give_back(b"alice")
    assert [budget.take(b"alice") for _ in range(4)] == [0.0, 0.0, 0.0, 60.0]


def test_the_memory_is_bounded(budget, clock, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    for number in range(100):
        assert budget.take(b"%d" % number) == 0.0
        assert len(budget) <= 10
    clock.now += 1000
    budget.take(b"one")
    assert len(budget) == 1


def test_a_crowd_of_made_up_logins_earns_nobody_new_tries(budget, monkeypatch):
    monkeypatch.setattr(module, "_MOST", 10)
    for _ in range(3):
        budget.take(b"alice")
    for number in range(100):
        budget.take(b"%d" % number)
    assert budget.take(b"alice") > 0


@given(st.lists(st.one_of(st.just("take"), st.just("give back"), st.floats(0.0, 200.0)), max_size=60))
def test_never_more_failures_than_the_burst_and_the_time_allow(steps):
    clock = FakeClock()
    budget, taken, began = FailedLogins(3, 60.0, clock), 0, clock.now
    for step in steps:
        if step == "take":
            taken += budget.take(b"key") == 0.0
        elif step == "give back" and taken:
            taken -= 1
            budget.give_back(b"key")
        elif isinstance(step, float):
            clock.now += step
        assert taken <= 3 + (clock.now - began) / 60.0 + 1e-6
