"""A watcher's line to a real server that goes away, falls silent, or is reached through a pooler."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from sqlalchemy import text
from tests.store.nouns import an_organization
from tests.store.writers import write

from gatepost.store import feed, hints, organizations
from gatepost.store.database import Store, StoreUnavailable

OTHER_CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_a_server_that_stops_is_unavailable_and_nothing_is_lost_when_it_is_back(postgresql_cluster):
    with postgresql_cluster.store() as url:
        store = Store.open(url)
        with store.begin() as transaction:
            organizations.put(transaction, an_organization())
        batches = feed.watch(store, store.epoch, 0, threading.Event())
        assert [change.revision for change in next(batches)] == [1]
        postgresql_cluster.stop()
        try:
            with pytest.raises(StoreUnavailable):
                list(batches)
            with pytest.raises(StoreUnavailable):
                feed.load(store)
        finally:
            postgresql_cluster.start()
        write(store, "afterwards", 0)
        batches = feed.watch(store, store.epoch, 1, threading.Event())
        assert [change.revision for change in next(batches)] == [2, 3]
        batches.close()
        store.close()


def test_only_an_answer_is_a_heartbeat(postgresql_cluster):
    with postgresql_cluster.store() as url:
        store = Store.open(url)
        heard, stop = [], threading.Event()
        watcher = threading.Thread(
            target=lambda: [heard.append(time.monotonic()) for _ in feed.watch(store, store.epoch, 0, stop)]
        )
        watcher.start()
        while not heard:
            time.sleep(0.01)
        with store.read() as reader:
            (backend,) = reader.connection.execute(text(OTHER_CONNECTIONS)).scalars()
        os.kill(backend, signal.SIGSTOP)
        try:
            time.sleep(0.2)  # what was under way
            silent_since = len(heard)
            time.sleep(3 * feed.HEARTBEAT_SECONDS)
            assert len(heard) <= silent_since + 1
        finally:
            os.kill(backend, signal.SIGCONT)
        deadline = time.monotonic() + 30
        while len(heard) < silent_since + 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        stop.set()
        watcher.join(30)
        store.close()


def test_a_hint_comes_for_a_commit_and_not_for_anything_else(store, store_url):
    other = Store.open(store_url)
    with hints.listen(store) as line:
        assert line.wait(0.05) is False
        for writer in (store, other):
            with writer.begin() as transaction:
                organizations.put(transaction, an_organization())
                assert line.wait(0.05) is False
            assert any(line.wait(0.03) for _ in range(300))
            while line.wait(0.1):  # SQLite may hint twice: by the signal, and by the file
                pass
            with writer.read() as reader:
                organizations.get(reader, "m-none")
            assert line.wait(0.05) is False
    other.close()


def test_the_line_is_closed_in_the_end(store):
    with hints.listen(store) as line, line.reading() as connection:
        driver = connection.connection.dbapi_connection
        connection.execute(text("SELECT 1"))
    assert store.engine.pool.checkedout() == 0
    with pytest.raises(Exception, match="closed"):
        driver.execute("SELECT 1")
