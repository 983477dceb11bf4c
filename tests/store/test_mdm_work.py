"""Dirty devices: one worker each, whatever is told meanwhile, and no write of a worker that has lost its lease."""

import threading

import pytest
from sqlalchemy import text
from tests.store.mdm import Clock, World, claim, dirty, next_due
from tests.support.postures import NOON, minutes

from gatepost.model import Parked
from gatepost.store import mdm_work


@pytest.fixture
def clock(store):
    return Clock(store)


def keys(claims):
    return [one.device_key for one in claims]


def backlog(store, source=None):
    with store.read() as reader:
        found = mdm_work.backlog(reader, source)
    return found.due, found.later, found.leased, found.parked


def done(store, one, again=None):
    with store.bookkeeping() as writer:
        return mdm_work.done(writer, one, again)


def fail(store, one, again=None, park_after=3):
    with store.bookkeeping() as writer:
        return mdm_work.fail(writer, one, "no answer", again or writer.now, park_after)


def test_however_often_a_device_is_told_of_it_is_handled_once(store, clock):
    for _ in range(5):
        dirty(store, "7")
    (one,) = claim(store, limit=9)
    assert (one.source, one.device_key, one.generation, one.attempts, one.urgent) == ("ws1", "7", 5, 1, False)
    assert one.lease_until == minutes(1)
    assert claim(store) == []
    assert done(store, one)
    assert backlog(store) == (0, 0, 0, 0)


def test_a_device_that_is_told_of_while_it_is_handled_is_handled_again(store, clock):
    dirty(store, "7")
    (first,) = claim(store)
    dirty(store, "7")
    assert claim(store) == []  # not by another worker at the same time
    assert done(store, first, again=minutes(60))
    (second,) = claim(store)
    assert second.token != first.token
    assert done(store, second)
    assert claim(store) == []


def test_the_urgent_come_first_and_then_whoever_waits_longest(store, clock):
    dirty(store, "a")
    dirty(store, "b", due=minutes(-1))
    dirty(store, "c", urgent=True)
    dirty(store, "d", urgent=True, due=minutes(-5))
    dirty(store, "b", urgent=False)
    assert keys(claim(store, limit=3)) == ["d", "c", "b"]
    assert keys(claim(store, limit=3)) == ["a"]


def test_urgency_and_the_earlier_moment_are_kept(store, clock):
    dirty(store, "7", urgent=True)
    dirty(store, "7", due=minutes(30))
    (one,) = claim(store)
    assert one.urgent
    assert done(store, one)
    dirty(store, "8", due=minutes(30))
    assert claim(store) == []
    dirty(store, "8", urgent=True)
    assert claim(store)[0].urgent


def test_only_of_some_sources(store, clock):
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, "fleet", "7")
        mdm_work.dirty(writer, "ws1", "7")
    assert claim(store, limit=9, sources=[]) == []
    assert [one.source for one in claim(store, limit=9, sources=["ws1"])] == ["ws1"]
    assert backlog(store, "ws1") == (0, 0, 1, 0)
    assert backlog(store, "fleet") == (1, 0, 0, 0)


def test_look_again_then(store, clock):
    dirty(store, "7", urgent=True)
    (one,) = claim(store)
    assert done(store, one, again=minutes(10))
    assert backlog(store) == (0, 1, 0, 0)
    clock.at(9.9)
    assert claim(store) == []
    clock.at(10)
    (again,) = claim(store)
    assert (again.urgent, again.attempts) == (False, 1)


def test_whoever_lost_the_lease_changes_nothing(store, clock):
    dirty(store, "7")
    (slow,) = claim(store)
    clock.at(1)
    assert claim(store) == []  # to its very end
    clock.at(1.1)
    (quick,) = claim(store)
    assert (quick.attempts, quick.generation) == (2, slow.generation)
    with store.begin() as transaction:
        assert not mdm_work.holds(transaction, slow)
        assert not mdm_work.done(transaction, slow)
        assert not mdm_work.done(transaction, slow, again=NOON)
        assert not mdm_work.release(transaction, slow)
        assert mdm_work.fail(transaction, slow, "", NOON, 1) is None
        assert mdm_work.park(transaction, slow, "") is None
        assert mdm_work.extend(transaction, slow, 60) is None
        assert mdm_work.holds(transaction, quick)
    assert backlog(store) == (0, 0, 1, 0)


