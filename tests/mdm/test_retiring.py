import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.mdm_world import MemorySource, calls, eventually, posture
from tests.support.workmail import CONFIGURATION, WorkMailInMemory

from gatepost.engine.posture import Policy
from gatepost.mdm import retiring
from gatepost.mdm.delivery import Delivery
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.retiring import Leaving, StillServed, retire
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Compliance, Effect, Notification, Owner, Role
from gatepost.operations import mobile_device_access_overrides as operations
from gatepost.operations.context import Context
from gatepost.store import feed, mdm_applied, mdm_devices, mdm_inbox, mdm_retirement, mdm_sources, mdm_work
from gatepost.store.errors import StoreUnavailable

WRITE_DENY = BridgeOptions(policy=Policy(write_deny=True))
BAD = Compliance.NON_COMPLIANT


class House:
    """A bridge with the sources `mdm` and `old`, of which `old` is going to be taken out; WorkMail is a target too."""

    def __init__(self, desk, threads):
        self.desk = desk
        self.clock = desk.clock
        self.old = MemorySource(desk.clock, "old")
        self.memory = WorkMailInMemory("alice@example.com", "bob@example.com")
        self.there = ("workmail", CONFIGURATION.organization_id)
        self.threads = threads
        desk.sources["old"] = self.old
        desk.remote = ("workmail",)
        desk.options = WRITE_DENY
        self.restart()

    def restart(self):
        desk = self.desk
        desk.restart()
        target = WorkMailTarget(CONFIGURATION, "gate", client=self.memory)
        self.delivery = Delivery(
            desk.store, calls(self.threads), target, desk.options, sources=desk.sources, metrics=desk.metrics
        )

    def has(self, source, key, *device_ids, **fields):
        """A device of a source; somebody tells of it; the bridge does everything that is due, here."""
        self.desk.sources[source].devices[key] = posture(key, *device_ids, clock=self.clock, **fields)
        self.desk.tell(key, source=source)
        self.desk.work()

    def deliver(self):
        """Everything that is due goes to WorkMail."""
        for _ in range(10):
            with self.desk.store.bookkeeping() as writer:
                claims = mdm_work.claim(writer, 120, 100, sources=["target:workmail"])
            if not claims:
                return
            for claim in claims:
                asyncio.run(self.delivery.deliver(claim))
        raise AssertionError("it does not come to rest")

    def take_out(self):
        """Gatepost starts anew without the source."""
        del self.desk.sources["old"]
        self.restart()
        self.clock.forward(minutes=2)

    def leaving(self, **changes):
        return replace(Leaving("old", frozenset(self.desk.sources) - {"old"}, "store", self.there), **changes)

    def retire(self, **changes):
        return retire(self.desk.store, self.leaving(**changes), lambda _: None)

    def written_for(self, source):
        """{(target, device id): effect} of what is remembered as written for the source."""
        with self.desk.store.read() as reader:
            rows = mdm_retirement.written(reader, source, None, 1000)
        return {(one.target, one.device_id): one.effect.value for one in rows}

    def change(self, device_id, target="store", **changes):
        """What was written last for the DeviceId, remembered otherwise."""
        with self.desk.store.bookkeeping() as writer:
            (row,) = [one for one in mdm_applied.page(writer, target, None, 100) if one.device_id == device_id]
            mdm_applied.put(writer, replace(row, **changes))


@pytest.fixture
def house(desk):
    with ThreadPoolExecutor(4) as threads:
        yield House(desk, threads)


