"""The replica on a real store: it follows, loads again, outlives the store's absence, and knows how old it is."""

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime

import pytest
from tests.support.engine import change
from tests.support.gateway import rig, run

from gatepost.gateway import replica as module
from gatepost.gateway.identify import Identifier, Identity
from gatepost.gateway.replica import Replica
from gatepost.model import Device, DeviceFacts, Directory, Effect, Kind
from gatepost.operations import (
    entities,
    groups,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    registrations,
    users,
)
from gatepost.operations.context import Context
from gatepost.store import devices, feed
from gatepost.store.database import Store, StoreUnavailable

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class House:
    """A store with one organization, and a replica that follows it."""

    def __init__(self, path):
        self.url = f"sqlite:///{path}"
        self.store = Store.open(self.url, create=True)
        self.context = self.of(self.store)
        self.organization_id = self.organization("example")
        self.moved = []
        self.replica = Replica(self.store, self.moved.append)

    @staticmethod
    def of(store):
        return Context(store, lambda: NOON, "test")

    def organization(self, alias):
        return organizations.create(self.context, alias=alias, domains=[f"{alias}.com"], directory=Directory.OPEN)

    def rule(self, name, context=None, organization_id=None):
        return mobile_device_access_rules.create(
            context or self.context,
            organization_id=organization_id or self.organization_id,
            name=name,
            effect="DENY",
            device_types=["iPhone"],
        )

    def names(self, organization_id=None):
        ruleset = self.replica.rulesets[organization_id or self.organization_id]
        return {rule.source.name for rule in ruleset.device_rules}

    def device(self, facts=DeviceFacts()):  # noqa: B008 - a frozen value
        device = Device(self.organization_id, "alice-id", "PHONE1", "iPhone", None, "14.1", None, NOON, NOON, facts)
        with self.store.begin() as transaction:
            devices.save(transaction, [device])
        return device

    async def until(self, true):
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.002)

    async def settled(self):
        wanted = feed.load(self.store).revision
        await self.until(lambda: self.replica.revision >= wanted)


@contextlib.asynccontextmanager
async def following(house):
    house.replica.load()
    house.replica.start(asyncio.get_running_loop())
    try:
        yield
    finally:
        await asyncio.get_running_loop().run_in_executor(None, house.replica.stop)


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path / "gatepost.db")
    yield made
    made.store.close()


def test_before_it_has_loaded_it_is_infinitely_old(house):
    assert house.replica.age == float("inf")
    assert house.replica.rulesets == {}


def test_loading_reads_everything(house):
    other = house.organization("other")
    house.rule("no iPhones")
    house.rule("another", organization_id=other)
    alice = users.enroll(house.context, house.organization_id, "alice@example.com")
    mobile_device_access_overrides.put(
        house.context, organization_id=house.organization_id, user_id="alice", device_id="phone1", effect="DENY"
    )
    device = house.device()
    house.replica.load()
    assert house.names() == {"Default", "no iPhones"}
    assert house.names(other) == {"Default", "another"}
    ruleset = house.replica.rulesets[house.organization_id]
    assert ruleset.users[alice.user_id] == alice
    assert (alice.user_id, "PHONE1") in ruleset.overrides
    assert [rule.source.name for rule in ruleset.access_control_rules] == ["default"]
    assert house.replica.domains == {"example.com": house.organization_id, "other.com": other}
    assert house.replica.devices == (device,)
    assert house.replica.revision == feed.load(house.store).revision == ruleset.revision
    assert 0 <= house.replica.age < 5
    assert house.moved == []


def test_a_replica_that_never_started_stops(house):
    house.replica.stop()


def test_it_follows_changes_of_its_own_process(house):
    async def story():
        async with following(house):
            rule_id = house.rule("no iPhones")
            await house.settled()
            assert house.names() == {"Default", "no iPhones"}
            mobile_device_access_rules.delete(
                house.context, organization_id=house.organization_id, mobile_device_access_rule_id=rule_id
            )
            await house.settled()
            assert house.names() == {"Default"}
            seen = [(one.kind, one.key) for batch in house.moved for one in batch]
            assert seen == [(Kind.MOBILE_DEVICE_ACCESS_RULE, (rule_id,))] * 2

    run(story())


def test_it_follows_changes_of_another_process(house):
    async def story():
        async with following(house):
            # another Store object on the same file is what another process is
            theirs = await asyncio.to_thread(Store.open, house.url)
            await asyncio.to_thread(house.rule, "theirs", House.of(theirs))
            await house.until(lambda: "theirs" in house.names())
            theirs.close()

    run(story())