def test_a_lease_that_nobody_took_over_still_holds(store, clock):
    dirty(store, "7")
    (one,) = claim(store)
    clock.at(5)
    with store.begin() as transaction:
        assert mdm_work.holds(transaction, one)
        assert mdm_work.done(transaction, one)


def test_a_lease_can_be_made_longer(store, clock):
    dirty(store, "7")
    (one,) = claim(store)
    clock.at(0.9)
    with store.bookkeeping() as writer:
        longer = mdm_work.extend(writer, one, 60)
    assert longer.lease_until == minutes(1.9)
    clock.at(1.5)
    assert claim(store) == []
    assert done(store, longer)


def test_a_failure_waits_and_the_last_one_parks(store, clock):
    dirty(store, "7")
    assert fail(store, claim(store)[0], again=minutes(1)) is False
    assert claim(store) == []
    clock.at(1)
    assert fail(store, claim(store)[0], again=minutes(2)) is False
    clock.at(2)
    (third,) = claim(store)
    assert third.attempts == 3
    assert fail(store, third) is True
    assert claim(store) == []
    with store.read() as reader:
        assert mdm_work.parked(reader) == [Parked("ws1", "7", 3, "no answer", minutes(2))]
        assert next_due(reader) is None
    assert backlog(store) == (0, 0, 0, 1)


def test_success_forgets_the_failures(store, clock):
    dirty(store, "7")
    assert fail(store, claim(store)[0]) is False
    (second,) = claim(store)
    dirty(store, "7")
    assert done(store, second)
    assert claim(store)[0].attempts == 1


def test_an_attempt_counts_when_it_begins_so_that_a_device_that_kills_its_workers_is_parked(store, clock):
    dirty(store, "7")
    for number in range(4):
        clock.at(2 * number)
        (one,) = claim(store)  # and the worker dies
    assert one.attempts == 4
    assert fail(store, one) is True


def test_what_was_told_of_meanwhile_is_not_parked(store, clock):
    dirty(store, "7")
    (one,) = claim(store)
    dirty(store, "7")
    assert fail(store, one, again=minutes(3), park_after=1) is False
    dirty(store, "8")
    (other,) = claim(store)
    dirty(store, "8")
    with store.bookkeeping() as writer:
        assert mdm_work.park(writer, other, "no such thing") is False
    assert keys(claim(store, limit=9)) == ["8"]
    clock.at(3)
    assert keys(claim(store, limit=9)) == ["8", "7"]  # 8's lease is over


def parked(store, clock, *device_keys):
    dirty(store, *device_keys)
    for one in claim(store, limit=9):
        with store.bookkeeping() as writer:
            assert mdm_work.park(writer, one, "refused: \0" + 2000 * "x") is True


def test_a_notification_brings_back_what_was_parked(store, clock):
    parked(store, clock, "7")
    dirty(store, "7", urgent=True)
    (one,) = claim(store)
    assert one.attempts == 1
    assert backlog(store) == (0, 0, 1, 0)


def test_what_was_parked_is_listed_tried_again_and_dropped(store, clock):
    parked(store, clock, "a", "b", "c")
    dirty(store, "d")
    with store.bookkeeping() as writer:
        found = mdm_work.parked(writer)
        assert [one.device_key for one in found] == ["a", "b", "c"]
        assert found[0].last_error.startswith("refused: ?xxx")
        assert len(found[0].last_error) == 1000
        assert mdm_work.parked(writer, after=("ws1", "a"), limit=1) == found[1:2]
        assert mdm_work.parked(writer, source="fleet") == []
        assert mdm_work.retry(writer, "ws1", "a") == 1
        assert mdm_work.retry(writer, "ws1", "d") == mdm_work.drop(writer, "fleet") == 0
        assert mdm_work.drop(writer, "ws1", "b") == 1
        assert mdm_work.retry(writer) == 1
    assert keys(claim(store, limit=9)) == ["a", "c", "d"]


def test_given_back_it_was_not_tried(store, clock):
    dirty(store, "7", "8")
    one, other = claim(store, limit=2)
    with store.bookkeeping() as writer:
        assert mdm_work.release(writer, one)
        assert mdm_work.release(writer, other, again=minutes(1))
    (again,) = claim(store, limit=9)
    assert (again.device_key, again.attempts) == ("7", 1)


