from __future__ import annotations

import time
from dataclasses import replace

import pytest
from tests.store.nouns import ORGANIZATION, a_device, minutes

from gatepost.model import DeviceFacts, Kind
from gatepost.store import devices, feed

REPORTED = DeviceFacts(reported=True, model="iPhone14C2", operating_system="iOS 17.4", friendly_name="Zoë's phone")


def save(store, *given):
    with store.begin() as transaction:
        return devices.save(transaction, given)


def get(store, user_id="user-1", device_id="ABC"):
    with store.read() as reader:
        return devices.get(reader, ORGANIZATION, user_id, device_id)


def told(store):
    return feed.changes_after(store, store.epoch, 0)


def test_a_new_device_is_kept_and_told(store):
    device = a_device(facts=REPORTED)
    assert save(store, device) == 1
    assert get(store) == device
    assert get(store, device_id="ABD") is None
    assert [(change.kind, change.key, change.noun) for change in told(store)] == [
        (Kind.DEVICE, ("user-1", "ABC"), device)
    ]


def test_being_seen_again_is_kept_but_not_told(store):
    save(store, a_device())
    assert save(store, a_device(last_seen=minutes(5), last_ip_address="2001:db8::1")) == 0
    assert get(store).last_seen == minutes(5)
    assert get(store).last_ip_address == "2001:db8::1"
    assert len(told(store)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"device_type": "iPad"},
        {"http_user_agent": None},
        {"protocol_version": "14.1"},
        {"facts": REPORTED},
        {"facts": DeviceFacts(reported=True)},
    ],
)
def test_what_may_change_a_decision_is_told(store, changes):
    save(store, a_device())
    changed = a_device(last_seen=minutes(1), **changes)
    assert save(store, changed) == 1
    assert told(store)[-1].noun == changed == get(store)


def test_first_seen_stays(store):
    save(store, a_device(first_seen=minutes(1), last_seen=minutes(1)))
    save(store, a_device(first_seen=minutes(2), last_seen=minutes(2)))
    assert get(store).first_seen == minutes(1)
    save(store, a_device(first_seen=minutes(0), last_seen=minutes(0)))  # a batch that another gateway could not write
    assert (get(store).first_seen, get(store).last_seen) == (minutes(0), minutes(2))


def test_a_late_batch_does_not_undo_what_was_seen_after_it(store):
    save(store, a_device(protocol_version="16.1", last_seen=minutes(2)))
    assert save(store, a_device(protocol_version="14.1", last_seen=minutes(1))) == 0
    assert get(store).protocol_version == "16.1"


def test_what_a_device_reported_is_not_undone_by_a_gateway_that_has_not_heard_it(store):
    save(store, a_device(facts=REPORTED, last_seen=minutes(1)))
    assert save(store, a_device(last_seen=minutes(2))) == 0
    assert get(store).facts == REPORTED
    # and the other way round: the report comes in the later batch, but was made earlier
    save(store, a_device("user-2", last_seen=minutes(2)))
    assert save(store, a_device("user-2", facts=REPORTED, last_seen=minutes(1))) == 1
    assert get(store, "user-2") == a_device("user-2", facts=REPORTED, last_seen=minutes(2))
    # a newer report replaces an older one
    newer = replace(REPORTED, operating_system="iOS 18.0")
    save(store, a_device(facts=newer, last_seen=minutes(3)))
    assert get(store).facts == newer


def test_of_one_device_twice_in_a_batch_the_last_counts(store):
    assert save(store, a_device(device_type="one"), a_device(device_type="two")) == 1
    assert get(store).device_type == "two"


def test_an_empty_batch_is_nothing(store):
    assert save(store) == 0
    assert told(store) == []


def test_odd_characters_of_one_phone_do_not_spoil_the_batch(store):
    odd = a_device(http_user_agent="nul\0 lone\udc80", facts=replace(REPORTED, friendly_name="\0\ud800"))
    assert save(store, a_device("user-2"), odd) == 2
    assert get(store).http_user_agent == "nul? lone?"
    assert get(store).facts.friendly_name == "??"
    assert save(store, odd) == 0


def test_the_same_device_id_in_two_organizations_and_of_two_users(store):
    other = "m-ffffffffffffffffffffffffffffffff"
    batch = [a_device("user-1"), a_device("user-2"), a_device("user-1", organization_id=other)]
    assert save(store, *batch) == 3
    assert save(store, *[replace(device, last_seen=minutes(1)) for device in batch]) == 0
    with store.read() as reader:
        assert devices.get(reader, other, "user-1", "ABC").organization_id == other


def test_pages_of_a_user_or_of_all(store):
    batch = [a_device(user, device) for user in ("user-1", "user-2") for device in ("A", "B", "C")]
    save(store, *reversed(batch))
    with store.read() as reader:
        page = devices.page(reader, ORGANIZATION, None, 2)
        assert page == batch[:2]
        assert devices.page(reader, ORGANIZATION, devices.position(page[-1]), 9) == batch[2:]
        assert devices.page(reader, ORGANIZATION, None, 9, user_id="user-2") == batch[3:]
        assert devices.page(reader, ORGANIZATION, "user-2/B", 9, user_id="user-2") == batch[5:]
        assert devices.page(reader, "m-unknown", None, 9) == []


def test_five_thousand_devices_are_one_batch(store):
    batch = [a_device(f"user-{number % 2500}", f"{number:032X}", facts=REPORTED) for number in range(5000)]
    began = time.monotonic()
    assert save(store, *batch) == 5000
    assert save(store, *[replace(device, last_seen=minutes(1)) for device in batch]) == 0
    assert time.monotonic() - began < 20  # about one second; a query per device would take minutes
    assert len(told(store)) == 1000
    with store.read() as reader:
        assert len(devices.page(reader, ORGANIZATION, None, 9999)) == 5000
