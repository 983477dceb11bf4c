import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.store.mdm import next_due
from tests.support.mdm_world import Desk, calls, eventually, posture

from gatepost.mdm import sweep
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import HOLD, Outcome
from gatepost.mdm.sources.base import Condition, SourceUnavailable
from gatepost.mdm.sweep import WHOLE, Sweeps, sweep_key
from gatepost.model import Compliance, Notification
from gatepost.store import mdm_devices, mdm_inbox, mdm_sources, mdm_work
from gatepost.store.database import StoreUnavailable


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


class Sweeper:
    """Sweeps, run one by one, and worked off."""

    def __init__(self, desk, threads):
        self.desk = desk
        self.call = calls(threads)
        self.new()

    def new(self):
        self.sweeps = Sweeps(self.desk.store, self.call, self.desk.sources, BridgeOptions(), targets=["store"])

    def sweep(self, settle=True):
        self.sweeps.ask(["mdm"])
        with self.desk.store.bookkeeping() as writer:
            (claim,) = mdm_work.claim(writer, 60, sources=[sweep_key("mdm")])
        asyncio.run(self.sweeps._sweep(claim))
        if settle:
            self.outcomes = self.desk.work()
            asyncio.run(self.sweeps.look())

    @property
    def state(self):
        with self.desk.store.read() as reader:
            return mdm_sources.get(reader, "mdm")


@pytest.fixture
def sweeper(desk, threads):
    return Sweeper(desk, threads)


@pytest.fixture
def fleet(desk, clock):
    """Put so many devices into the MDM."""

    def fleet(count, first=0, **fields):
        for number in range(first, first + count):
            key = str(number)
            user = f"u{number}@example.com"
            desk.source.devices[key] = posture(key, f"ID{number}", user=user, clock=clock, **fields)

    return fleet


def test_a_sweep_finds_what_nobody_told_of(desk, sweeper, fleet, organization_id, clock):
    fleet(3)
    sweeper.sweep()
    assert len(desk.effects(organization_id)) == 3
    assert (sweeper.state.listed, sweeper.state.sweep_finished_at) == (3, clock())
    with desk.store.read() as reader:
        due = next_due(reader, [sweep_key("mdm")])
    assert timedelta(hours=5.6) < due - clock() <= timedelta(hours=6)


def test_what_a_listing_does_not_show_is_asked_about(desk, sweeper, fleet, organization_id, clock, monkeypatch):
    fleet(3)
    sweeper.sweep()
    listing = desk.source.list

    async def without_one(progress=None):
        async for key in listing(progress):
            if key != "1":
                yield key

    monkeypatch.setattr(desk.source, "list", without_one)
    desk.source.devices["1"] = replace(desk.source.devices["1"], compromised=True)
    sweeper.sweep()
    assert set(desk.effects(organization_id)) == {"ID0", "ID2"}


def test_a_source_without_listings_is_asked_about_what_is_known(desk, sweeper, fleet, organization_id):
    fleet(2)
    sweeper.sweep()
    desk.source.lists = False
    fleet(2, compromised=True)
    sweeper.sweep()
    assert desk.effects(organization_id) == {}


def test_what_is_gone_is_not_asked_about(desk, sweeper, fleet, clock):
    fleet(1)
    sweeper.sweep()
    desk.source.devices.clear()
    desk.told("0")
    clock.forward(minutes=6)
    desk.work()
    desk.source.asked.clear()
    sweeper.sweep()
    assert desk.source.asked == []
    clock.forward(days=15)
    sweeper.sweep()
    with desk.store.read() as reader:
        assert mdm_devices.known(reader, "mdm", "0") is None


def test_an_orphan_is_asked_about(desk, sweeper, fleet, organization_id):
    fleet(1)
    sweeper.sweep()
    desk.source.devices.clear()
    with desk.store.bookkeeping() as writer:
        mdm_devices.forget(writer, "mdm", "0")
    sweeper.sweep()
    assert desk.overrides(organization_id) == {}


