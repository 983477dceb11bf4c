"""A world at random: devices come, comply, violate, change hands and go, while everything else goes wrong.

Notifications are lost, doubled and late; the MDM and Amazon WorkMail are away; workers die, lose their leases and write too
late; people write and take away overrides. What must be true all the time are the invariants, and what must be true at rest
is `at_rest`.
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
from tests.support.mdm_world import Clock, Desk, MemorySource, posture
from tests.support.workmail import CONFIGURATION, UNANSWERED, WorkMailInMemory

from gatepost.engine.posture import Policy, wanted
from gatepost.mdm.delivery import Delivery
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import CONFIRM_GONE
from gatepost.mdm.sources.base import SourceUnavailable
from gatepost.mdm.sweep import Sweeps, sweep_key
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Compliance, Effect, Managed, Owner
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.operations import organizations, users
from gatepost.operations.context import Context
from gatepost.store import mdm_applied, mdm_devices, mdm_work, migrate
from gatepost.store.database import Store

PEOPLE = ("alice@example.com", "bob@example.com", "carol@example.com")
IDS = ("AAA", "BBB", "CCC")
ALLOW_HOURS = 24
POLICY = Policy(allow_hours=ALLOW_HOURS, grace_minutes=30)
KEY = "target:workmail"
EXAMPLES = int(os.environ.get("GATEPOST_WORLDS", "12"))

people, ids, keys = st.sampled_from(PEOPLE), st.sampled_from(IDS), st.sampled_from(["1", "2", "3"])


class Killed(BaseException):
    """kill -9."""


class World(RuleBasedStateMachine):
    """The machine; `true` is what the MDM knows, `told` what it wants to tell."""

    @initialize(write_deny=st.booleans())
    def begin(self, write_deny):
        self.folder = Path(tempfile.mkdtemp())
        shutil.copy(EMPTY[0], self.folder / "gatepost.db")
        self.clock = Clock()
        self.store = Store.open(f"sqlite:///{self.folder / 'gatepost.db'}", now=self.clock)
        self.context = Context(self.store, self.clock, "person")
        self.organization_id = organizations.create(self.context, alias="example", domains=["example.com"])
        self.people = {address: users.enroll(self.context, self.organization_id, address).user_id for address in PEOPLE}
        self.policy = replace(POLICY, write_deny=write_deny)
        self.source = MemorySource(self.clock)
        self.cloud = WorkMailInMemory(*PEOPLE)
        self.desk = Desk(self.store, self.source, self.clock, BridgeOptions(policy=self.policy), ("workmail",))
        self.told: list[str] = []
        self.versions: dict[str, int] = {}
        self.acknowledged: dict[str, int] = {}
        self.true_until: dict[tuple[str, str], object] = {}
        self.foreign: dict[tuple[str, str], object] = {}
        self.cloud_foreign: dict[tuple[str, str], dict] = {}
        self.taken: set[tuple[str, str]] = set()
        self.gone_for_good: set[tuple[str, str]] = set()
        self.held = []
        self.deliver_()
        for key, person, device_id in zip("123", PEOPLE, IDS, strict=True):
            self.source.devices[key] = posture(key, device_id, user=person, clock=self.clock)
            self._changed(key)
            self._tell(key)
        self.desk.work(1)

    def teardown(self):
        if hasattr(self, "store"):
            self.at_rest()
            self.store.close()
            shutil.rmtree(self.folder)

    # -- the world

    def _is(self, key, **fields):
        before = self.source.devices.get(key)
        seen = {"state_time": self.clock(), "observed_at": self.clock()}
        self.source.devices[key] = replace(before, **(seen | fields))
        self._changed(key)

    def _changed(self, key):
        self.versions[key] = self.versions.get(key, 0) + 1
        self.told.append(key)
        self._allowed_now()

    def _allowed_now(self):
        for one in self.source.devices.values():
            if one.managed is Managed.YES and one.compliance is Compliance.COMPLIANT and not one.compromised:
                for address in one.user_addresses:
                    for device_id in one.device_ids:
                        self.true_until[self.people[address], device_id] = self.clock()

    @rule(key=keys, person=people, device_id=st.none() | ids)
    def enroll(self, key, person, device_id):
        now = [] if device_id is None else [device_id]
        self.source.devices[key] = posture(key, *now, user=person, clock=self.clock, compliance=Compliance.PENDING)
        self._changed(key)

    @rule(key=keys, compliance=st.sampled_from([Compliance.COMPLIANT, *Compliance]))
    def check(self, key, compliance):
        if key in self.source.devices:
            self._is(key, compliance=compliance)

    @rule(key=keys, data=st.data())
    def it_changes(self, key, data):
        if key not in self.source.devices:
            return
        match data.draw(st.sampled_from(["compromised", "unenrolled", "reassigned", "new ids", "deleted"])):
            case "compromised":
                self._is(key, compromised=data.draw(st.booleans()))
            case "unenrolled":
                self._is(key, managed=Managed.NO, device_ids=(), user_addresses=())
            case "reassigned":
                self._is(key, user_addresses=(data.draw(people),))
            case "new ids":
                self._is(key, device_ids=tuple(sorted(data.draw(st.sets(ids)))))
            case "deleted":
                del self.source.devices[key]
                self._changed(key)

    def _all_check_in(self):
        for key, one in self.source.devices.items():
            self.source.devices[key] = replace(one, state_time=self.clock())
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
        for key in kept * (2 if doubled else 1):
            self.desk.tell(key)
            self.acknowledged[key] = self.versions[key]

    # -- the bridge

    def deliver_(self):
        self.target = WorkMailTarget(CONFIGURATION, "gate", client=self.cloud)
        self.delivery = Delivery(
            self.store, _call, self.target, self.desk.options, sources=["mdm"], metrics=self.desk.metrics
        )

    @rule(rounds=st.integers(1, 3))
    def work(self, rounds):
        self.desk.work(rounds)

    @rule(lease=st.sampled_from([1, 120]))
    def a_slow_worker_asks(self, lease):
        claims = self.desk.claim(limit=2, lease=lease)
        self.held += [self.desk.look(claim) for claim in claims]

    @rule()
    def the_slow_worker_writes(self):
        held, self.held = self.held, []
        self.desk.settling.settle(held)

    @rule(key=keys, compliance=st.sampled_from(Compliance))
    def it_changes_while_it_is_asked_about(self, key, compliance):
        if key in self.source.devices:
            self.clock.forward(seconds=121)  # of whoever else has it, the lease is over
            self._tell(key)
            looked = [self.desk.look(claim) for claim in self.desk.claim()]
            self._is(key, compliance=compliance)
            self._tell(key)
            self.desk.settling.settle(looked)
            self._work_and_see(key)

    @rule(key=keys, compliance=st.sampled_from(Compliance))
    def a_slow_worker_writes_too_late(self, key, compliance):
        if key in self.source.devices:
            self.clock.forward(seconds=121)  # of whoever else has it, the lease is over
            self._tell(key)
            looked = [self.desk.look(claim) for claim in self.desk.claim(lease=1)]
            self.clock.forward(seconds=2)
            self._is(key, compliance=compliance)
            self._tell(key)
            if self._work_and_see(key):
                self.desk.settling.settle(looked)
                self._see(key)

    def _work_and_see(self, key):
        if self.source.errors:
            return False
        self.desk.work(1)
        self._see(key)
        return True

    def _see(self, key):
        with self.store.read() as reader:
            self._same(key, mdm_devices.known(reader, "mdm", key))

    @rule(key=keys, kill=st.sampled_from(["put", "delete"]), compromised=st.booleans())
    def it_is_written_to_workmail_by_one_who_dies(self, key, kill, compromised):
        if key in self.source.devices:
            self._is(key, compromised=compromised)
            self._tell(key)
            self.desk.work(1)
            self.deliver_to_workmail(kill)

    def _tell(self, key):
        self.desk.tell(key)
        self.acknowledged[key] = self.versions[key]

    def _workers_die(self):
        self.held = []
        self.desk.restart()
        self.deliver_()

    @rule()
    def sweep(self):
        self._sweep()

    def _sweep(self):
        sweeps = Sweeps(self.store, _call, self.desk.sources, self.desk.options, targets=["store", "workmail"])
        sweeps.ask(["mdm"])
        with self.store.bookkeeping() as writer:
            claims = mdm_work.claim(writer, 60, sources=[sweep_key("mdm")])
        for claim in claims:
            asyncio.run(sweeps._sweep(claim))

    @rule(what=st.sampled_from(["expiry", "mdm away", "workmail away", "workers die", "all check in"]))
    def it_happens(self, what):
        match what:
            case "expiry":
                overrides.expire(self.context)
            case "mdm away":
                self.source.errors.extend([SourceUnavailable("away", retry_after=60)] * 2)
            case "workmail away":
                self.cloud.errors.extend([None, UNANSWERED, UNANSWERED])
            case "workers die":
                self._workers_die()
            case "all check in":
                self._all_check_in()

    @rule()
    def workmail_is_written(self):
        self.deliver_to_workmail(None)

    def deliver_to_workmail(self, kill):
        def die(name):
            if name == kill:
                raise Killed

        self.cloud.after = die
        with self.store.bookkeeping() as writer:
            claims = mdm_work.claim(writer, 120, 10, sources=[KEY])
        for claim in claims:
            try:
                asyncio.run(self.delivery.deliver(claim))
            except Killed:
                self.cloud.after = None
                self._workers_die()
                break
        self.cloud.after = None

    # -- people

    @rule(person=people, device_id=ids, effect=st.sampled_from(Effect))
    def somebody_decides(self, person, device_id, effect):
        overrides.put(
            self.context,
            organization_id=self.organization_id,
            user_id=person,
            device_id=device_id,
            effect=effect.value,
            description="by hand",
        )
        pair = (self.people[person], device_id)
        self.foreign[pair] = self.desk.overrides(self.organization_id, Owner.PERSON)[pair]
        there = ("S-" + str(PEOPLE.index(person) + 1), device_id)
        if there not in self.cloud.overrides:
            row = {"UserId": there[0], "DeviceId": device_id, "Effect": effect.value, "Description": "by hand"}
            self.cloud.overrides[there] = self.cloud_foreign[there] = row

    @rule(data=st.data())
    def somebody_takes_away(self, data):
        pairs = sorted(self.desk.overrides(self.organization_id).keys() - self.foreign.keys())
        if pairs:
            user_id, device_id = data.draw(st.sampled_from(pairs))
            overrides.delete(self.context, organization_id=self.organization_id, user_id=user_id, device_id=device_id)
            self.taken.add((user_id, device_id))
            with self.store.read() as reader:
                written = mdm_applied.get(reader, "store", self.organization_id, user_id, device_id)
            if written is not None and (written.expires is None or written.expires > self.clock()):
                self.gone_for_good.add((user_id, device_id))
                self.desk.tell(written.device_key)  # as the feed does
                self.desk.work(1)

    # -- what is true all the time

    @invariant()
    def what_people_decided_is_untouched(self):
        if hasattr(self, "store"):
            assert self.desk.overrides(self.organization_id, Owner.PERSON) == self.foreign
            for pair in self.gone_for_good:
                assert pair not in self.desk.overrides(self.organization_id)
            for pair, row in self.cloud_foreign.items():
                assert self.cloud.overrides.get(pair) == row

    @invariant()
    def no_allow_outlives_the_limit(self):
        if not hasattr(self, "store"):
            return
        for pair, one in self.desk.overrides(self.organization_id).items():
            if one.effect is Effect.ALLOW and one.expires > self.clock():
                assert one.expires <= self.true_until[pair] + timedelta(hours=ALLOW_HOURS), pair

    # -- what is true at rest

    def _quiet(self):
        self.source.errors.clear()
        self.cloud.errors.clear()
        self.held = []
        for _ in range(12):
            self.clock.forward(seconds=130)
            self.desk.work(3)
            with self.store.bookkeeping() as writer:
                claims = mdm_work.claim(writer, 120, 100, sources=[KEY])
            for claim in claims:
                asyncio.run(self.delivery.deliver(claim))

    def at_rest(self):
        self._quiet()
        with self.store.read() as reader:
            known = {one.posture.device_key: one for one in mdm_devices.page(reader, None, 100)}
        for key, version in self.acknowledged.items():
            if self.versions[key] == version:
                self._same(key, known.get(key))
        self._sweep()
        self._quiet()
        self.clock.forward(seconds=CONFIRM_GONE.total_seconds())
        self._quiet()
        asyncio.run(self.delivery.look_through())
        self._quiet()
        overrides.expire(self.context)
        self._compare()

    def _same(self, key, known):
        """What was acknowledged was asked about: what is remembered is true."""
        true = self.source.devices.get(key)
        if true is None:
            assert known is None or known.posture.gone or known.posture.managed is Managed.NO
        else:
            assert known is not None
            assert (known.posture.compliance, known.posture.managed) == (true.compliance, true.managed)
            assert (known.posture.device_ids, known.posture.user_addresses) == (true.device_ids, true.user_addresses)

    def _compare(self):
        with self.store.read() as reader:
            devices = mdm_devices.page(reader, None, 100)
            theirs = {
                (one.target, one.user_id, one.device_id)
                for target in ("store", "workmail")
                for one in mdm_applied.page(reader, target, None, 1000)
                if one.theirs_since is not None
            }
            for one in devices:
                self._same(one.posture.device_key, one)
        for target, user_of, there in (
            ("store", self.people.get, self._here()),
            ("workmail", self.cloud.users.get, self._there()),
        ):
            verdicts = wanted(devices, self.policy, self.clock(), user_of=user_of)
            for pair in verdicts.keys() | there.keys():
                if target == "workmail" and pair in self.cloud_foreign:
                    continue
                if (target, *pair) in theirs:
                    assert target == "store"
                    assert pair in self.taken
                    continue
                effect = there.get(pair)
                wish = verdicts[pair].effect
                if wish is Effect.DENY and not self.policy.write_deny:
                    assert effect is None, (target, pair)
                elif wish is not None:
                    assert effect is wish, (target, pair, verdicts[pair])

    def _here(self):
        rows = self.desk.overrides(self.organization_id)
        return {pair: one.effect for pair, one in rows.items()}

    def _there(self):
        return {pair: Effect(row["Effect"]) for pair, row in self.cloud.overrides.items()}


async def _call(function, /, *args):
    return function(*args)


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