def test_the_source_s_overrides_are_taken_away_and_it_is_forgotten(house, organization_id):
    house.has("old", "1", "AAA")
    house.has("old", "2", "BBB", compliance=BAD)
    house.has("mdm", "1", "CCC")
    with house.desk.store.bookkeeping() as writer:
        mdm_inbox.receive(writer, Notification("old", "n", "1", b"{}", writer.now))
        mdm_sources.change(writer, "old", alive_at=writer.now)
        mdm_work.dirty(writer, "sweep:old", "all")
    house.take_out()
    assert house.desk.effects(organization_id) == {"AAA": "ALLOW", "BBB": "DENY", "CCC": "ALLOW"}
    before = feed.position(house.desk.store)
    done = house.retire(there=None)
    assert (done.allow, done.deny, done.devices, done.notifications) == (1, 1, 2, 1)
    assert house.desk.effects(organization_id) == {"CCC": "ALLOW"}
    assert feed.position(house.desk.store) == before + 2, "gateways are told"
    assert set(house.written_for("old")) == set()
    with house.desk.store.read() as reader:
        assert not mdm_retirement.is_known(reader, "old", ("sweep:old",))
        assert mdm_devices.known(reader, "mdm", "1") is not None
    assert house.retire() == retiring.Retired()


def test_nobody_else_s_override_is_touched(house, organization_id, context):
    for number, device_id in enumerate(("AAA", "BBB", "CCC", "DDD"), 1):
        house.has("old", str(number), device_id)
    named = {"organization_id": organization_id, "user_id": "alice@example.com"}
    operations.put(context, **named, device_id="AAA", effect="DENY", description="lost in a taxi")
    as_bridge = Context(context.store, context.now, "an API key", Role.BRIDGE)
    operations.put(as_bridge, **named, device_id="BBB", effect="DENY", description="by hand")
    house.change("CCC", theirs_since=house.clock())
    operations.delete(as_bridge, **named, device_id="DDD")
    house.take_out()
    done = house.retire(there=None)
    assert (done.allow, done.deny, done.edited, done.theirs, done.ended) == (1, 0, 1, 1, 1)
    assert house.desk.effects(organization_id) == {"BBB": "DENY", "CCC": "ALLOW"}
    (persons,) = house.desk.overrides(organization_id, Owner.PERSON).values()
    assert (persons.device_id, persons.effect) == ("AAA", Effect.DENY)
    assert house.written_for("old") == {}


class TestSharedWithAnotherSource:
    """One rule for both targets: what a device of another source accounts for is left to it."""

    def test_a_phone_that_both_find_in_order_is_not_refused_for_a_moment(self, house, organization_id):
        house.has("old", "1", "AAA")
        house.has("mdm", "9", "AAA")
        house.deliver()
        house.change("AAA", source="old", device_key="1")
        house.change("AAA", "workmail", source="old", device_key="1")
        house.take_out()
        before = feed.position(house.desk.store)
        done = house.retire()
        assert (done.handed_over, done.looked_at, done.allow) == (2, {("mdm", "9")}, 0)
        house.desk.source.errors.append(RuntimeError("it is away, or says nothing"))
        house.desk.work()
        house.deliver()
        assert feed.position(house.desk.store) == before
        assert house.desk.effects(organization_id) == house.memory.effects() == {"AAA": "ALLOW"}
        assert set(house.written_for("mdm")) == {("store", "AAA"), ("workmail", "AAA")}

    def test_the_other_source_alone_decides_from_then_on(self, house, organization_id):
        house.has("mdm", "9", "AAA")
        house.has("old", "1", "AAA", compliance=BAD)
        house.deliver()
        assert house.desk.effects(organization_id) == house.memory.effects() == {"AAA": "DENY"}
        assert set(house.written_for("old")) == {("store", "AAA"), ("workmail", "AAA")}
        house.take_out()
        assert house.retire().handed_over == 2
        house.desk.work()
        house.deliver()
        assert house.desk.effects(organization_id) == house.memory.effects() == {"AAA": "ALLOW"}

    def test_a_former_user_s_goes(self, house, organization_id):
        house.has("old", "1", "AAA")
        house.deliver()
        house.has("mdm", "9", "AAA", user="bob@example.com")
        house.deliver()
        house.take_out()
        house.retire()
        house.desk.work()
        house.deliver()
        (pair,) = house.desk.overrides(organization_id)
        assert house.memory.overrides.keys() == {("S-2", "AAA")}
        with house.desk.store.read() as reader:
            assert [one.user_id for one in mdm_applied.page(reader, "store", None, 10)] == [pair[0]]

    def test_every_device_that_shares_it_is_looked_at_and_not_urgently(self, house):
        house.has("old", "1", "AAA")
        for key in ("8", "9"):
            house.has("mdm", key, "AAA")
        house.change("AAA", source="old", device_key="1")
        house.take_out()
        assert house.retire(there=None).looked_at == {("mdm", "8"), ("mdm", "9")}
        with house.desk.store.bookkeeping() as writer:
            claims = mdm_work.claim(writer, 60, 10, sources=["mdm"])
        assert [(one.device_key, one.urgent) for one in claims] == [("8", False), ("9", False)]

    def test_what_was_left_to_a_person_stays_so(self, house, organization_id):
        house.has("old", "1", "AAA")
        house.has("mdm", "9", "AAA")
        ((user_id, _),) = house.desk.overrides(organization_id)
        as_bridge = Context(house.desk.store, house.clock, "an API key", Role.BRIDGE)
        operations.delete(as_bridge, organization_id=organization_id, user_id=user_id, device_id="AAA")
        house.change("AAA", source="old", device_key="1", theirs_since=house.clock())
        house.take_out()
        assert house.retire(there=None).theirs == 1
        house.desk.told("9")
        assert house.desk.effects(organization_id) == {}


