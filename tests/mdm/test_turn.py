from datetime import timedelta

import pytest
from sqlalchemy import event
from tests.store.mdm import next_due
from tests.support.mdm_world import posture

from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.turn import Turn
from gatepost.store import mdm_devices, mdm_looks, mdm_sources, mdm_work


@pytest.fixture
def turn_of(desk, organization_id):
    """A turn with the claims of what is due, or of what is given."""

    def new(transaction, claims, answers=None):
        answers = answers or {}
        return Turn(
            transaction,
            {claim: answers.get(claim.device_key) for claim in claims},
            local=LocalTarget(desk.store),
            organizations={},
            counted_at="store",
        )

    return new


def told(desk, *keys):
    for key in keys:
        desk.tell(key, urgent=False)
    return desk.claim()


def test_each_device_sees_what_those_before_it_have_become(desk, clock, turn_of):
    claims = told(desk, "1", "2")
    answers = {"1": posture("1", "AAA", clock=clock), "2": posture("2", "AAA", clock=clock)}
    with desk.store.begin() as transaction:
        turn = turn_of(transaction, claims, answers)
        assert turn.remembered("mdm", "1") is None
        first, second = (mdm_devices.after(None, answers[key]) for key in ("1", "2"))
        assert turn.related(first.known) == [first.known]
        turn.remember(first)
        assert turn.related(second.known) == [first.known, second.known]
        for claim in claims:
            turn.end(claim)
        turn.write()
    with desk.store.read() as reader:
        assert mdm_devices.known(reader, "mdm", "1") == first.known
        assert mdm_devices.known(reader, "mdm", "2") is None  # nobody said that it is to be remembered
        assert next_due(reader) is None


def test_devices_of_others_are_read_when_they_share_a_device_id(desk, clock, turn_of):
    with desk.store.bookkeeping() as writer:
        other = mdm_devices.put(writer, posture("9", "AAA", clock=clock, source="other"))
    claims = told(desk, "1")
    with desk.store.begin() as transaction:
        turn = turn_of(transaction, claims)
        known = mdm_devices.after(None, posture("1", "AAA", "BBB", clock=clock)).known
        assert turn.related(known) == [known, other]


def test_whoever_lost_the_lease_holds_nothing(desk, clock, turn_of):
    (slow,) = told(desk, "1")
    clock.forward(seconds=121)
    (new,) = desk.claim()
    with desk.store.begin() as transaction:
        turn = turn_of(transaction, [slow])
        assert not turn.holds(slow)
        turn.write()
        assert turn_of(transaction, [new]).holds(new)


def test_the_end_of_a_claim_is_now_or_later_or_not_yet(desk, clock, turn_of):
    claims = told(desk, "1", "2", "3")
    desk.tell("3")
    with desk.store.begin() as transaction:
        turn = turn_of(transaction, claims)
        for claim, again in zip(claims, (None, clock() + timedelta(minutes=1), None), strict=True):
            turn.end(claim, again)
        turn.mark([("target:workmail", "mdm/1")], urgent=True)
        turn.write()
    assert [one.device_key for one in desk.claim()] == ["3"]
    with desk.store.bookkeeping() as writer:
        (mark,) = mdm_work.claim(writer, 60, sources=["target:workmail"])
    assert mark.urgent
    clock.forward(minutes=1)
    assert [one.device_key for one in desk.claim()] == ["2"]


def test_what_the_guard_counted_is_written_for_all_bridges(desk, clock, turn_of):
    claims = told(desk, "1", "2")
    with desk.store.begin() as transaction:
        turn = turn_of(transaction, claims)
        turn.guard("mdm").saw("1", allowed=True)
        turn.guard("mdm").may_turn("2")
        turn.take_stand("mdm", "why")
        assert turn.guard("mdm").state.guard == "why"
        turn.write()
    with desk.store.read() as reader:
        assert mdm_looks.counts(reader, "mdm") == (2, 1)
        assert mdm_sources.get(reader, "mdm").guard_since == clock()


def test_what_is_read_for_many_takes_as_many_statements_as_for_one(desk, clock, turn_of):
    answers = {str(key): posture(str(key), f"ID{key}", user=f"u{key}@example.com", clock=clock) for key in range(40)}
    claims = told(desk, *answers)
    statements = []
    event.listen(desk.store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    with desk.store.begin() as transaction:
        turn = turn_of(transaction, claims, answers)
        for key, answer in answers.items():
            turn.related(mdm_devices.after(turn.remembered("mdm", key), answer).known)
            assert turn.everybody.of("mdm")(f"u{key}@example.com")
            assert turn.pairs.of_device("mdm", key) == []
    assert len([one for one in statements if "SELECT" in one.upper()]) <= 13
