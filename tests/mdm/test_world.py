"""A world at random: devices come, comply, violate, change hands and go, while everything else goes wrong.

Two MDMs speak of the same people and of the same DeviceIds, and two bridges work for them. Notifications are lost, doubled
and late; the MDMs and Amazon WorkMail are away; workers die, lose their leases and write too late; people write and take
away overrides, and users come, go, and hand on their addresses. What must be true all the time are the invariants, and what
must be true at rest is `at_rest`.
"""

import asyncio
import os
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from tests.support.mdm_people import People
from tests.support.mdm_process import Process
from tests.support.mdm_world import Clock, MemorySource, posture
from tests.support.workmail import UNANSWERED, WorkMailInMemory

from gatepost.engine.posture import Policy, PostureReason, wanted
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import CONFIRM_GONE
from gatepost.mdm.sources.base import SourceUnavailable
from gatepost.model import Compliance, Directory, Effect, EntityState, Managed, Owner
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.operations.context import Context
from gatepost.store import mdm_applied, mdm_devices, migrate
from gatepost.store.database import Store
from gatepost.store.names import addresses

PEOPLE = ("alice@example.com", "bob@example.com", "carol@example.com")
ADDRESSES = (*PEOPLE, "dave@example.com")
IDS = ("AAA", "BBB", "CCC")
SOURCES = ("mdm", "second")
ALLOW_HOURS = 24
POLICY = Policy(allow_hours=ALLOW_HOURS, grace_minutes=30)
EXAMPLES = int(os.environ.get("GATEPOST_WORLDS", "10"))

people, ids = st.sampled_from(ADDRESSES), st.sampled_from(IDS)
devices = st.tuples(st.sampled_from(SOURCES), st.sampled_from(["1", "2", "3"]))
places = st.integers(0, 1)  # of a bridge


