from datetime import UTC, datetime, timedelta

from gatepost.mdm.guard import Guard, confirmed, stands
from gatepost.model import SourceState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
QUIET = SourceState("mdm")


def test_a_few_turns_are_written_at_once():
    guard = Guard("mdm")
    guard.begin(10)
    assert [guard.may_turn(str(number), QUIET) for number in range(5)] == [True] * 5
    assert not guard.may_turn("5", QUIET)
    assert guard.too_many


def test_many_are_held_until_enough_others_were_looked_at():
    guard = Guard("mdm")
    guard.begin(1000)
    turns = [guard.may_turn(str(number), QUIET) for number in range(20)]
    assert turns == [True] * 5 + [False] * 15
    assert not guard.too_many
    for number in range(100, 200):
        guard.saw(str(number), allowed=True)
    assert guard.may_turn("19", QUIET)


def test_a_device_that_recovered_does_not_count():
    guard = Guard("mdm")
    guard.begin(10)
    for number in range(6):
        guard.may_turn(str(number), QUIET)
    guard.saw("0", allowed=True)
    assert guard.may_turn("5", QUIET)


def test_settled_all_allows_count():
    guard = Guard("mdm")
    guard.begin(100)
    for number in range(15):
        guard.may_turn(str(number), QUIET)
    assert not guard.may_turn("14", QUIET)
    guard.settled = True
    assert guard.may_turn("14", QUIET)


def test_what_was_allowed_since_the_sweep_began_counts_and_nothing_is_held_in_silence():
    guard = Guard("mdm")
    guard.begin(0)
    guard.settled = True
    for number in range(100):
        guard.saw(str(number), allowed=True)
    assert all(guard.may_turn(str(number), QUIET) for number in range(20))
    assert not guard.may_turn("20", QUIET)
    assert guard.too_many


def test_while_it_stands_nothing_turns_until_somebody_confirms():
    guard = Guard("mdm")
    guard.begin(1000)
    standing = SourceState("mdm", guard="why", guard_since=NOW)
    assert stands(standing)
    assert not guard.may_turn("1", standing)
    through = SourceState("mdm", guard="why", guard_since=NOW, guard_confirmed_at=NOW + timedelta(seconds=1))
    assert confirmed(through)
    assert not stands(through)
    assert all(guard.may_turn(str(number), through) for number in range(1000))


def test_an_old_confirmation_is_none():
    again = SourceState("mdm", guard="why", guard_since=NOW, guard_confirmed_at=NOW - timedelta(seconds=1))
    assert stands(again)
    assert not confirmed(SourceState("mdm", guard_confirmed_at=NOW))
