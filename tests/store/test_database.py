from __future__ import annotations

import stat
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from tests.store.nouns import NOON, ORGANIZATION, a_user, an_organization
from tests.support.postgres_server import PASSWORD

from gatepost.model import Kind
from gatepost.store import feed, mdm_work, organizations, users
from gatepost.store.database import Signal, Store, StoreError, StoreNotReady, StoreUnavailable
from gatepost.store.schema import changes


def put(store, *user_ids):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        for user_id in user_ids:
            users.put(transaction, a_user(user_id))


def test_rows_changes_and_revisions_are_one_commit(store):
    put(store, "a", "b")
    snapshot = feed.load(store)
    assert snapshot.revision == 3
    assert snapshot.nouns == (an_organization(), a_user("a"), a_user("b"))
    assert [change.revision for change in feed.changes_after(store, store.epoch, 0)] == [1, 2, 3]


def test_change_can_be_called_several_times(store):
    with store.begin() as transaction:
        assert transaction.revision == 0
        revisions = [transaction.change(Kind.USER, ORGANIZATION, (str(number),), None) for number in range(3)]
        assert revisions == [1, 2, 3]
        assert transaction.revision == 3
    with store.begin() as transaction:
        assert transaction.change(Kind.USER, ORGANIZATION, ("x",), None) == 4
    told = feed.changes_after(store, store.epoch, 0)
    assert [(change.revision, change.key) for change in told] == [(1, ("0",)), (2, ("1",)), (3, ("2",)), (4, ("x",))]


def test_after_an_exception_nothing_is_kept(store):
    def fail():
        with store.begin() as transaction:
            organizations.put(transaction, an_organization())
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert feed.load(store) == feed.Snapshot(store.epoch, 0, ())
    put(store)
    assert feed.load(store).revision == 1