def test_when_there_is_something_to_do_next(store, clock):
    def due_next(**how):
        with store.read() as reader:
            return next_due(reader, **how), mdm_work.backlog(reader).oldest_due

    assert due_next() == (None, None)
    dirty(store, "7", due=minutes(5))
    assert due_next() == (minutes(5), None)
    dirty(store, "8", due=minutes(-5))
    assert due_next() == (minutes(-5), minutes(-5))
    claim(store)
    assert due_next() == (minutes(1), minutes(-5))  # when the lease ends
    assert due_next(sources=["fleet"])[0] is None


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # SQLite: one writer at a time
def test_a_row_that_a_worker_writes_by_is_passed_over_and_not_waited_for(store, clock):
    dirty(store, "7", "8")
    claim(store, limit=2)
    clock.at(2)  # both leases are over
    (one,) = claim(store)
    clock.at(4)
    with store.begin() as transaction:
        assert mdm_work.holds(transaction, one)
        assert keys(claim(store, limit=9)) == ["8" if one.device_key == "7" else "7"]
        assert mdm_work.done(transaction, one)
    assert claim(store) == []


def test_workers_never_get_the_same_device(store, clock):
    dirty(store, *[str(number) for number in range(100)])
    claimed, lock = [], threading.Lock()

    def work():
        while some := claim(store, limit=3):
            with lock:
                claimed.extend(keys(some))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed, key=int) == [str(number) for number in range(100)]


def test_claims_find_their_rows_by_index(store):
    """With many that wait for later moments, as there is one for each device."""
    dirty(store, *[str(number) for number in range(3000)], due=minutes(10_000_000))
    with store.bookkeeping() as writer:
        explain = "EXPLAIN QUERY PLAN" if store.engine.dialect.name == "sqlite" else "EXPLAIN"
        if explain == "EXPLAIN":
            writer.connection.execute(text("ANALYZE mdm_work"))
        statement = (
            mdm_work._claimable(writer.now, None).where(mdm_work._ROW.urgent == mdm_work.literal(False)).limit(5)
        )
        compiled = statement.compile(writer.connection, compile_kwargs={"literal_binds": True})
        plan = " ".join(str(row) for row in writer.connection.exec_driver_sql(f"{explain} {compiled}"))
    assert "ix_mdm_work_urgent_due" in plan


@pytest.mark.parametrize("seed", range(2))
def test_with_failures_deaths_and_leases_shorter_than_the_work_nothing_is_wrong_at_rest(store, seed):
    world = World(store, seed)
    assert world.run(changes=150, workers=6) == world.state
    assert world.refused > 0  # or the leases were not too short after all


def test_many_end_at_once_and_only_what_is_still_held(store, clock):
    dirty(store, "1", "2", "3", "4")
    claims = claim(store, limit=9)
    clock.at(2)
    (taken,) = claim(store, limit=1)  # of the first, the lease is over
    dirty(store, "3")
    with store.bookkeeping() as writer:
        held = mdm_work.held(writer, claims)
        assert keys(held) == ["2", "3", "4"]
        mdm_work.finish(writer, dict.fromkeys(held) | {claims[3]: minutes(9)}, held)
    assert taken.device_key == "1"
    assert keys(claim(store, limit=9)) == ["3"]
    clock.at(9)
    assert keys(claim(store, limit=9)) == ["1", "3", "4"]


def test_sources_of_which_something_is_due(store, clock):
    dirty(store, "1")
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, "fleet", "1", due=minutes(5))
        mdm_work.dirty(writer, "other", "1")

    def due():
        with store.read() as reader:
            return mdm_work.due_sources(reader, ["ws1", "fleet"])

    assert due() == ["ws1"]
    claim(store)
    assert due() == []
    clock.at(6)
    assert due() == ["fleet", "ws1"]


def test_of_two_claims_of_one_device_the_one_that_holds_counts(store, clock):
    dirty(store, "7")
    (slow,) = claim(store)
    clock.at(2)
    (new,) = claim(store)
    with store.bookkeeping() as writer:
        assert list(mdm_work.held(writer, [slow, new])) == list(mdm_work.held(writer, [new, slow])) == [new]
        assert mdm_work.is_claimed(writer, "ws1", "7")
        assert mdm_work.done(writer, new)
        assert not mdm_work.is_claimed(writer, "ws1", "7")


def test_what_was_given_up_is_brought_back_by_a_sweep_as_any_other(store, clock):
    dirty(store, "7", urgent=True)
    (one,) = claim(store)
    assert fail(store, one, park_after=1)
    dirty(store, "7")
    assert [one.urgent for one in claim(store)] == [False]