class TestWorkMail:
    def test_the_delivery_takes_away_what_stands_there(self, house):
        house.has("old", "1", "AAA", "BBB")
        house.has("old", "2", "CCC", compliance=BAD)
        house.has("mdm", "1", "DDD")
        house.deliver()
        mine = {"UserId": "S-1", "DeviceId": "EEE", "Effect": "ALLOW", "Description": "by hand"}
        house.memory.overrides["S-1", "EEE"] = mine
        house.take_out()
        done = house.retire()
        assert (done.delivered, done.unreachable) == (3, 0)
        with house.desk.store.read() as reader:
            assert mdm_devices.known(reader, "old", "1") is None
            assert mdm_work.backlog(reader, "target:workmail").due == 2
        house.deliver()
        assert house.memory.effects() == {"DDD": "ALLOW", "EEE": "ALLOW"}
        assert house.written_for("old") == {}
        asyncio.run(house.delivery.look_through())
        house.deliver()
        assert house.memory.effects() == {"DDD": "ALLOW", "EEE": "ALLOW"}

    def test_a_device_is_marked_before_it_is_forgotten(self, house, monkeypatch):
        house.has("old", "1", "AAA")
        house.deliver()
        house.take_out()
        forget = mdm_retirement.forget

        def dies(*arguments):
            forget(*arguments)
            raise StoreUnavailable("the database does not answer")

        monkeypatch.setattr(mdm_retirement, "forget", dies)
        with pytest.raises(StoreUnavailable):
            house.retire()
        house.deliver()
        assert house.memory.overrides == {}
        monkeypatch.undo()
        assert house.retire().devices == 1

    def test_what_somebody_edited_there_is_left_alone(self, house):
        house.has("old", "1", "AAA")
        house.has("old", "2", "BBB")
        house.deliver()
        house.memory.overrides["S-1", "AAA"]["Effect"] = "DENY"
        house.change("BBB", "workmail", theirs_since=house.clock())
        house.take_out()
        done = house.retire()
        assert (done.delivered, done.theirs) == (1, 1)
        house.deliver()
        assert house.memory.effects() == {"AAA": "DENY", "BBB": "ALLOW"}

    @pytest.mark.parametrize("there", [None, ("workmail", "m-" + "b" * 32)])
    def test_where_no_bridge_delivers_it_stays_known(self, house, there):
        house.has("old", "1", "AAA")
        house.has("mdm", "9", "BBB")
        house.has("old", "2", "BBB", compliance=BAD)
        house.deliver()
        house.take_out()
        done = house.retire(there=there)
        assert (done.unreachable, done.delivered, done.handed_over) == (2, 0, 1)
        assert house.written_for("old") == {("workmail", "AAA"): "ALLOW", ("workmail", "BBB"): "DENY"}
        assert house.retire().delivered == 1
        house.deliver()
        assert "AAA" not in house.memory.effects()

    def test_a_delivery_of_nothing_is_not_left_parked(self, house):
        house.has("old", "1", "AAA", user="nobody-there@example.com")
        with house.desk.store.bookkeeping() as writer:
            (claim,) = mdm_work.claim(writer, 60, sources=["target:workmail"])
            mdm_work.park(writer, claim, "AccessDenied")
        house.take_out()
        house.retire()
        with house.desk.store.read() as reader:
            assert mdm_work.parked(reader) == []


