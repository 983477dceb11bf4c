"""What sources sent: kept once, never lost, and each one marks its device."""

import threading

import pytest
from sqlalchemy import event
from tests.store.mdm import Clock, a_notification, claim, receive_until_killed
from tests.store.writers import SPAWN
from tests.support.postures import NOON, minutes

from gatepost.store import mdm_inbox, mdm_work
from gatepost.store.errors import StoreError


def receive(store, *notifications):
    with store.bookkeeping() as writer:
        return mdm_inbox.receive_many(writer, notifications)


def kept(store, **how):
    with store.read() as reader:
        return mdm_inbox.since(reader, "ws1", minutes(-1000), **how)


def test_a_notification_is_kept_as_it_came_and_its_device_is_dirty(store):
    Clock(store)
    one = a_notification(body=b'\x00\xff {"DeviceId": 7}')
    with store.bookkeeping() as writer:
        assert mdm_inbox.receive(writer, one) is True
    assert kept(store) == [one]
    (claimed,) = claim(store)
    assert (claimed.source, claimed.device_key, claimed.urgent) == ("ws1", "7", True)


def test_both_or_neither(store):
    def receive_and_fail():
        with store.bookkeeping() as writer:
            mdm_inbox.receive(writer, a_notification())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        receive_and_fail()
    assert kept(store) == []
    assert claim(store) == []


def test_a_repetition_is_counted_and_marks_the_device_all_the_same(store):
    assert receive(store, a_notification()) == [True]
    (first,) = claim(store)
    assert receive(store, a_notification(received_at=minutes(1))) == [False]
    assert kept(store) == [a_notification(received_at=minutes(1), times=2)]
    with store.bookkeeping() as writer:
        assert mdm_work.done(writer, first)
    assert len(claim(store)) == 1  # it was told of while it was handled


def test_many_at_once_with_repetitions_among_them(store):
    receive(store, a_notification("old"))
    one, other, no_device = a_notification("a"), a_notification("b", "8"), a_notification("c", None)
    assert receive(store, other, one, a_notification("old"), one, no_device, one) == [
        *(True, True, False, False, True, False)
    ]
    assert [(found.notification_id, found.times) for found in kept(store)] == [("a", 3), ("b", 1), ("c", 1), ("old", 2)]
    assert [claimed.device_key for claimed in claim(store, limit=9)] == ["7", "8"]
    assert receive(store) == []


def test_the_same_id_of_another_source_is_another_notification(store):
    assert receive(store, a_notification(), a_notification(source="fleet")) == [True, True]
    with store.read() as reader:
        assert len(mdm_inbox.since(reader, "fleet", NOON)) == 1


def test_a_thousand_at_once(store):
    notifications = [a_notification(f"n{number}", str(number % 700)) for number in range(2100)]
    assert receive(store, *notifications) == [True] * 2100
    assert receive(store, *notifications) == [False] * 2100
    with store.read() as reader:
        assert mdm_work.backlog(reader).due == 700


def test_many_take_as_many_statements_as_one(store):
    statements = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    receive(store, a_notification())
    alone = len(statements)
    receive(store, *[a_notification(f"n{number}", str(number)) for number in range(200)])
    assert len(statements) == 2 * alone


def test_batches_that_share_devices_do_not_deadlock(store):
    errors = []
    keys = [f"{number:03}" for number in range(900)]  # large ones, so that two are in the middle at the same time
    together = threading.Barrier(4)

    def flood(order):
        try:
            for number in range(3):
                batch = [a_notification(f"{number}-{key}", key) for key in keys[::order]]
                together.wait(30)
                receive(store, *batch)
        except StoreError as error:
            together.abort()
            errors.append(error)

    threads = [threading.Thread(target=flood, args=(order,)) for order in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_what_came_since_a_moment_is_read_in_order_and_in_pages(store):
    notifications = [
        a_notification(f"n{number}", str(number % 2), received_at=minutes(number // 2)) for number in range(6)
    ]
    receive(store, *reversed(notifications))
    with store.read() as reader:
        assert mdm_inbox.since(reader, "ws1", minutes(1)) == notifications[2:]
        assert mdm_inbox.since(reader, "ws1", minutes(1), device_key="1") == notifications[3::2]
        first = mdm_inbox.since(reader, "ws1", minutes(0), limit=3)
        last = first[-1]
        rest = mdm_inbox.since(reader, "ws1", minutes(0), after=(last.received_at, last.notification_id))
        assert first + rest == notifications


def test_when_a_source_was_heard_last(store):
    with store.read() as reader:
        assert mdm_inbox.last_received(reader, "ws1") is None
    receive(store, a_notification("a", received_at=minutes(3)), a_notification("b", received_at=minutes(1)))
    with store.read() as reader:
        assert mdm_inbox.last_received(reader, "ws1") == minutes(3)
        assert mdm_inbox.last_received(reader, "fleet") is None


def test_purge_forgets_what_is_old_a_piece_at_a_time(store):
    receive(store, *[a_notification(f"n{number}", received_at=minutes(number)) for number in range(5)])
    receive(store, a_notification("other", source="fleet", received_at=minutes(-9)))
    with store.bookkeeping() as writer:
        assert mdm_inbox.purge(writer, "ws1", minutes(3), limit=2) == 2
        assert mdm_inbox.purge(writer, "ws1", minutes(3), limit=2) == 1
        assert len(mdm_inbox.since(writer, "fleet", minutes(-10))) == 1
    assert [one.notification_id for one in kept(store)] == ["n3", "n4"]


def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(store, store_url):
    for _ in range(3):
        ours, theirs = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(target=receive_until_killed, args=(store_url, theirs), daemon=True)
        process.start()
        acknowledged = {ours.recv() for _ in range(20)}
        process.kill()
        process.join()
        while ours.poll():
            acknowledged.add(ours.recv())
        assert {f"n{number}" for number in acknowledged} <= {one.notification_id for one in kept(store)}
        with store.read() as reader:
            assert mdm_work.backlog(reader).due >= len(acknowledged)


def test_two_devices_under_one_id_are_both_dirty(store):
    with store.bookkeeping() as writer:
        assert mdm_inbox.receive_many(writer, [a_notification(), a_notification(device_key="8")]) == [True, False]
        assert [one.device_key for one in mdm_work.claim(writer, 60, 9)] == ["7", "8"]
