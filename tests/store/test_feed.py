from __future__ import annotations

import threading
import time
from itertools import islice, pairwise

import pytest
from sqlalchemy import text
from tests.store.nouns import (
    NOON,
    ORGANIZATION,
    a_device,
    a_group,
    a_member,
    a_rule,
    a_user,
    an_access_control_rule,
    an_organization,
    an_override,
    minutes,
)

from gatepost.model import Kind
from gatepost.store import (
    access_control_rules,
    devices,
    feed,
    group_members,
    groups,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    users,
)
from gatepost.store.database import Store

EVERYTHING = (an_organization(), a_user(), a_rule(), an_override(), an_access_control_rule(), a_device(), a_group())


def put_everything(store):
    with store.begin() as transaction:
        organizations.put(transaction, EVERYTHING[0])
        users.put(transaction, EVERYTHING[1])
        mobile_device_access_rules.put(transaction, EVERYTHING[2])
        mobile_device_access_overrides.put(transaction, EVERYTHING[3])
        access_control_rules.put(transaction, EVERYTHING[4])
        devices.save(transaction, [EVERYTHING[5]])
        groups.put(transaction, EVERYTHING[6])


def tell(store, count=1):
    with store.begin() as transaction:
        for _ in range(count):
            transaction.change(Kind.USER, ORGANIZATION, ("x",), None)