def test_old_notifications_are_forgotten_however_many_and_though_the_source_cannot_be_listed(
    desk, sweeper, clock, monkeypatch
):
    monkeypatch.setattr(sweep, "_PURGED", 2)
    old = clock()
    with desk.store.bookkeeping() as writer:
        for number in range(5):
            mdm_inbox.receive(writer, Notification("mdm", str(number), None, b"{}", old))
    clock.forward(days=15)
    with desk.store.bookkeeping() as writer:
        mdm_inbox.receive(writer, Notification("mdm", "new", None, b"{}", clock()))
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.source.errors.append(SourceUnavailable("away"))
    sweeper.sweep(settle=False)
    with desk.store.read() as reader:
        assert [one.notification_id for one in mdm_inbox.since(reader, "mdm", old)] == ["new"]


def test_a_sweep_that_fails_is_tried_again(desk, sweeper, fleet, clock):
    fleet(2)
    desk.source.errors.append(SourceUnavailable("it answered 503"))
    sweeper.sweep(settle=False)
    assert sweeper.state.sweep_finished_at is None
    clock.forward(minutes=5)
    with desk.store.bookkeeping() as writer:
        (claim,) = mdm_work.claim(writer, 60, sources=[sweep_key("mdm")])
    assert claim.attempts == 2


def test_a_sweep_that_lost_its_lease_ends(desk, sweeper, fleet, clock):
    fleet(2)
    sweeper.sweeps.ask(["mdm"])
    with desk.store.bookkeeping() as writer:
        (slow,) = mdm_work.claim(writer, 10, sources=[sweep_key("mdm")])
    clock.forward(seconds=11)
    with desk.store.bookkeeping() as writer:
        assert mdm_work.claim(writer, 60, sources=[sweep_key("mdm")])
    asyncio.run(sweeper.sweeps._sweep(slow))
    assert sweeper.state.sweep_finished_at is None


