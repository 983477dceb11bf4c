import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.support.mdm_world import calls, eventually, posture

from gatepost.mdm import first_seen as module
from gatepost.mdm.first_seen import FirstSeen, Phone, phone_of
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.sources.base import SourceRefused, SourceUnavailable
from gatepost.model import Device, DeviceFacts, EntityState, Managed
from gatepost.operations import aliases, users
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.store import devices, mdm_work
from gatepost.store import users as stored_users
from gatepost.store.database import StoreUnavailable


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def alice(context, organization_id):
    return users.enroll(context, organization_id, "alice@example.com").user_id


@pytest.fixture
def seen(desk, threads):
    return make(desk, threads)


def make(desk, threads, **options):
    woken = []
    first_seen = FirstSeen(
        desk.store,
        calls(threads),
        desk.sources,
        BridgeOptions(**options),
        local="store",
        wake=lambda: woken.append(1),
    )
    first_seen.woken = woken
    return first_seen


def phone(clock, organization_id, user_id, device_id="AAA", imei=None):
    return Device(
        organization_id=organization_id,
        user_id=user_id,
        device_id=device_id,
        device_type="iPhone",
        http_user_agent=None,
        protocol_version="16.1",
        last_ip_address=None,
        first_seen=clock(),
        last_seen=clock(),
        facts=DeviceFacts(reported=True, imei=imei),
    )


def dirty(desk):
    with desk.store.read() as reader:
        return mdm_work.backlog(reader, "mdm").due