class Watcher:
    """`feed.watch` in a thread: what it yielded, when, and how it ended."""

    def __init__(self, store, epoch=None, after=0, poll=0.03):
        self.batches, self.error, self.stop = [], None, threading.Event()
        self._arguments = (store, epoch or store.epoch, after, self.stop, poll)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            for batch in feed.watch(*self._arguments):
                self.batches.append((time.monotonic(), batch))
        except Exception as error:
            self.error = error

    @property
    def revisions(self):
        return [change.revision for _, batch in list(self.batches) for change in batch]

    def wait(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.error or self.batches
            assert self.thread.is_alive() or condition(), self.error
            time.sleep(0.002)

    def end(self):
        self.stop.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def watch():
    watchers = []

    def begin(*arguments, **options):
        watchers.append(Watcher(*arguments, **options))
        return watchers[-1]

    yield begin
    for watcher in watchers:
        watcher.end()


def test_load_is_everything_at_one_revision(store):
    assert feed.load(store) == feed.Snapshot(store.epoch, 0, ())
    put_everything(store)
    assert feed.load(store) == feed.Snapshot(store.epoch, 7, EVERYTHING)


def test_changes_after_is_the_rest_in_order(store):
    put_everything(store)
    told = feed.changes_after(store, store.epoch, 0)
    assert [change.noun for change in told] == list(EVERYTHING)
    assert [change.kind for change in told] == list(Kind)[:7]
    assert {change.organization_id for change in told} == {ORGANIZATION}
    assert feed.changes_after(store, store.epoch, 4) == told[4:]
    assert feed.changes_after(store, store.epoch, 7) == []
    assert feed.changes_after(store, store.epoch, 1, limit=2) == told[1:3]


def test_members_of_groups_are_told_and_not_loaded(store):
    """Nothing decides by them: whoever wants to know what changed finds them, and no gateway keeps them."""
    put_everything(store)
    with store.begin() as transaction:
        group_members.put(transaction, a_member())
    assert [change.noun for change in feed.changes_after(store, store.epoch, 7)] == [a_member()]
    assert feed.load(store) == feed.Snapshot(store.epoch, 8, EVERYTHING)


def tell_of_a_newer_program(store, count=1):
    """What a program that knows one more kind would write, next to one that does not."""
    with store.begin() as transaction:
        for _ in range(count):
            transaction.change(Kind.USER, ORGANIZATION, ("x",), None)
        for change in transaction._changes:
            change |= {"kind": "of_a_newer_program", "noun": {"any": 1}}


def test_what_only_a_newer_program_knows_is_left_out(store):
    tell(store)
    tell_of_a_newer_program(store, 2)
    tell(store)
    assert [change.revision for change in feed.changes_after(store, store.epoch, 0)] == [1, 4]
    assert [change.revision for change in feed.changes_after(store, store.epoch, 1, limit=1)] == [4]
    tell_of_a_newer_program(store)
    assert feed.changes_after(store, store.epoch, 4) == []
    with pytest.raises(feed.Compacted):  # a history of the future is not taken for one of the past all the same
        feed.changes_after(store, store.epoch, 6)


def test_watch_goes_on_over_what_only_a_newer_program_knows(store, watch, monkeypatch):
    monkeypatch.setattr(feed, "LIMIT", 2)
    watcher = watch(store)
    tell_of_a_newer_program(store, 5)  # more than a batch
    tell(store)
    watcher.wait(lambda: watcher.revisions == [6])
    tell_of_a_newer_program(store, 3)
    tell(store)
    watcher.wait(lambda: watcher.revisions == [6, 10])


def test_another_epoch_or_a_revision_ahead_of_the_store_is_compacted(store):
    tell(store)
    with pytest.raises(feed.Compacted):
        feed.changes_after(store, "another", 0)
    with pytest.raises(feed.Compacted):
        feed.changes_after(store, store.epoch, 2)
    assert feed.changes_after(store, store.epoch, 1) == []


def test_what_was_compacted_cannot_be_followed(store):
    tell(store, 5)
    assert feed.compact(store, 3) == 3
    for revision in (0, 2):
        with pytest.raises(feed.Compacted):
            feed.changes_after(store, store.epoch, revision)
    assert [change.revision for change in feed.changes_after(store, store.epoch, 3)] == [4, 5]
    assert feed.compact(store, 2) == 0  # the mark does not go back
    with pytest.raises(feed.Compacted):
        feed.changes_after(store, store.epoch, 2)


def test_compacting_everything_leaves_the_revision(store):
    tell(store, 3)
    assert feed.compact(store, 99) == 3
    assert feed.load(store).revision == 3
    assert feed.changes_after(store, store.epoch, 3) == []
    tell(store)
    assert [change.revision for change in feed.changes_after(store, store.epoch, 3)] == [4]


def test_compacting_goes_in_steps(store, monkeypatch):
    monkeypatch.setattr(feed, "_COMPACT_ROWS", 4)
    tell(store, 10)
    assert feed.compact(store, 9) == 9
    assert [change.revision for change in feed.changes_after(store, store.epoch, 9)] == [10]


def test_the_last_revision_before_a_moment(store_url):
    clock = [NOON]
    store = Store.open(store_url, now=lambda: clock[0])
    tell(store, 2)
    clock[0] = minutes(5)
    tell(store)
    assert feed.revision_before(store, NOON) == 0
    assert feed.revision_before(store, minutes(5)) == 2
    assert feed.revision_before(store, minutes(6)) == 3
    store.close()


def test_watch_begins_with_what_was_missed_and_goes_on(store, watch):
    tell(store, 3)
    watcher = watch(store, after=1)
    watcher.wait(lambda: watcher.revisions == [2, 3])
    tell(store, 2)
    watcher.wait(lambda: watcher.revisions == [2, 3, 4, 5])


def test_watch_yields_batches(store, monkeypatch):
    monkeypatch.setattr(feed, "LIMIT", 4)
    tell(store, 10)
    batches = islice(feed.watch(store, store.epoch, 0, threading.Event()), 3)
    assert [[change.revision for change in batch] for batch in batches] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_a_change_in_the_same_process_wakes_the_watcher_at_once(store, watch):
    """With so long a poll only the hint can have woken it before the heartbeat."""
    watcher = watch(store, poll=60)
    watcher.wait(lambda: watcher.batches)
    delays = []
    for number in range(1, 11):
        tell(store)
        told = time.monotonic()
        watcher.wait(lambda number=number: len(watcher.revisions) == number)
        delays.append(watcher.batches[-1][0] - told)
    assert sorted(delays)[2] < feed.HEARTBEAT_SECONDS / 2  # about a millisecond; without hints each is a heartbeat


def test_a_change_by_somebody_else_wakes_the_watcher(store, store_url, watch):
    """Another Store is to the watcher what another process is: own connections, own signal."""
    other = Store.open(store_url)
    watcher = watch(store)
    watcher.wait(lambda: watcher.batches)
    delays = []
    for number in range(1, 11):
        tell(other)
        told = time.monotonic()
        watcher.wait(lambda number=number: len(watcher.revisions) == number)
        delays.append(watcher.batches[-1][0] - told)
    other.close()
    assert (
        sorted(delays)[2] < feed.HEARTBEAT_SECONDS / 2
    )  # 30 ms where there is time; without hints each is a heartbeat


def test_a_lost_hint_costs_a_heartbeat_and_no_change(store, watch, monkeypatch):
    watcher = watch(store)
    watcher.wait(lambda: watcher.batches)
    monkeypatch.setattr("gatepost.store.hints._SqliteLine.wait", lambda _line, seconds: time.sleep(seconds))
    monkeypatch.setattr("gatepost.store.hints._PostgresqlLine.wait", lambda _line, seconds: time.sleep(seconds))
    time.sleep(0.1)  # the wait that began before
    for number in (1, 2, 3):
        tell(store)
        watcher.wait(lambda number=number: watcher.revisions == list(range(1, number + 1)))


def test_a_store_that_answers_is_heard_every_second(store, watch):
    watcher = watch(store)
    watcher.wait(lambda: len(watcher.batches) >= 4)
    times = [when for when, _ in watcher.batches]
    assert min(later - earlier for earlier, later in pairwise(times)) < 1
    assert watcher.revisions == []


def test_watch_ends_after_stop_however_long_the_poll(store, watch):
    watcher = watch(store, poll=60)
    watcher.wait(lambda: watcher.batches)
    watcher.end()
    assert watcher.error is None


def test_watch_says_compacted(store, watch):
    tell(store, 2)
    for options in ({"epoch": "another"}, {"after": 3}):
        watcher = watch(store, **options)
        watcher.thread.join(30)
        assert isinstance(watcher.error, feed.Compacted)


def test_watch_says_compacted_when_the_history_is_replaced_under_it(store, watch):
    tell(store, 2)
    watcher = watch(store, after=2)
    watcher.wait(lambda: watcher.batches)
    with store.begin() as transaction:
        transaction.connection.execute(text("UPDATE revision_counter SET epoch = 'restored'"))
    watcher.thread.join(30)
    assert isinstance(watcher.error, feed.Compacted)


def test_a_watcher_that_keeps_up_does_not_mind_compaction(store, watch):
    watcher = watch(store)
    for number in range(1, 4):
        tell(store)
        watcher.wait(lambda number=number: len(watcher.revisions) == number)
        feed.compact(store, number)
    tell(store)
    watcher.wait(lambda: watcher.revisions == [1, 2, 3, 4])


def test_watch_in_memory(watch):
    store = Store.open("sqlite://", create=True)
    watcher = watch(store)
    watcher.wait(lambda: watcher.batches)
    tell(store, 3)
    watcher.wait(lambda: watcher.revisions == [1, 2, 3])
    watcher.end()
    store.close()


def test_watchers_leave_the_pool_alone(store, watch):
    watchers = [watch(store) for _ in range(15)]
    for watcher in watchers:
        watcher.wait(lambda watcher=watcher: watcher.batches)
    tell(store)
    for watcher in watchers:
        watcher.wait(lambda watcher=watcher: watcher.revisions == [1])
    assert store.engine.pool.checkedout() == 0