class TestGuard:
    def test_mass_change_is_held_back_and_one_by_one_is_not(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        assert len(desk.effects(organization_id)) == 35  # the first five are written at once
        assert sweeper.state.guard == "9 of 40 devices that are allowed would not be"
        assert sweeper.outcomes.count(Outcome.HELD) == 35
        desk.told("39")
        assert len(desk.effects(organization_id)) == 34
        clock.forward(seconds=HOLD.total_seconds())
        assert set(desk.work(1)) == {Outcome.HELD}

    def test_while_it_stands_the_mdm_is_not_worn_out(self, desk, sweeper, fleet, clock):
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        desk.source.asked.clear()
        for _ in range(30):
            clock.forward(seconds=HOLD.total_seconds())
            desk.work()
        assert len(desk.source.asked) <= 40
        sweeper.sweep()
        assert set(sweeper.outcomes[-30:]) == {Outcome.HELD}

    def test_what_is_held_is_as_if_it_had_not_been_asked(self, desk, sweeper, fleet, clock):
        fleet(10)
        sweeper.sweep()
        fleet(10, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        with desk.store.read() as reader:
            known = mdm_devices.page(reader, None, 100)
        assert sum(one.posture.compliance is Compliance.COMPLIANT for one in known) == 5

    def test_a_confirmation_lets_it_through_and_counts_once(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        clock.forward(minutes=1)
        with desk.store.bookkeeping() as writer:
            mdm_sources.change(writer, "mdm", guard_confirmed_at=writer.now)
        sweeper.sweep()
        assert desk.effects(organization_id) == {}
        assert sweeper.state.guard is None
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        clock.forward(minutes=1)
        sweeper.sweep()
        assert len(desk.effects(organization_id)) == 35

    def test_an_mdm_that_recovers_lifts_it(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        clock.forward(minutes=1)
        fleet(40)
        fleet(2, compromised=True)
        sweeper.sweep()
        assert sweeper.state.guard is None
        clock.forward(minutes=1)
        desk.work()
        assert len(desk.effects(organization_id)) == 38

    def test_it_stands_after_a_restart(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        desk.restart()
        sweeper.new()
        clock.forward(minutes=1)
        sweeper.sweep()
        assert len(desk.effects(organization_id)) == 35

    def test_what_is_held_ends_at_its_expiry(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        clock.forward(hours=168)
        assert desk.effects(organization_id) == {}

    def test_a_listing_that_shrank_by_half(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        kept = dict(desk.source.devices)
        for number in range(10, 40):
            del desk.source.devices[str(number)]
        desk.source.asked.clear()
        sweeper.sweep()
        assert sweeper.state.guard == "the listing has 10 devices, and had 40 before"
        assert len(desk.source.asked) == 10
        clock.forward(minutes=10)
        sweeper.sweep()
        assert len(desk.effects(organization_id)) == 40
        desk.source.devices.update(kept)
        sweeper.sweep()
        assert sweeper.state.guard is None

    def test_a_listing_that_shrank_and_was_confirmed(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        for number in range(10, 40):
            del desk.source.devices[str(number)]
        sweeper.sweep()
        with desk.store.bookkeeping() as writer:
            mdm_sources.change(writer, "mdm", guard_confirmed_at=writer.now)
        sweeper.sweep()
        clock.forward(minutes=6)
        desk.work()
        assert len(desk.effects(organization_id)) in range(10, 36)

    def test_a_small_fleet_may_change_as_a_whole(self, desk, sweeper, fleet, organization_id):
        fleet(5)
        sweeper.sweep()
        fleet(5, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        assert desk.effects(organization_id) == {}


def test_by_itself_at_start_and_after_an_outage(desk, threads, fleet, organization_id, clock):
    fleet(2)

    async def main():
        sweeps = Sweeps(desk.store, calls(threads), desk.sources, BridgeOptions())
        await sweeps.start()
        await eventually(lambda: len(desk.source.devices) == 2 and due(desk))
        desk.work()
        desk.source.condition = Condition(5, None, "down")
        await sweeps.look()
        desk.source.condition = Condition()
        await sweeps.look()
        await eventually(lambda: due(desk))
        await sweeps.stop()

    asyncio.run(main())
    with desk.store.read() as reader:
        assert mdm_work.backlog(reader, sweep_key("mdm")).parked == 0
    assert WHOLE == "all"


def test_notifications_that_were_missed_are_made_up_for_once_the_trouble_is_over(
    desk, threads, fleet, organization_id, monkeypatch
):
    fleet(2)

    async def main():
        sweeps = Sweeps(desk.store, calls(threads), desk.sources, BridgeOptions())
        sweeps.missed("mdm")
        await sweeps.look()
        assert asked(desk) == 0
        monkeypatch.setattr(sweep, "_MISSED_SECONDS", 0.0)
        ask, away = sweeps.ask, [StoreUnavailable("away")]

        def breaks(names):
            if away:
                raise away.pop()
            ask(names)

        monkeypatch.setattr(sweeps, "ask", breaks)
        with pytest.raises(StoreUnavailable):
            await sweeps.look()
        await sweeps.look()
        assert asked(desk) == 1

    asyncio.run(main())


def asked(desk):
    with desk.store.read() as reader:
        return mdm_work.backlog(reader, sweep_key("mdm")).due


class TestGuardAgainstTricks:
    """What an MDM in trouble may do beside answering wrongly at once."""

    def held(self, desk, sweeper, fleet, clock):
        fleet(40)
        sweeper.sweep()
        clock.forward(seconds=1)
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep()
        assert sweeper.state.guard is not None

    def test_a_sweep_that_nobody_answers_lifts_nothing(self, desk, sweeper, fleet, organization_id, clock):
        self.held(desk, sweeper, fleet, clock)
        for _ in range(5):
            clock.forward(minutes=10)
            sweeper.sweep(settle=False)
            desk.source.errors.extend([SourceUnavailable("too often", 600)] * 80)
            desk.work()
            desk.source.errors.clear()
            asyncio.run(sweeper.sweeps.look())
            assert sweeper.state.guard is not None
            clock.forward(minutes=11)
            desk.work()
        assert len(desk.effects(organization_id)) == 35

    def test_a_late_notification_of_what_has_turned_makes_no_room_for_more(
        self, desk, sweeper, fleet, organization_id, clock
    ):
        fleet(30)
        sweeper.sweep()
        clock.forward(seconds=1)
        sweeper.sweep(settle=False)
        fleet(30, compliance=Compliance.NON_COMPLIANT)
        for claims in iter(lambda: desk.claim(limit=5), []):
            desk.settling.settle([desk.look(claim) for claim in claims])
            for claim in claims:
                if f"ID{claim.device_key}" not in desk.effects(organization_id):
                    desk.tell(claim.device_key)
                    (again,) = desk.claim(limit=1)
                    desk.settling.settle([desk.look(again)])
        assert len(desk.effects(organization_id)) == 25
        assert sweeper.state.guard is not None

    def test_a_listing_that_fails_again_and_again_counts_on(
        self, desk, sweeper, fleet, organization_id, clock, monkeypatch
    ):
        monkeypatch.setattr(sweep, "_BATCH", 10)
        fleet(100)
        sweeper.sweep()
        listing = desk.source.list

        async def breaks(progress=None):
            found = 0
            async for key in listing(progress):
                yield key
                found += 1
                if found == 90:
                    raise SourceUnavailable("away")

        desk.source.list = breaks
        for number in range(1, 7):
            clock.forward(minutes=6)
            fleet(10 * number, compliance=Compliance.NON_COMPLIANT)
            sweeper.sweep(settle=False)
            desk.work(1)
        assert len(desk.effects(organization_id)) >= 80
        assert sweeper.state.guard is not None

    def test_a_confirmation_is_not_used_up_by_the_sweep_before(self, desk, sweeper, fleet, organization_id, clock):
        self.held(desk, sweeper, fleet, clock)
        sweeper.sweep(settle=False)
        clock.forward(seconds=1)
        with desk.store.bookkeeping() as writer:
            mdm_sources.change(writer, "mdm", guard_confirmed_at=writer.now)
        desk.work()
        asyncio.run(sweeper.sweeps.look())
        assert sweeper.state.guard_confirmed_at is not None
        assert sweeper.state.guard is not None
        clock.forward(seconds=1)
        sweeper.sweep()
        assert desk.effects(organization_id) == {}
        assert sweeper.state.guard is None

    def test_a_sweep_that_lost_its_lease_says_nothing(self, desk, sweeper, fleet, clock):
        fleet(2)
        sweeper.sweeps.ask(["mdm"])
        with desk.store.bookkeeping() as writer:
            (slow,) = mdm_work.claim(writer, 60, sources=[sweep_key("mdm")])
        before = sweeper.state
        clock.forward(seconds=61)
        with desk.store.bookkeeping() as writer:
            assert mdm_work.claim(writer, 60, sources=[sweep_key("mdm")])
        sweeper.sweeps._finish(slow, before, {"0", "1"})
        assert sweeper.state == before


class TestSeveralBridges:
    """Two processes over one store."""

    def test_they_count_together(self, desk, sweeper, fleet, organization_id, clock):
        fleet(40)
        sweeper.sweep()
        clock.forward(seconds=1)
        fleet(40, compliance=Compliance.NON_COMPLIANT)
        sweeper.sweep(settle=False)
        other = Desk(desk.store, desk.source, clock, desk.options)
        for one in (desk, other) * 20:
            one.settling.settle([one.look(claim) for claim in one.claim(limit=1)])
        assert len(desk.effects(organization_id)) == 35
        assert sweeper.state.guard == "9 of 40 devices that are allowed would not be"

    def test_what_one_swept_another_may_settle(self, desk, sweeper, fleet, clock):
        fleet(3)
        sweeper.sweep(settle=False)
        assert sweeper.state.sweep_settled_at is None
        sweeper.new()
        desk.restart()
        asyncio.run(sweeper.sweeps.look())
        assert sweeper.state.sweep_settled_at is None
        desk.work()
        asyncio.run(sweeper.sweeps.look())
        assert sweeper.state.sweep_settled_at == clock()


def due(desk) -> bool:
    with desk.store.read() as reader:
        return mdm_work.backlog(reader, "mdm").due == 2