class World(RuleBasedStateMachine):
    """The machine; the sources' `devices` are what the MDMs know, `told` what they want to tell."""

    @initialize(write_deny=st.booleans(), directory=st.sampled_from(Directory))
    def begin(self, write_deny, directory):
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(EMPTY[0], self.folder / "gatepost.db")
        self.clock = Clock()
        self.store = Store.open(f"sqlite:///{self.folder / 'gatepost.db'}", now=self.clock)
        self.context = Context(self.store, self.clock, "person")
        self.people = People(self.context, directory, PEOPLE)
        self.organization_id = self.people.organization_id
        self.policy = replace(POLICY, write_deny=write_deny)
        self.sources = {name: MemorySource(self.clock, name) for name in SOURCES}
        self.cloud = WorkMailInMemory(*PEOPLE)
        shared = (self.store, list(self.sources.values()), self.clock, BridgeOptions(policy=self.policy), self.cloud)
        self.bridges = [Process(*shared), Process(*shared)]
        self.told: list[tuple[str, str]] = []
        self.versions: dict[tuple[str, str], int] = {}
        self.acknowledged: dict[tuple[str, str], int] = {}
        self.true_until: dict[tuple[tuple[str, str], str, str], object] = {}
        self.foreign: dict[tuple[str, str], object] = {}
        self.cloud_foreign: dict[tuple[str, str], dict] = {}
        self.taken: set[tuple[str, str]] = set()
        self.gone_for_good: set[tuple[str, str]] = set()
        self.handed_on: set[str] = set()
        for key, person, device_id in zip("123", PEOPLE, IDS, strict=True):
            for source in SOURCES[: 1 + (key != "3")]:
                self._is_new((source, key), posture(key, device_id, user=person, clock=self.clock))
                self._tell((source, key))
        self.bridges[0].desk.work(1)

    def teardown(self):
        if hasattr(self, "store"):
            self.at_rest()
            self.store.close()
            shutil.rmtree(self.folder)

    # -- the world

    def _true(self, device):
        source, key = device
        return self.sources[source].devices.get(key)

    def _is_new(self, device, posture):
        source, key = device
        self.sources[source].devices[key] = posture
        self._changed(device)

    def _is(self, device, **fields):
        seen = {"state_time": self.clock(), "observed_at": self.clock()}
        self._is_new(device, replace(self._true(device), **(seen | fields)))

    def _changed(self, device):
        self.versions[device] = self.versions.get(device, 0) + 1
        self.told.append(device)
        self._allowed_now()

    def _allowed_now(self):
        for source in self.sources.values():
            for key, one in source.devices.items():
                if one.managed is Managed.YES and one.compliance is Compliance.COMPLIANT and not one.compromised:
                    for address in one.user_addresses:
                        for device_id in one.device_ids:
                            self.true_until[(source.name, key), address, device_id] = self.clock()

    @rule(device=devices, person=people, device_id=st.none() | ids)
    def enroll(self, device, person, device_id):
        now = [] if device_id is None else [device_id]
        self._is_new(device, posture(device[1], *now, user=person, clock=self.clock, compliance=Compliance.PENDING))

    @rule(device=devices, compliance=st.sampled_from([Compliance.COMPLIANT, *Compliance]))
    def check(self, device, compliance):
        if self._true(device) is not None:
            self._is(device, compliance=compliance)

    @rule(device=devices, data=st.data())
    def it_changes(self, device, data):
        if self._true(device) is None:
            return
        match data.draw(st.sampled_from(["compromised", "unenrolled", "reassigned", "new ids", "deleted"])):
            case "compromised":
                self._is(device, compromised=data.draw(st.booleans()))
            case "unenrolled":
                self._is(device, managed=Managed.NO, device_ids=(), user_addresses=())
            case "reassigned":
                self._is(device, user_addresses=(data.draw(people),))
            case "new ids":
                self._is(device, device_ids=tuple(sorted(data.draw(st.sets(ids)))))
            case "deleted":
                del self.sources[device[0]].devices[device[1]]
                self._changed(device)

    def _all_check_in(self):
        for source in self.sources.values():
            for key, one in source.devices.items():
                source.devices[key] = replace(one, state_time=self.clock())
        self._allowed_now()

    @rule(minutes=st.sampled_from([1, 6, 40, 300, 60 * 25]))
    def time_goes_by(self, minutes):
        self.clock.forward(minutes=minutes)

    # -- notifications

    @rule(data=st.data())
    def deliver(self, data):
        if not self.told:
            return
        order = data.draw(st.permutations(self.told))
        kept = order[: data.draw(st.integers(0, len(order)))]  # the rest is lost
        doubled = data.draw(st.booleans())
        self.told = []
        for device in kept * (2 if doubled else 1):
            self._tell(device)

    def _tell(self, device):
        source, key = device
        self.bridges[0].desk.tell(key, source=source)
        self.acknowledged[device] = self.versions[device]

    # -- the bridges

    @rule(place=places, rounds=st.integers(1, 3))
    def work(self, place, rounds):
        self.bridges[place].desk.work(rounds)

    @rule(place=places, lease=st.sampled_from([1, 120]))
    def a_slow_worker_asks(self, place, lease):
        self.bridges[place].ask(2, lease)

    @rule(place=places)
    def the_slow_worker_writes(self, place):
        self.bridges[place].write()

    @rule(device=devices, place=places, other=places, compliance=st.sampled_from(Compliance))
    def it_changes_while_it_is_asked_about(self, device, place, other, compliance):
        if self._true(device) is not None:
            desk = self.bridges[place].desk
            self.clock.forward(seconds=121)  # of whoever else has it, the lease is over
            self._tell(device)
            all_answer = self._all_answer()  # or it is put off, told of or not
            looked = [desk.look(claim) for claim in desk.claim()]
            self._is(device, compliance=compliance)
            self._tell(device)
            desk.settling.settle(looked)
            if all_answer:
                self._work_and_see(device, other)

    @rule(device=devices, place=places, other=places, compliance=st.sampled_from(Compliance))
    def a_slow_worker_writes_too_late(self, device, place, other, compliance):
        if self._true(device) is not None:
            desk = self.bridges[place].desk
            self.clock.forward(seconds=121)  # of whoever else has it, the lease is over
            self._tell(device)
            looked = [desk.look(claim) for claim in desk.claim(lease=1)]
            self.clock.forward(seconds=2)
            self._is(device, compliance=compliance)
            self._tell(device)
            if self._work_and_see(device, other):
                desk.settling.settle(looked)
                self._see(device)

    def _all_answer(self):
        return not any(source.errors for source in self.sources.values())

    def _work_and_see(self, device, place):
        if not self._all_answer():
            return False
        self.bridges[place].desk.work(1)
        self._see(device)
        return True

    def _see(self, device):
        with self.store.read() as reader:
            self._same(device, mdm_devices.known(reader, *device))

    @rule(device=devices, place=places, kill=st.sampled_from(["put", "delete"]), compromised=st.booleans())
    def it_is_written_to_workmail_by_one_who_dies(self, device, place, kill, compromised):
        if self._true(device) is not None:
            self._is(device, compromised=compromised)
            self._tell(device)
            self.bridges[place].desk.work(1)
            self.bridges[place].deliver(kill)

    @rule(place=places)
    def sweep(self, place):
        self.bridges[place].sweep()

    @rule(
        place=places,
        source=st.sampled_from(SOURCES),
        what=st.sampled_from(["expiry", "mdm away", "workmail away", "a bridge dies", "all check in"]),
    )
    def it_happens(self, place, source, what):
        match what:
            case "expiry":
                overrides.expire(self.context)
            case "mdm away":
                self.sources[source].errors.extend([SourceUnavailable("away", retry_after=60)] * 2)
            case "workmail away":
                self.cloud.errors.extend([None, UNANSWERED, UNANSWERED])
            case "a bridge dies":
                self.bridges[place].restart()
            case "all check in":
                self._all_check_in()

    @rule(place=places)
    def workmail_is_written(self, place):
        self.bridges[place].deliver()

    @rule(place=places)
    def a_bridge_reads_the_feed(self, place):
        self.bridges[place].follow()

    # -- people

    @rule(person=people, device_id=ids, effect=st.sampled_from(Effect))
    def somebody_decides(self, person, device_id, effect):
        owner = self.people.owners().get(person)
        if owner is None or owner.state is not EntityState.ENABLED:
            return
        overrides.put(
            self.context,
            organization_id=self.organization_id,
            user_id=person,
            device_id=device_id,
            effect=effect.value,
            description="by hand",
        )
        pair = (owner.user_id, device_id)
        self.foreign[pair] = self._overrides(Owner.PERSON)[pair]
        there = (self.cloud.users.get(person), device_id)
        if there[0] is not None and there not in self.cloud.overrides:
            row = {"UserId": there[0], "DeviceId": device_id, "Effect": effect.value, "Description": "by hand"}
            self.cloud.overrides[there] = self.cloud_foreign[there] = row

    @rule(data=st.data(), place=places)
    def somebody_takes_away(self, data, place):
        names = {user.user_id: user.name for user in self.people.all()}
        pairs = sorted(self._overrides().keys() - self.foreign.keys(), key=lambda pair: (names[pair[0]], pair[1]))
        if pairs:
            user_id, device_id = pair = data.draw(st.sampled_from(pairs))
            overrides.delete(self.context, organization_id=self.organization_id, user_id=user_id, device_id=device_id)
            self.taken.add(pair)
            self.bridges[place].follow()
            self.bridges[place].desk.work(1)
            if pair in self._theirs("store"):
                self.gone_for_good.add(pair)

    @rule(data=st.data())
    def somebody_comes_or_goes(self, data):
        people = self.people
        enabled, disabled = people.of(EntityState.ENABLED), people.of(EntityState.DISABLED)
        free = sorted(set(ADDRESSES) - people.owners().keys())
        match data.draw(st.sampled_from(["disabled", "enabled", "deleted", "comes"])):
            case "disabled" if enabled:
                people.disable(data.draw(st.sampled_from(enabled)))
                self._would_be_let_in_for_longer()
            case "enabled" if disabled:
                people.enable(data.draw(st.sampled_from(disabled)))
            case "deleted" if enabled + disabled:
                user = data.draw(st.sampled_from(enabled + disabled))
                people.delete(user)
                self.handed_on |= addresses(user)
                self.foreign = {pair: one for pair, one in self.foreign.items() if pair[0] != user.user_id}
            case "comes" if free:
                people.come(data.draw(st.sampled_from(free)), made=data.draw(st.booleans()))

    def _would_be_let_in_for_longer(self):
        self.clock.forward(minutes=61)
        self._all_check_in()
        for device in self.versions:
            self._tell(device)
        self.bridges[0].desk.work(1)

    @rule(data=st.data(), primary=st.booleans())
    def an_address_is_handed_on(self, data, primary):
        owners = self.people.owners()
        enabled = self.people.of(EntityState.ENABLED)
        taken = [one for one in ADDRESSES if one in owners and owners[one].state is EntityState.ENABLED]
        if taken:
            address, user = data.draw(st.sampled_from(taken)), data.draw(st.none() | st.sampled_from(enabled))
            self._hand_on(address, user, primary=primary)

    def _hand_on(self, address, user, *, primary=False):
        former = self.people.owners()[address].user_id
        self.handed_on.add(address)
        self.people.take(address)
        if user is not None:
            self.people.give(address, user, primary=primary)
        # what was taken away of his may come back with the address
        self.gone_for_good = {pair for pair in self.gone_for_good if pair[0] != former}

    @rule(data=st.data())
    def a_device_is_handed_on_with_its_address(self, data):
        """To somebody new: of that the bridges hear at once, and do not wait for a sweep."""
        self._sweep_and_work()
        owners = self.people.owners()
        taken = [one for one in ADDRESSES if one in owners and owners[one].state is EntityState.ENABLED]
        if not self._all_answer() or not taken:
            return
        heir = self.people.come(f"heir{len(self.people.had)}@example.com", made=True)
        self._hand_on(data.draw(st.sampled_from(taken)), self.people.one(heir))
        for bridge in self.bridges:
            bridge.follow()
        self.bridges[1].desk.work(3)
        self._nobody_else_is_let_in()

    def _sweep_and_work(self):
        self.clock.forward(seconds=121)  # of whoever else has it, the lease is over
        self.bridges[0].sweep()
        self.bridges[0].desk.work(3)

    def _nobody_else_is_let_in(self):
        owners = {address: user.user_id for address, user in self.people.owners().items()}
        with self.store.read() as reader:
            known = mdm_devices.page(reader, None, 100)
        his = {(owners.get(address), key) for one in known for address in one.addresses for key in one.device_ids}
        allowed = {pair for pair, one in self._overrides().items() if one.effect is Effect.ALLOW}
        assert allowed <= his

    # -- what is true all the time

    @invariant()
    def what_people_decided_is_untouched(self):
        if hasattr(self, "store"):
            assert self._overrides(Owner.PERSON) == self.foreign
            assert not self.gone_for_good & self._overrides().keys()
            for pair, row in self.cloud_foreign.items():
                assert self.cloud.overrides.get(pair) == row

    @invariant()
    def no_allow_outlives_the_limit(self):
        """Nobody is let in for longer than by what the device that decided has said for itself, of an address of his."""
        if not hasattr(self, "store"):
            return
        self.people.all()
        with self.store.read() as reader:
            written = mdm_applied.page(reader, "store", None, 1000)
        device_of = {(one.user_id, one.device_id): (one.source, one.device_key) for one in written}
        for pair, one in self._overrides().items():
            if one.effect is Effect.ALLOW and one.expires > self.clock():
                user_id, device_id = pair
                said = [(device_of[pair], address, device_id) for address in self.people.had[user_id]]
                last = max(self.true_until[saying] for saying in said if saying in self.true_until)
                assert one.expires <= last + timedelta(hours=ALLOW_HOURS), pair

    @invariant()
    def nobody_is_let_in_who_is_not_enabled(self):
        """Whom nobody lets in, whatever is written, is not written either from then on; of who is deleted nothing is left."""
        if not hasattr(self, "store"):
            return
        users = {user.user_id: user for user in self.people.all()}
        for (user_id, _), one in self._overrides().items():
            user = users[user_id]
            assert user.state is not EntityState.DELETED
            if user.state is EntityState.DISABLED and one.effect is Effect.ALLOW:
                assert one.date_modified <= user.date_disabled

    # -- what is true at rest

    def _quiet(self):
        for source in self.sources.values():
            source.errors.clear()
        self.cloud.errors.clear()
        for turn in range(8):
            self.clock.forward(seconds=200)
            bridge = self.bridges[turn % 2]
            bridge.held = []
            bridge.follow()
            bridge.desk.work(3)
            bridge.deliver()

    def at_rest(self):
        self._quiet()
        with self.store.read() as reader:
            known = {self._of(one): one for one in mdm_devices.page(reader, None, 100)}
        for device, version in self.acknowledged.items():
            if self.versions[device] == version:
                self._same(device, known.get(device))
        self.bridges[0].sweep()
        self._quiet()
        self.clock.forward(seconds=CONFIRM_GONE.total_seconds())
        self._quiet()
        asyncio.run(self.bridges[0].delivery.look_through())
        self._quiet()
        # that a time of grace is over for somebody who is no user here, what is elsewhere learns with a sweep
        self.bridges[1].sweep()
        for bridge in self.bridges:
            bridge.desk.work(3)
            bridge.deliver()
        overrides.expire(self.context)
        self._compare()

    def _of(self, known):
        return known.posture.source, known.posture.device_key

    def _same(self, device, known):
        """What was acknowledged was asked about: what is remembered is true."""
        true = self._true(device)
        if true is None:
            assert known is None or known.posture.gone or known.posture.managed is Managed.NO
        else:
            assert known is not None
            assert (known.posture.compliance, known.posture.managed) == (true.compliance, true.managed)
            assert (known.posture.device_ids, known.posture.user_addresses) == (true.device_ids, true.user_addresses)

    def _theirs(self, target):
        with self.store.read() as reader:
            written = mdm_applied.page(reader, target, None, 1000)
        return {(one.user_id, one.device_id) for one in written if one.theirs_since is not None}

    def _compare(self):
        with self.store.read() as reader:
            devices = mdm_devices.page(reader, None, 100)
        for one in devices:
            self._same(self._of(one), one)
        assert self._theirs("store") <= self.taken
        assert not self._theirs("workmail")
        wishes = wanted(devices, self.policy, self.clock(), user_of=self.people.user_of())
        here = {pair: one.effect for pair, one in self._overrides().items()}
        for pair in (wishes.keys() | here.keys()) - self._theirs("store"):
            assert here.get(pair) in self._right(pair, wishes.get(pair)), (pair, wishes.get(pair))
        wishes = wanted(devices, self.policy, self.clock(), user_of=self.cloud.users.get)
        there = {pair: Effect(row["Effect"]) for pair, row in self.cloud.overrides.items()}
        for pair in (wishes.keys() | there.keys()) - self.cloud_foreign.keys():
            assert there.get(pair) in self._expressed(wishes[pair]), (pair, wishes[pair])

    def _expressed(self, wish):
        """What may stand for a verdict."""
        if wish.effect is Effect.DENY and not self.policy.write_deny:
            return {None}
        return {None, *Effect} if wish.effect is None else {wish.effect}

    def _right(self, pair, wish):
        """What may stand here for a user and a DeviceId; `wish` is None where nothing accounts for them any more."""
        user = self.people.one(pair[0])  # None: not taken up yet
        # nobody looks at a device that is gone: its DENY stays where it was when the address went to somebody else
        left = wish is None or wish.reason is PostureReason.GONE
        if user is not None and left and self.handed_on & self.people.had[user.user_id]:
            return {None, Effect.DENY} if self.policy.write_deny else {None}
        assert wish is not None
        right = self._expressed(wish)
        return right if user is None or user.state is EntityState.ENABLED else {None, *right}

    def _overrides(self, owner=Owner.BRIDGE):
        return self.bridges[0].desk.overrides(self.organization_id, owner)


EMPTY: list[Path] = []


@pytest.mark.timeout(600)
def test_the_world(tmp_path):
    EMPTY[:] = [tmp_path / "empty.db"]
    migrate.upgrade(f"sqlite:///{EMPTY[0]}")
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
