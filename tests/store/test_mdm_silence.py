from datetime import timedelta

import pytest
from tests.store.mdm import a_notification
from tests.support.postures import NOON, a_posture

from gatepost.store import mdm_devices, mdm_inbox
from gatepost.store.mdm_silence import without_notification_since


@pytest.fixture
def since(store):
    def read(source="ws1"):
        with store.read() as reader:
            return without_notification_since(reader, source)

    return read


def put(store, *postures):
    with store.bookkeeping() as writer:
        for one in postures:
            mdm_devices.put(writer, one)


def test_the_device_that_is_known_for_longest_counts(store, since):
    assert since() is None
    put(store, a_posture("7"), a_posture("8", observed_at=NOON - timedelta(hours=2)))
    put(store, a_posture("8"), a_posture("9", source="ws2", observed_at=NOON - timedelta(days=9)))
    assert since() == NOON - timedelta(hours=2)


def test_devices_that_are_gone_do_not_count(store, since):
    put(store, a_posture("8", observed_at=NOON - timedelta(hours=2)), a_posture("7"))
    put(store, a_posture("8", gone=True))
    assert since() == NOON


def test_what_is_here_of_another_source_is_no_notification_of_this_one(store, since):
    put(store, a_posture("7"))
    with store.bookkeeping() as writer:
        mdm_inbox.receive(writer, a_notification(source="ws2"))
    assert since() == NOON
    with store.bookkeeping() as writer:
        mdm_inbox.receive(writer, a_notification(device_key=None))
    assert since() is None