def test_it_follows_organizations_and_their_domains(house):
    async def story():
        async with following(house):
            other = house.organization("other")
            house.rule("another", organization_id=other)
            await house.settled()
            assert house.names(other) == {"Default", "another"}
            assert house.replica.domains["other.com"] == other
            organizations.delete(house.context, organization_id=other, delete_directory=True)
            await house.settled()
            assert "other.com" not in house.replica.domains

    run(story())


def test_devices_are_handed_on_and_leave_the_rules_alone(house):
    async def story():
        async with following(house):
            before = house.replica.rulesets[house.organization_id]
            device = house.device(DeviceFacts(reported=True))
            await house.settled()
            assert house.replica.rulesets[house.organization_id] is before
            assert [one.noun for batch in house.moved for one in batch] == [device]

    run(story())


def test_a_compacted_feed_is_loaded_again(house):
    async def story():
        house.replica.load()
        house.rule("missed")
        device = house.device()
        feed.compact(house.store, feed.load(house.store).revision)
        house.replica.start(asyncio.get_running_loop())
        await house.until(lambda: None in house.moved)
        assert house.names() == {"Default", "missed"}
        assert house.replica.devices == (device,)
        house.rule("next")
        await house.settled()
        assert house.names() == {"Default", "missed", "next"}
        assert house.moved.count(None) == 1
        await asyncio.to_thread(house.replica.stop)

    run(story())


def test_another_history_is_loaded_again(house):
    async def story():
        house.replica.load()
        house.replica._epoch = "another"
        house.replica.start(asyncio.get_running_loop())
        await house.until(lambda: None in house.moved)
        assert house.replica._epoch == house.store.epoch
        await asyncio.to_thread(house.replica.stop)

    run(story())