def test_a_transaction_reads_its_own_rows_and_others_do_not(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        assert organizations.get(transaction, ORGANIZATION) == an_organization()
        assert feed.load(store).nouns == ()
    assert feed.load(store).nouns == (an_organization(),)


def test_a_reader_sees_one_moment(store):
    with store.read() as reader:
        assert organizations.get(reader, ORGANIZATION) is None
        put(store)
        assert organizations.get(reader, ORGANIZATION) is None
    with store.read() as reader:
        assert organizations.get(reader, ORGANIZATION) is not None


def test_a_reader_cannot_write(store):
    def write():
        with store.read() as reader:
            reader.connection.execute(text("DELETE FROM users"))

    with pytest.raises(StoreError, match=r"read-?only"):
        write()
    put(store)  # and the next writer on the same connection can


def test_what_a_writer_has_read_is_still_true_when_it_commits(store):
    """Eight threads put one more user than they count; with a lost update there would be fewer in the end."""
    put(store)

    def add():
        for _ in range(5):
            with store.begin() as transaction:
                number = len(users.page(transaction, ORGANIZATION, None, 100))
                users.put(transaction, a_user(f"user-{number}"))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as reader:
        assert len(users.page(reader, ORGANIZATION, None, 100)) == 40


def test_the_second_writer_begins_when_the_first_has_committed(store):
    began, order = threading.Event(), []

    def second():
        began.set()
        with store.begin() as transaction:
            order.append(transaction.revision)

    with store.begin() as transaction:
        thread = threading.Thread(target=second)
        thread.start()
        began.wait()
        time.sleep(0.2)
        order.append("first")
        transaction.change(Kind.USER, ORGANIZATION, ("x",), None)
    thread.join()
    assert order == ["first", 1]


def test_a_counter_that_moved_under_the_lock_stops_the_writer(store):
    def meddle():
        with store.begin() as transaction:
            transaction.change(Kind.USER, ORGANIZATION, ("x",), None)
            transaction.connection.execute(text("UPDATE revision_counter SET value = value + 1"))

    with pytest.raises(StoreError, match="something else writing"):
        meddle()
    assert feed.load(store).revision == 0


def test_a_revision_cannot_be_given_twice(store):
    put(store)
    row = {"revision": 1, "organization_id": "m", "kind": "user", "key": ["x"], "noun": None, "at": NOON}

    def repeat():
        with store.begin() as transaction:
            transaction.connection.execute(insert(changes), row)

    with pytest.raises(StoreError, match="refused"):
        repeat()


def test_now_is_the_time_of_the_change(store_url):
    store = Store.open(store_url, now=lambda: NOON)
    put(store)
    (change,) = feed.changes_after(store, store.epoch, 0)
    assert change.at == NOON
    with store.read() as reader:
        assert reader.now == NOON
    store.close()


def test_a_commit_sends_the_signal_and_nothing_else_does(store):
    sent = store.committed.sent
    with store.read():
        pass
    with store.begin():
        pass
    assert store.committed.sent == sent
    put(store)
    assert store.committed.sent == sent + 1


def test_a_signal_wakes_who_waits():
    signal, seen = Signal(), []
    thread = threading.Thread(target=lambda: seen.append(signal.wait(0, 30)))
    thread.start()
    signal.send()
    thread.join(10)
    assert seen == [1]
    assert signal.wait(0, 30) == 1  # what was sent before counts
    assert signal.wait(1, 0.01) == 1  # and in the end nothing came


def test_opening_an_empty_database_says_what_to_do(tmp_path, postgresql_cluster):
    (tmp_path / "empty.db").touch()
    with postgresql_cluster.database() as url:
        for empty in (f"sqlite:///{tmp_path}/empty.db", url):
            with pytest.raises(StoreNotReady, match="run `gatepost init` or `gatepost db upgrade`"):
                Store.open(empty)


def test_opening_another_version_says_what_to_do(store_url):
    store = Store.open(store_url)
    with store.begin() as transaction:
        transaction.connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    store.close()
    for create in (False, True):
        with pytest.raises(StoreNotReady, match=r"is at version `0000`.*run `gatepost db upgrade`"):
            Store.open(store_url, create=create)


def test_create_gives_an_empty_database_its_tables_and_leaves_a_full_one_alone(tmp_path, postgresql_cluster):
    with postgresql_cluster.database() as url:
        for empty in (f"sqlite:///{tmp_path}/new.db", url):
            store = Store.open(empty, create=True)
            put(store)
            store.close()
            again = Store.open(empty, create=True)
            assert again.epoch == store.epoch
            assert feed.load(again).revision == 1
            again.close()


def test_each_database_has_its_own_epoch(tmp_path):
    stores = [Store.open(f"sqlite:///{tmp_path}/{name}.db", create=True) for name in "ab"]
    assert stores[0].epoch != stores[1].epoch
    for store in stores:
        store.close()


def test_in_memory():
    store = Store.open("sqlite://", create=True)
    put(store, "a")
    assert len(feed.load(store).nouns) == 2
    threads = [threading.Thread(target=put, args=(store, "b")) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert feed.load(store).revision == 12
    store.close()


def test_a_missing_file_is_not_created(tmp_path):
    with pytest.raises(StoreNotReady, match=rf"there is no database at `{tmp_path}/none\.db`"):
        Store.open(f"sqlite:///{tmp_path}/none.db")
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_reads_a_new_file(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/new.db", create=True)
    put(store)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    store.close()
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


def test_a_file_that_is_gone_is_an_error_and_not_an_empty_database(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path}/new.db", create=True)
    store.engine.dispose()
    Path(tmp_path / "new.db").unlink()
    with pytest.raises(StoreUnavailable, match="unable to open database file"):
        feed.load(store)
    store.close()


def test_the_url_is_shown_without_the_password(postgresql_cluster):
    with postgresql_cluster.store() as url:
        assert f":{PASSWORD}@" in url
        store = Store.open(url)
        assert PASSWORD not in store.url
        assert store.url.startswith("postgresql+psycopg://postgres:***@127.0.0.1")
        store.close()


def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(StoreUnavailable, match="does not answer"):
        Store.open("postgresql://postgres@127.0.0.1:1/none")


def test_a_turn_that_does_not_come_is_unavailable(store, monkeypatch):
    monkeypatch.setattr("gatepost.store.database.WAIT_SECONDS", 0.1)

    def begin():
        with store.begin():
            pass

    with store.begin(), pytest.raises(StoreUnavailable, match="another change is taking too long"):
        begin()
    begin()


def test_a_lock_that_does_not_come_is_unavailable(store_url, monkeypatch):
    monkeypatch.setattr("gatepost.store.connections.WAIT_SECONDS", 1)
    store, other = Store.open(store_url), Store.open(store_url)

    def begin():
        with store.begin():
            pass

    with other.begin(), pytest.raises(StoreUnavailable, match=r"locked|lock timeout"):
        begin()
    begin()
    for opened in (store, other):
        opened.close()


def test_a_pool_that_is_empty_is_unavailable(monkeypatch):
    monkeypatch.setattr("gatepost.store.connections.WAIT_SECONDS", 0.1)
    store = Store.open("sqlite://", create=True)

    def read():
        with store.read():
            pass

    with store.read(), pytest.raises(StoreUnavailable, match="in use"):
        read()
    store.close()


def test_bookkeeping_takes_no_revision_and_wakes_nobody(store):
    sent = store.committed.sent
    with store.bookkeeping() as writer:
        mdm_work.dirty(writer, "ws1", "7")
    with store.read() as reader:
        assert mdm_work.backlog(reader).due == 1
    assert (feed.load(store).revision, store.last_revision, store.committed.sent) == (0, 0, sent)


def test_bookkeeping_after_an_exception_keeps_nothing(store):
    def mark_and_fail():
        with store.bookkeeping() as writer:
            mdm_work.dirty(writer, "ws1", "7")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        mark_and_fail()
    with store.read() as reader:
        assert mdm_work.backlog(reader).due == 0


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)  # SQLite: one writer at a time
def test_bookkeeping_waits_for_no_writers_turn_on_postgresql(store):
    with store.begin(), store.bookkeeping() as writer:
        mdm_work.dirty(writer, "ws1", "7")


def test_a_transaction_keeps_both_books(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        mdm_work.dirty(transaction, "ws1", "7")
    with store.read() as reader:
        assert mdm_work.backlog(reader).due == 1
    assert feed.load(store).revision == 1
