"""Revision order is commit order, and a row and its Change live or die together: with real processes, killed at random."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import pytest
from sqlalchemy import func, insert, text, update
from tests.store.nouns import NOON, ORGANIZATION, an_organization
from tests.store.writers import SPAWN, every_change, race, replay, start, write, write_for_ever

from gatepost.store import feed, organizations, users
from gatepost.store.schema import changes, revision_counter

PROCESSES, THREADS, TRANSACTIONS = 2, 3, 20
KILLS = 4


@pytest.fixture(autouse=True)
def organization(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())


def follow(store, until, seconds=60):
    """Watch from the beginning until `until(changes)`."""
    seen, stop, deadline = [], threading.Event(), time.monotonic() + seconds
    for batch in feed.watch(store, store.epoch, 0, stop):
        seen += batch
        if until(seen):
            return seen
        assert time.monotonic() < deadline, f"{len(seen)} changes seen"
    raise AssertionError


def test_a_reader_that_follows_many_writers_neither_skips_nor_repeats(store, store_url):
    writers = [start(race, store_url, f"writer-{number}", TRANSACTIONS, THREADS) for number in range(PROCESSES)]

    def all_written(seen):
        assert [change.revision for change in seen] == list(range(1, len(seen) + 1))
        return not any(writer.is_alive() for writer in writers) and seen[-1].revision == feed.load(store).revision

    seen = follow(store, all_written)
    assert [writer.exitcode for writer in writers] == [0] * PROCESSES
    # a third of the deletions finds nothing to delete at first, every other transaction makes two changes
    assert len(seen) > PROCESSES * THREADS * TRANSACTIONS
    assert replay(seen) == set(feed.load(store).nouns)
    assert {change.key[0] for change in seen if change.key} == {
        f"writer-{process}-{thread}" for process in range(PROCESSES) for thread in range(THREADS)
    }


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time in any case
def test_with_a_sequence_the_same_reader_would_skip(store):
    """Why there is a counter in a row (docs/adr/0002): a sequence gives numbers before the commit, in any order."""

    def change(connection):
        revision = connection.execute(text("SELECT nextval('revisions')")).scalar_one()
        row = {"organization_id": ORGANIZATION, "kind": "user", "key": ["x"], "noun": None, "at": NOON}
        connection.execute(insert(changes), row | {"revision": revision})
        return revision

    def commit(connection, revision):
        newest = func.greatest(revision_counter.c.value, revision)
        connection.execute(update(revision_counter).values(value=newest))
        connection.commit()

    with store.engine.connect() as slow, store.engine.connect() as fast:
        slow.execute(text("CREATE SEQUENCE revisions START 2"))
        slow.commit()
        slow_revision, fast_revision = change(slow), change(fast)
        assert (slow_revision, fast_revision) == (2, 3)
        commit(fast, fast_revision)
        seen = follow(store, lambda seen: seen[-1].revision == 3)
        commit(slow, slow_revision)
        slow.execute(text("DROP SEQUENCE revisions"))
        slow.commit()
    seen += feed.changes_after(store, store.epoch, seen[-1].revision)
    assert [change.revision for change in seen] == [1, 3]
    assert [change.revision for change in every_change(store)] == [1, 2, 3]


def test_writers_killed_at_any_moment_leave_row_and_change_together_or_neither(store, store_url):
    dice = random.Random(20260301)
    counters = [SPAWN.Value("i", 0) for _ in range(KILLS)]
    writers = [start(write_for_ever, store_url, f"writer-{n}", counter) for n, counter in enumerate(counters)]
    deadline = time.monotonic() + 60
    while min(counter.value for counter in counters) < 2:
        assert time.monotonic() < deadline
        assert all(writer.is_alive() for writer in writers)
        time.sleep(0.005)
    for number, writer in enumerate(writers):
        time.sleep(dice.uniform(0, 0.05))
        os.kill(writer.pid, signal.SIGKILL)
        writer.join(30)
        assert writer.exitcode == -signal.SIGKILL
        write(store, f"survivor-{number}", 0)  # the lock of the dead does not stay
    told, snapshot = every_change(store), feed.load(store)
    assert [change.revision for change in told] == list(range(1, snapshot.revision + 1))
    assert replay(told) == set(snapshot.nouns)
    for number, counter in enumerate(counters):  # what was acknowledged is there
        with store.read() as reader:
            name = users.get(reader, ORGANIZATION, f"writer-{number}").name
        assert int(name.rpartition("-")[2]) in (counter.value - 1, counter.value)