def test_loading_again_may_fail_and_is_tried_again(house, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    load, failures = feed.load, []

    def failing(store):
        if len(failures) < 2:
            failures.append(1)
            raise StoreUnavailable("away")
        return load(store)

    async def story():
        house.replica.load()
        house.rule("missed")
        feed.compact(house.store, load(house.store).revision)
        monkeypatch.setattr(feed, "load", failing)
        house.replica.start(asyncio.get_running_loop())
        await house.until(lambda: None in house.moved)
        assert len(failures) == 2
        assert house.names() == {"Default", "missed"}
        await asyncio.to_thread(house.replica.stop)

    run(story())


def test_while_the_store_is_away_it_keeps_its_rules_and_grows_older(house, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    watch, away = feed.watch, []

    def watching(*arguments):
        for found in watch(*arguments):
            if away:
                raise StoreUnavailable("away")
            yield found

    monkeypatch.setattr(feed, "watch", watching)

    async def story():
        async with following(house):
            house.rule("before")
            await house.settled()
            away.append(True)
            await asyncio.sleep(0.05)
            heard, age = house.replica.heard, house.replica.age
            house.rule("meanwhile")
            await asyncio.sleep(0.15)
            assert house.names() == {"Default", "before"}
            assert house.replica.heard == heard
            assert house.replica.age >= age + 0.15
            away.clear()
            await house.settled()
            assert house.names() == {"Default", "before", "meanwhile"}
            assert house.replica.age < 1

    run(story())


def test_a_database_that_is_taken_away_and_comes_back_is_found_again(house, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)

    def rename(old, new):
        with contextlib.closing(sqlite3.connect(tmp_path / "gatepost.db")) as connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")

    async def story():
        async with following(house):
            await asyncio.to_thread(rename, "changes", "gone")
            await asyncio.sleep(0.7)
            age = house.replica.age
            assert house.names() == {"Default"}
            await asyncio.sleep(0.1)
            assert house.replica.age >= age + 0.1
            await asyncio.to_thread(rename, "gone", "changes")
            await house.until(lambda: house.replica.age < 0.1)
            house.rule("after")
            await house.settled()
            assert house.names() == {"Default", "after"}

    run(story())


def test_a_quiet_store_keeps_it_young(house):
    async def story():
        async with following(house):
            await asyncio.sleep(1.2)
            assert house.replica.age < 1.0
            assert house.moved == []

    run(story())


def test_a_change_that_cannot_be_applied_is_not_passed_over(house, monkeypatch):
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)

    async def story():
        async with following(house):
            replica, heard = house.replica, house.replica.heard
            wrong = change(replica.revision + 1, Kind.USER, ("x",), house.device())
            wrong = type(wrong)(wrong.revision, house.organization_id, wrong.kind, wrong.key, wrong.noun, wrong.at)
            replica._apply([wrong], heard + 1e6)
            assert replica.heard < heard + 1e6
            # whatever comes next makes no sense until everything is loaded again
            replica._apply([], heard + 1e6)
            assert replica.heard < heard + 1e6
            await house.until(lambda: None in house.moved)
            house.rule("after")
            await house.settled()
            assert house.names() == {"Default", "after"}

    run(story())


def test_a_change_of_an_organization_that_is_not_there_changes_nothing(house):
    house.replica.load()
    before = dict(house.replica.rulesets)
    stray = change(house.replica.revision + 1, Kind.USER, ("x",))
    house.replica._apply([stray], house.replica.heard)
    assert house.replica.rulesets == before
    assert house.replica.revision == stray.revision
    assert house.moved == [[stray]]


def test_after_it_was_stopped_nothing_moves(house):
    async def story():
        async with following(house):
            pass
        house.moved.clear()
        house.rule("later")
        house.replica._post(asyncio.get_running_loop(), house.moved.append, "posted")
        await asyncio.sleep(0.05)
        assert house.moved == []
        assert house.names() == {"Default"}

    run(story())


def test_it_does_not_outlive_its_event_loop(house):
    loop = asyncio.new_event_loop()
    house.replica.load()
    house.replica.start(loop)
    loop.close()
    house.replica._thread.join(5)
    assert not house.replica._thread.is_alive()


def test_a_revision_can_be_waited_for(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            replica = r.gateway.replica
            assert await replica.reach(replica.revision, 0.0)
            waiting = asyncio.create_task(replica.reach(replica.revision + 1, 5.0))
            given_up = asyncio.create_task(replica.reach(replica.revision + 1, 5.0))
            assert not await replica.reach(replica.revision + 100, 0.01)
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)
            assert len(replica._awaited) == 1
            await asyncio.to_thread(r.rule, "x", "DENY")
            assert await waiting
            assert replica.revision == r.store.last_revision
            assert replica._awaited == []

    run(story())


@pytest.mark.parametrize("created", [True, False], ids=["created", "taken up"])
def test_a_login_with_the_former_address_is_the_same_user(house, created):
    """UpdatePrimaryEmailAddress as the gateway sees it: one id, the override with it, whichever address is typed."""

    async def story():
        async with following(house):
            where = {"organization_id": house.organization_id}
            if created:
                users.create(house.context, **where, name="alice", display_name="Alice")
                registrations.register_to_work_mail(
                    house.context, **where, entity_id="alice", email="alice@example.com"
                )
            alice = users.enroll(house.context, house.organization_id, "alice@example.com").user_id
            mobile_device_access_overrides.put(
                house.context, **where, user_id="alice@example.com", device_id="phone1", effect="DENY"
            )
            identifier = Identifier(house.replica, None)
            await house.settled()
            assert identifier.identify("alice@example.com") == Identity(house.organization_id, alice)
            entities.update_primary_email_address(
                house.context, **where, entity_id="alice@example.com", email="alicia@example.com"
            )
            await house.settled()
            identifier.forget()
            for login in ("alice@example.com", "EXAMPLE\\Alice@example.com", "alicia@example.com", "alice", "alicia"):
                assert identifier.identify(login) == Identity(house.organization_id, alice)
            ruleset = house.replica.rulesets[house.organization_id]
            assert ruleset.overrides[alice, "PHONE1"].effect is Effect.DENY
            # and after everything was read anew
            again = Replica(house.store, house.moved.append)
            again.load()
            assert Identifier(again, None).identify("alice@example.com") == Identity(house.organization_id, alice)

    run(story())


def test_nobody_logs_in_with_a_group_s_address(house):
    async def story():
        async with following(house):
            where = {"organization_id": house.organization_id}
            identifier = Identifier(house.replica, None)
            assert identifier.identify("sales@example.com") is not None
            group_id = groups.create(house.context, **where, name="Sales Team")
            registrations.register_to_work_mail(house.context, **where, entity_id=group_id, email="sales@example.com")
            await house.settled()
            identifier.forget()
            assert identifier.identify("sales@example.com") is identifier.identify("sales") is None
            again = Replica(house.store, house.moved.append)
            again.load()
            assert Identifier(again, None).identify("sales@example.com") is None
            assert [group.name for group in again.rulesets[house.organization_id].groups.values()] == ["Sales Team"]

    run(story())


def test_it_goes_on_over_what_only_a_newer_program_knows(house):
    """While gateways are upgraded one after the other, the others write what this one has never heard of."""

    async def story():
        async with following(house):
            with house.store.begin() as transaction:
                transaction.change(Kind.USER, house.organization_id, ("x",), None)
                transaction._changes[-1] |= {"kind": "of_a_newer_program", "noun": {"any": 1}}
            house.rule("afterwards")
            await house.settled()
            assert house.names() == {"Default", "afterwards"}
            assert None not in house.moved
            assert house.replica.age < 5

    run(story())
