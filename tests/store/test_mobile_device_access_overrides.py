from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.store.nouns import ORGANIZATION, a_user, an_organization, an_override, minutes

from gatepost.model import Effect, Kind, Owner
from gatepost.store import feed, mobile_device_access_overrides, organizations, users
from gatepost.store.errors import StoreError


@pytest.fixture(autouse=True)
def people(store):
    with store.begin() as transaction:
        organizations.put(transaction, an_organization())
        for name in ("u/1", "u-2", "u-3"):
            users.put(transaction, a_user(name))


def put(store, *overrides):
    with store.begin() as transaction:
        return [mobile_device_access_overrides.put(transaction, override) for override in overrides]


def pairs(found):
    return [(override.user_id, override.device_id) for override in found]


def test_what_was_put_is_got_replaced_and_deleted(store):
    override = an_override("u-2", "ABC", description=None)
    (first,) = put(store, override)
    changed = an_override("u-2", "ABC", effect=Effect.ALLOW, date_modified=minutes(1))
    put(store, changed)
    with store.read() as reader:
        assert mobile_device_access_overrides.get(reader, ORGANIZATION, "u-2", "ABC", Owner.PERSON) == changed
        assert mobile_device_access_overrides.get(reader, ORGANIZATION, "u-3", "ABC", Owner.PERSON) is None
    with store.begin() as transaction:
        assert mobile_device_access_overrides.delete(transaction, ORGANIZATION, "u-2", "ABC", Owner.PERSON) is True
        assert mobile_device_access_overrides.delete(transaction, ORGANIZATION, "u-2", "ABC", Owner.PERSON) is False
    told = feed.changes_after(store, store.epoch, first - 1)
    assert [(one.kind, one.key, one.noun) for one in told] == [
        (Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("u-2", "ABC", "person"), override),
        (Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("u-2", "ABC", "person"), changed),
        (Kind.MOBILE_DEVICE_ACCESS_OVERRIDE, ("u-2", "ABC", "person"), None),
    ]


def test_an_override_needs_its_user(store):
    with pytest.raises(StoreError):
        put(store, an_override("nobody"))


def test_pages_go_on_behind_a_position_whatever_came_or_went(store):
    everything = [an_override(user, device) for user in ("u-2", "u-3", "u/1") for device in ("A", "B", "C")]
    put(store, *reversed(everything))
    with store.read() as reader:
        page = mobile_device_access_overrides.page(reader, ORGANIZATION, None, 4)
    assert page == everything[:4]
    position = mobile_device_access_overrides.position(page[-1])
    with store.begin() as transaction:
        mobile_device_access_overrides.delete(
            transaction, ORGANIZATION, "u-3", "A", Owner.PERSON
        )  # the position itself
        mobile_device_access_overrides.put(transaction, an_override("u-2", "0"))  # before it
    with store.read() as reader:
        rest = mobile_device_access_overrides.page(reader, ORGANIZATION, position, 9)
        assert rest == everything[4:]
        assert mobile_device_access_overrides.page(reader, ORGANIZATION, "u/1/B", 9) == everything[8:]


def test_pages_of_a_user_a_device_or_both(store):
    put(store, *[an_override(user, device) for user in ("u-2", "u-3") for device in ("A", "B")])
    with store.read() as reader:
        page = mobile_device_access_overrides.page
        assert pairs(page(reader, ORGANIZATION, None, 9, user_id="u-3")) == [("u-3", "A"), ("u-3", "B")]
        assert pairs(page(reader, ORGANIZATION, None, 9, device_id="B")) == [("u-2", "B"), ("u-3", "B")]
        assert pairs(page(reader, ORGANIZATION, "u-2/B", 9, device_id="B")) == [("u-3", "B")]
        assert pairs(page(reader, ORGANIZATION, None, 9, user_id="u-2", device_id="A")) == [("u-2", "A")]
        assert page(reader, ORGANIZATION, None, 9, user_id="u/1") == []


def test_a_person_s_and_the_bridge_s_are_two(store):
    person, bridge = (an_override("u-2", "ABC", owner=owner, expires=minutes(5)) for owner in Owner)
    put(store, bridge, person)
    with store.begin() as transaction:
        found = [mobile_device_access_overrides.get(transaction, ORGANIZATION, "u-2", "ABC", one) for one in Owner]
        assert found == [person, bridge]
        assert mobile_device_access_overrides.page(transaction, ORGANIZATION, None, 9) == [bridge, person]
        position = mobile_device_access_overrides.position(bridge)
        assert mobile_device_access_overrides.page(transaction, ORGANIZATION, position, 9) == []
        assert mobile_device_access_overrides.delete(transaction, ORGANIZATION, "u-2", "ABC", Owner.BRIDGE)
        assert mobile_device_access_overrides.page(transaction, ORGANIZATION, None, 9) == [person]


def test_those_whose_time_is_up_are_found(store):
    put(
        store,
        an_override("u-2", "A", expires=minutes(1)),
        an_override("u-3", "B", expires=minutes(2)),
        an_override("u-3", "C"),
    )
    with store.read() as reader:
        for minute, devices in ((0, []), (1, ["A"]), (2, ["A", "B"])):
            found = mobile_device_access_overrides.expired(reader, minutes(minute), 9)
            assert [one.device_id for one in found] == devices
        assert len(mobile_device_access_overrides.expired(reader, minutes(2), 1)) == 1


def test_pages_without_those_whose_time_is_up(store):
    put(
        store,
        *[an_override("u-2", name, expires=minutes(at)) for at, name in enumerate("ABC")],
        an_override("u-2", "D"),
    )
    with store.read() as reader:
        page = mobile_device_access_overrides.page(reader, ORGANIZATION, None, 2, lasting_at=minutes(1))
        assert pairs(page) == [("u-2", "C"), ("u-2", "D")]
        assert len(mobile_device_access_overrides.page(reader, ORGANIZATION, None, 9)) == 4


def test_a_person_and_the_bridge_contradict_each_other(store):
    allow, bridge = {"effect": Effect.ALLOW}, {"owner": Owner.BRIDGE}
    put(
        store,
        *[an_override("u-2", "A"), an_override("u-2", "A", **bridge, **allow)],
        *[
            an_override("u-3", "A", **allow),
            an_override("u-3", "A", **bridge, expires=datetime.max.replace(tzinfo=UTC)),
        ],
        *[an_override("u-2", "SAME"), an_override("u-2", "SAME", **bridge)],
        *[an_override("u-2", "PAST", expires=minutes(0)), an_override("u-2", "PAST", **bridge, **allow)],
        *[an_override("u-2", "ENDED"), an_override("u-2", "ENDED", **bridge, **allow, expires=minutes(0))],
        *[an_override("u-2", "ONE"), an_override("u-3", "ONE", **bridge, **allow)],
    )
    with store.read() as reader:
        assert mobile_device_access_overrides.contradicted(reader) == 2