def test_beside_a_delivery_that_is_at_work(house, monkeypatch):
    monkeypatch.setattr(retiring, "_BATCH", 3)
    for number in range(30):
        house.has("old", str(number), f"A{number}", f"B{number}")
        house.has("mdm", str(number), f"B{number}")
    house.deliver()
    with house.desk.store.bookkeeping() as writer:
        for one in mdm_applied.page(writer, "workmail", None, 100):
            mdm_applied.put(writer, replace(one, source="old", device_key=one.device_id[1:]))
            mdm_work.dirty_many(writer, [("target:workmail", f"{name}/{one.device_id[1:]}") for name in ("mdm", "old")])
    house.take_out()

    async def both():
        house.delivery.start()
        await asyncio.to_thread(house.retire)
        await eventually(lambda: not house.written_for("old"))
        await house.delivery.stop()

    asyncio.run(both())
    house.desk.work()
    house.deliver()
    assert house.memory.effects() == {f"B{number}": "ALLOW" for number in range(30)}


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_many_go_a_part_at_a_time(house, organization_id, monkeypatch, batch):
    monkeypatch.setattr(retiring, "_BATCH", batch)
    monkeypatch.setattr(retiring, "_FORGOTTEN", batch)
    for number in range(5):
        house.has("old", str(number), f"A{number}")
    house.deliver()
    house.take_out()
    told = []
    done = retire(house.desk.store, house.leaving(), lambda done: told.append((done.seen_to, done.devices)))
    assert (done.allow, done.delivered, done.devices, done.seen_to) == (5, 5, 5, 10)
    assert told == sorted(told)
    assert told[-1][0] == 10
    assert len(told) >= 10 / batch
    assert house.desk.effects(organization_id) == {}


@pytest.mark.parametrize(("seconds", "served"), [(0, True), (60, True), (61, False)])
def test_a_source_that_is_served_is_not_retired(house, organization_id, seconds, served):
    house.has("old", "1", "AAA")
    house.take_out()
    with house.desk.store.bookkeeping() as writer:
        mdm_sources.change(writer, "old", alive_at=writer.now - timedelta(seconds=seconds))
    if served:
        with pytest.raises(StillServed):
            house.retire()
    else:
        house.retire()
    assert (house.desk.effects(organization_id) == {"AAA": "ALLOW"}) == served


@pytest.mark.parametrize("while_forgetting", [False, True])
def test_a_bridge_that_comes_back_meanwhile_stops_it(house, monkeypatch, while_forgetting):
    monkeypatch.setattr(retiring, "_FORGOTTEN", 1)
    for number in "123":
        house.has("old", number, f"A{number}")
    house.take_out()

    def comes_back(done):
        if bool(done.devices) == while_forgetting:
            with house.desk.store.bookkeeping() as writer:
                mdm_sources.change(writer, "old", alive_at=writer.now)

    with pytest.raises(StillServed):
        retire(house.desk.store, house.leaving(), comes_back)
    with house.desk.store.read() as reader:
        assert mdm_devices.count(reader, "old") == (2 if while_forgetting else 3)
