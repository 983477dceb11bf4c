from datetime import UTC, datetime, timedelta

from gatepost.mdm.guard import Guard, confirmed, stands
from gatepost.model import SourceState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
QUIET = SourceState("mdm")
SETTLED = SourceState("mdm", sweep_started_at=NOW, sweep_settled_at=NOW)


def new(allowed, state=QUIET, looks=None, counts=None):
    """A guard; `looks` are devices that were counted in other transactions, and there are no others unless it is said."""
    looks = looks or {}
    return Guard(state, allowed, looks, lambda: counts or (len(looks), sum(looks.values())))


def test_a_few_turns_are_written_at_once():
    guard = new(10)
    assert [guard.may_turn(str(number)) for number in range(5)] == [True] * 5
    assert not guard.may_turn("5")
    assert guard.too_many
    assert guard.changed == {str(number): True for number in range(6)}


def test_many_are_held_until_enough_others_were_looked_at():
    guard = new(1000)
    turns = [guard.may_turn(str(number)) for number in range(20)]
    assert turns == [True] * 5 + [False] * 15
    assert not guard.too_many
    for number in range(100, 200):
        guard.saw(str(number), allowed=True)
    assert guard.may_turn("19")


def test_what_other_transactions_counted_counts():
    looks = {str(number): True for number in range(5)}
    assert not new(10, looks=looks).may_turn("5")
    assert new(10, looks=looks, counts=(100, 5)).may_turn("5")
    again = new(10, looks=looks | {"5": True})
    assert not again.may_turn("5")
    assert (again.looked, again.turned, again.changed) == (6, 6, {})


def test_a_device_that_recovered_does_not_count():
    guard = new(10, looks={str(number): True for number in range(6)})
    guard.saw("0", allowed=True)
    assert guard.may_turn("5")
    assert (guard.looked, guard.turned) == (6, 5)


def test_a_device_that_was_told_of_singly_does_not_count():
    guard = new(10, looks={str(number): True for number in range(6)})
    guard.let("0")
    guard.let("unknown")
    assert guard.changed == {"0": False}
    assert guard.may_turn("5")


def test_a_device_without_an_allow_is_not_counted():
    guard = new(10)
    guard.saw("0", allowed=False)
    assert (guard.looked, guard.changed) == (0, {})


def test_one_that_has_turned_stays_so_until_it_is_seen_with_an_allow():
    guard = new(10)
    guard.may_turn("1")
    guard.saw("1", allowed=False)  # a late notification of what was written
    assert (guard.looked, guard.turned) == (1, 1)
    guard.saw("1", allowed=True)
    assert (guard.looked, guard.turned) == (1, 0)


def test_few_that_were_looked_at_show_nothing():
    assert not new(10, looks={str(number): False for number in range(7)}).covers
    assert new(10, looks={str(number): False for number in range(8)}).covers
    assert new(0).covers


def test_settled_all_allows_count():
    looks = {str(number): True for number in range(15)}
    assert not new(100, looks=looks).may_turn("14")
    assert new(100, SETTLED, looks).may_turn("14")


def test_what_was_allowed_since_the_sweep_began_counts_and_nothing_is_held_in_silence():
    guard = new(0, SETTLED)
    for number in range(100):
        guard.saw(str(number), allowed=True)
    assert all(guard.may_turn(str(number)) for number in range(20))
    assert not guard.may_turn("20")
    assert guard.too_many


def test_while_it_stands_nothing_turns_until_somebody_confirms():
    standing = SourceState("mdm", guard="why", guard_since=NOW)
    assert stands(standing)
    assert not new(1000, standing).may_turn("1")
    through = SourceState("mdm", guard="why", guard_since=NOW, guard_confirmed_at=NOW + timedelta(seconds=1))
    assert confirmed(through)
    assert not stands(through)
    guard = new(1000, through)
    assert all(guard.may_turn(str(number)) for number in range(1000))


def test_an_old_confirmation_is_none():
    again = SourceState("mdm", guard="why", guard_since=NOW, guard_confirmed_at=NOW - timedelta(seconds=1))
    assert stands(again)
    assert not confirmed(SourceState("mdm", guard_confirmed_at=NOW))