def test_a_phone_that_the_mdm_knows_is_allowed_by_the_ordinary_way(desk, seen, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    assert asyncio.run(seen.look_for(Phone(organization_id, alice, "AAA", None)))
    assert seen.woken
    desk.work()
    assert desk.overrides(organization_id).keys() == {(alice, "AAA")}


def test_one_that_the_mdm_does_not_know_is_nothing(desk, seen, alice, organization_id):
    assert not asyncio.run(seen.look_for(Phone(organization_id, alice, "AAA", "350000000000001")))
    assert dirty(desk) == 0


def test_somebody_elses_phone_id_allows_nobody_else(desk, seen, context, organization_id, clock):
    mallory = users.enroll(context, organization_id, "mallory@example.com").user_id
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    asyncio.run(seen.look_for(Phone(organization_id, mallory, "AAA", None)))
    desk.work()
    assert mallory not in {user_id for user_id, _ in desk.overrides(organization_id)}


def test_one_that_is_known_is_not_looked_for(desk, seen, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
    desk.told("1")
    desk.source.errors.append(AssertionError("asked"))
    assert not asyncio.run(seen.look_for(Phone(organization_id, alice, "AAA", None)))


def test_one_that_only_had_the_device_id_is_looked_for_again(desk, seen, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    desk.source.devices["1"] = posture("1", clock=clock, managed=Managed.NO)
    desk.told("1")
    assert desk.effects(organization_id) == {}
    desk.source.devices["2"] = posture("2", "AAA", clock=clock)
    assert asyncio.run(seen.look_for(Phone(organization_id, alice, "AAA", None)))
    desk.work()
    assert desk.effects(organization_id) == {"AAA": "ALLOW"}
    assert not asyncio.run(seen.look_for(Phone(organization_id, alice, "AAA", None)))


def test_its_own_word_counts_only_where_the_operator_says_so(desk, threads, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", clock=clock, imei="35-000000-000000-1")
    with desk.store.begin() as transaction:
        devices.save(transaction, [phone(clock, organization_id, alice, imei="350000000000001")])
    desk.told("1")
    assert desk.overrides(organization_id) == {}
    match = {"match": {"mdm": frozenset({"imei"})}}
    desk.options = BridgeOptions(**match)
    desk.restart()
    desk.told("1")
    assert desk.overrides(organization_id).keys() == {(alice, "AAA")}
    with desk.store.begin() as transaction:  # it says so no more
        devices.save(transaction, [phone(clock, organization_id, alice, imei="350000000000777")])
    desk.told("1")
    assert desk.overrides(organization_id) == {}


@pytest.mark.parametrize(
    ("fields", "said", "match"),
    [
        ({"imei": "350000000000001"}, {"imei": "350000000000001"}, "imei"),
        ({"serial": "F2LX0000ABCD"}, {"device_id": "APPLF2LX0000ABCD"}, "serial"),
    ],
)
def test_it_is_found_by_its_own_word_among_its_users_devices(
    desk, threads, alice, context, organization_id, clock, fields, said, match
):
    said = {"device_id": "AAA", "imei": None} | said
    desk.source.devices["1"] = posture("1", clock=clock, **fields)
    seen = make(desk, threads, match={"mdm": frozenset({match})})
    assert asyncio.run(seen.look_for(Phone(organization_id, alice, **said)))
    mallory = users.enroll(context, organization_id, "mallory@example.com").user_id
    assert not asyncio.run(seen.look_for(Phone(organization_id, mallory, **said)))
    nobody = make(desk, threads)
    assert not asyncio.run(nobody.look_for(Phone(organization_id, alice, **said)))


def test_a_source_that_is_away_is_asked_later_and_one_that_refuses_is_not(desk, seen, alice, organization_id):
    wanted = Phone(organization_id, alice, "AAA", None)
    desk.source.errors.append(SourceUnavailable("away"))
    with pytest.raises(SourceUnavailable):
        asyncio.run(seen.look_for(wanted))
    desk.source.errors.append(SourceRefused("no"))
    assert not asyncio.run(seen.look_for(wanted))


def test_those_behind_one_do_not_wait_for_a_source_that_is_away(desk, seen, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", "LAST", clock=clock)
    find = desk.source.find

    async def away(device_id=None, **more):
        if device_id != "LAST":
            raise SourceUnavailable("away")
        return await find(device_id, **more)

    desk.source.find = away

    async def test():
        for number in range(4):
            seen._add(Phone(organization_id, alice, f"P{number}", None))
        seen._add(Phone(organization_id, alice, "LAST", None))
        await eventually(lambda: dirty(desk) == 1)

    follow(desk, seen, test)


def follow(desk, seen, test):
    async def main():
        seen.start()
        await asyncio.sleep(0.2)
        try:
            await test()
        finally:
            await seen.stop()

    asyncio.run(main())


def test_the_feed_tells_of_phones(desk, seen, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)

    async def test():
        for _ in range(3):
            with desk.store.begin() as transaction:
                devices.save(transaction, [phone(clock, organization_id, alice)])
        await eventually(lambda: dirty(desk) == 1)

    follow(desk, seen, test)


def test_what_happened_while_the_store_was_away_is_heeded(desk, seen, alice, organization_id, clock, monkeypatch):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.source.devices["2"] = posture("2", "BBB", clock=clock)
    heed, away = seen._heed, threading.Event()

    def breaks(changes, loop):
        if away.is_set() and changes:
            away.clear()
            raise StoreUnavailable("away")
        heed(changes, loop)

    monkeypatch.setattr(seen, "_heed", breaks)
    monkeypatch.setattr(module, "_STORE_AWAY_SECONDS", 0.05)

    async def test():
        away.set()
        with desk.store.begin() as transaction:
            devices.save(transaction, [phone(clock, organization_id, alice)])
            devices.save(transaction, [phone(clock, organization_id, alice, "BBB")])
        await eventually(lambda: dirty(desk) == 2)

    follow(desk, seen, test)


def test_a_change_that_cannot_be_understood_holds_up_no_other(desk, seen, alice, organization_id, clock, monkeypatch):
    desk.source.devices["2"] = posture("2", "BBB", clock=clock)
    changed = seen._changed

    def breaks(changes, loop):
        if any(isinstance(one.noun, Device) and one.noun.device_id == "AAA" for one in changes):
            raise KeyError("a bug")
        changed(changes, loop)

    monkeypatch.setattr(seen, "_changed", breaks)

    async def test():
        for device_id in ("AAA", "BBB"):
            with desk.store.begin() as transaction:
                devices.save(transaction, [phone(clock, organization_id, alice, device_id)])
            await asyncio.sleep(0.3)
        await eventually(lambda: dirty(desk) == 1)

    follow(desk, seen, test)


def test_where_phones_are_not_looked_up_people_are_followed_all_the_same(
    desk, threads, alice, context, organization_id, clock
):
    seen = make(desk, threads, first_seen=False)
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    desk.source.devices["2"] = posture("2", "BBB", clock=clock)

    async def test():
        with desk.store.begin() as transaction:
            devices.save(transaction, [phone(clock, organization_id, alice, "BBB")])
        await seen.look_through()
        overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="AAA")
        await eventually(lambda: dirty(desk) == 1)
        await asyncio.sleep(0.2)
        assert dirty(desk) == 1

    follow(desk, seen, test)


def test_the_feed_tells_of_overrides_that_somebody_took_away(desk, seen, alice, context, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")

    async def test():
        overrides.delete(context, organization_id=organization_id, user_id=alice, device_id="AAA")
        await eventually(lambda: dirty(desk) == 1)

    follow(desk, seen, test)
    desk.work()
    assert {one.value for one in desk.metrics.conflicts.values()} == {"deleted"}


def test_what_the_bridge_does_itself_is_no_news(desk, seen, organization_id, clock):
    async def test():
        desk.source.devices["1"] = posture("1", "AAA", clock=clock)  # of somebody who is taken up by it
        desk.told("1")
        desk.source.devices["1"] = posture("1", "AAA", clock=clock, compromised=True)
        desk.told("1")
        await asyncio.sleep(0.5)
        assert dirty(desk) == 0

    follow(desk, seen, test)


def test_the_feed_tells_of_users_who_come_to_be(desk, seen, context, organization_id, clock):
    user_id = users.enroll(context, organization_id, "bob@example.com").user_id
    with desk.store.begin() as transaction:
        user = stored_users.get(transaction, organization_id, user_id)
        stored_users.put(transaction, replace(user, state=EntityState.DISABLED))
    desk.source.devices["1"] = posture("1", "AAA", user="bob@example.com", clock=clock)
    desk.told("1")
    assert desk.overrides(organization_id) == {}

    async def test():
        with desk.store.begin() as transaction:
            stored_users.put(transaction, user)
        await eventually(lambda: dirty(desk) == 1)

    follow(desk, seen, test)
    desk.work()
    assert desk.overrides(organization_id).keys() == {(user_id, "AAA")}


def test_what_was_missed_is_made_up_for(desk, seen, alice, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    with desk.store.begin() as transaction:
        devices.save(transaction, [phone(clock, organization_id, alice), phone(clock, organization_id, alice, "BBB")])

    async def test():
        await seen.look_through()
        await eventually(lambda: dirty(desk) == 1)

    follow(desk, seen, test)


def test_a_phone_is_not_looked_for_again_and_again(desk, seen, alice, organization_id, clock):
    one = phone_of(phone(clock, organization_id, alice))
    for _ in range(3):
        seen._add(one)
    assert seen._waiting.qsize() == 1


ALIAS = "sales@example.com"


@pytest.mark.parametrize("known", [False, True])
def test_an_address_that_is_taken_away_ends_the_allow_of_who_had_it(
    desk, seen, alice, context, organization_id, clock, known
):
    whose = {"organization_id": organization_id, "alias": ALIAS}
    aliases.create(context, **whose, entity_id=alice)
    bob = users.enroll(context, organization_id, "bob@example.com").user_id
    addresses = (ALIAS, "bob@example.com") if known else (ALIAS,)
    desk.source.devices["1"] = posture("1", "AAA", clock=clock, user_addresses=addresses)
    desk.told("1")
    assert (alice, "AAA") in desk.overrides(organization_id)

    async def test():
        aliases.delete(context, **whose, entity_id=alice)
        if known:  # it goes to somebody for whom something is written already
            aliases.create(context, **whose, entity_id=bob)
        await eventually(lambda: dirty(desk) == 1, seconds=2)

    follow(desk, seen, test)
    desk.work()
    assert (alice, "AAA") not in desk.overrides(organization_id)
