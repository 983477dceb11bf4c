"""What is remembered of credentials: for how long, of how many, and never the password."""

import pytest
from tests.support.gateway import WRONG_PASSWORD, basic

from gatepost.gateway import credentials as module
from gatepost.gateway.credentials import FRESH_SECONDS, KNOWN_SECONDS, Proofs

ALICE = basic().encode()
WRONG = basic(password=WRONG_PASSWORD).encode()


class FakeClock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def proofs(clock):
    return Proofs(120.0, clock)


def test_what_was_accepted_is_fresh_for_minutes_and_known_for_a_day(proofs, clock):
    assert proofs.find(ALICE) is None
    proofs.remember(ALICE)
    found = proofs.find(ALICE)
    assert found.fresh_until == clock.now + FRESH_SECONDS
    assert found.known_until == clock.now + KNOWN_SECONDS
    assert proofs.find(WRONG) is None


def test_a_new_acceptance_counts_anew_for_all_who_hold_it(proofs, clock):
    proofs.remember(ALICE)
    held = proofs.find(ALICE)
    clock.now += 200
    proofs.remember(ALICE)
    assert held.fresh_until == clock.now + FRESH_SECONDS
    assert len(proofs) == 1


def test_a_refusal_ends_it_for_all_who_hold_it(proofs):
    proofs.remember(ALICE)
    held = proofs.find(ALICE)
    assert proofs.forget(ALICE)
    assert proofs.find(ALICE) is None
    assert (held.fresh_until, held.known_until) == (0.0, 0.0)


def test_a_refusal_is_remembered_for_as_long_as_was_set_and_news_once(proofs, clock):
    assert not proofs.refuses(WRONG)
    assert proofs.forget(WRONG)
    assert not proofs.forget(WRONG)
    clock.now += 119.9
    assert proofs.refuses(WRONG)
    clock.now += 120.1
    assert not proofs.refuses(WRONG)
    assert proofs.forget(WRONG)


def test_what_is_right_by_now_is_not_refused_any_more(proofs):
    proofs.forget(ALICE)
    proofs.remember(ALICE)
    assert not proofs.refuses(ALICE)


def test_the_memory_of_right_ones_is_bounded_and_the_oldest_go_first(proofs, clock, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ACCEPTED", 10)
    for number in range(5):
        proofs.remember(b"old %d" % number)
    clock.now += KNOWN_SECONDS + 1
    for number in range(6):
        proofs.remember(b"new %d" % number)
    assert len(proofs) == 6
    for number in range(100):
        proofs.remember(b"flood %d" % number)
        assert proofs.find(b"flood %d" % number)
        assert len(proofs) <= 10


def test_a_flood_of_wrong_ones_drives_out_no_right_ones(proofs, monkeypatch):
    monkeypatch.setattr(module, "_MOST_REFUSED", 10)
    proofs.remember(ALICE)
    for number in range(1000):
        proofs.forget(b"flood %d" % number)
        assert len(proofs) <= 11
    assert proofs.find(ALICE)


def test_no_password_is_kept(proofs):
    other = Proofs(120.0)
    for one in (proofs, other):
        one.remember(ALICE)
        one.forget(WRONG)
    keys = {*proofs._accepted, *proofs._refused, *other._accepted, *other._refused}
    assert len(keys) == 4, "each process has a salt of its own"
    for key in keys:
        assert len(key) == 24
        assert not any(text[start : start + 6] in key for text in (ALICE, WRONG) for start in range(0, 30, 6))
