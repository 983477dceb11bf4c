"""What is wrong with Amazon's sample (aws-samples/amazon-workmail-lambda-templates, workmail-ws1-integration, b570142).

Each of its defects is one test of the same number here, against a Workspace ONE twin that speaks the real API: what goes
wrong there goes right here.
"""

import asyncio
import base64
import json
import re
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from tests.support import secrets
from tests.support.mdm_world import Clock
from tests.support.workmail import CONFIGURATION, WorkMailInMemory, refused
from tests.support.workspace_one import twin_configuration, twin_login

from gatepost.demo.workspace_one import Mood, WorkspaceOneTwin
from gatepost.engine.posture import Policy
from gatepost.mdm.app import Receiver, create_app
from gatepost.mdm.deciding import Addresses, decide
from gatepost.mdm.delivery import Delivery
from gatepost.mdm.inbox import Inbox
from gatepost.mdm.metrics import BridgeMetrics
from gatepost.mdm.observing import gauges
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.settling import Looked, Settling
from gatepost.mdm.sources.base import SourceError
from gatepost.mdm.sources.http import HttpClient
from gatepost.mdm.sources.workspace_one import WorkspaceOne
from gatepost.mdm.sweep import Sweeps, sweep_key
from gatepost.mdm.targets.base import Action, slack_of
from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Directory, Owner
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.operations import organizations, registrations, users
from gatepost.operations.context import Context
from gatepost.store import mdm_devices, mdm_inbox, mdm_work, mobile_device_access_overrides
from gatepost.store.database import Store
from gatepost.telemetry import new_registry
from gatepost.wire.webhook import BasicCredential

PASSWORD = secrets.password("the webhook of the defects")
OLD_PASSWORD = secrets.password("the webhook of the defects, before")
EAS, OUTLOOK = "6APMEKPHCP2ND42VIJ4BR8ECDO", "OUTLOOK2"
ALICE, BOB = "alice@example.com", "bob@example.com"


class Office:
    """An organization, its Workspace ONE, and the bridge between them, one step at a time."""

    def __init__(self, store, clock, twin, source, client, options, cloud):
        self.store, self.clock, self.twin, self.source, self.http = store, clock, twin, source, client
        self.context = Context(store, clock, "test")
        self.organization_id = organizations.create(self.context, alias="example", domains=["example.com"])
        self.options = options
        self.metrics = BridgeMetrics()
        self.cloud = cloud
        remote = [] if cloud is None else ["workmail"]
        self.settling = Settling(store, options, ["ws1"], (LocalTarget(store), remote), self.metrics)
        if cloud is not None:
            target = WorkMailTarget(CONFIGURATION, "gate", client=cloud)
            self.delivery = Delivery(store, self.call, target, options, sources=["ws1"], metrics=self.metrics)

    async def call(self, function, /, *args):
        return function(*args)

    async def deliver(self):
        """Workspace ONE sends what happened; the answers' status codes."""
        events, self.twin.events.waiting = self.twin.events.waiting, []
        return [(await self.post(event)).status_code for event in events]

    async def post(self, event, password=PASSWORD, **options):
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        return await self.http.post("/mdm/ws1", content=body, auth=("gatepost", password), **options)

    async def look(self, claim):
        try:
            answer = await self.source.fetch(claim.device_key)
        except SourceError as error:
            answer = error
        paused = self.source.condition.open_until if isinstance(answer, Exception) else None
        return Looked(claim, answer, paused)

    def claim(self, lease=120):
        with self.store.bookkeeping() as writer:
            return mdm_work.claim(writer, lease, 100, sources=["ws1"])

    async def work(self, rounds=5):
        """Deliver events and do everything that is due."""
        assert set(await self.deliver()) <= {200}
        for _ in range(rounds):
            claims = self.claim()
            self.settling.settle([await self.look(claim) for claim in claims])
        if self.cloud is not None:
            with self.store.bookkeeping() as writer:
                claims = mdm_work.claim(writer, 120, 100, sources=["target:workmail"])
            for claim in claims:
                await self.delivery.deliver(claim)

    async def sweep(self):
        sweeps = Sweeps(self.store, self.call, {"ws1": self.source}, self.options, targets=["store"])
        sweeps.ask(["ws1"])
        with self.store.bookkeeping() as writer:
            (claim,) = mdm_work.claim(writer, 60, sources=[sweep_key("ws1")])
        await sweeps._sweep(claim)
        await self.work()

    async def allowed(self, *eas_ids, address=ALICE):
        """An enrolled, compliant device."""
        device = self.twin.enroll(address, *(eas_ids or (EAS,)))
        self.twin.comply(device.number)
        await self.work()
        return device

    def bridge(self, owner=Owner.BRIDGE):
        """{(address, device id): effect} of the bridge's overrides that count."""
        with self.store.read() as reader:
            rows = mobile_device_access_overrides.page(reader, self.organization_id, None, 1000)
        return {
            (self.address(one.user_id), one.device_id): one.effect.value
            for one in rows
            if one.owner is owner and (one.expires is None or one.expires > self.clock())
        }

    def address(self, user_id):
        return users.describe(self.context, organization_id=self.organization_id, user_id=user_id).email

    def by_hand(self, address, device_id, effect):
        overrides.put(
            self.context,
            organization_id=self.organization_id,
            user_id=address,
            device_id=device_id,
            effect=effect,
            description="by hand",
        )

    def requests(self):
        """What the API was asked for so far, and forget it."""
        asked = [one.path for one in self.twin.asked]
        self.twin.asked.clear()
        return asked


@asynccontextmanager
async def office(store_of, *, oauth=False, cloud=None, **policy):
    clock, store = store_of
    options = BridgeOptions(policy=Policy(**policy))
    twin = WorkspaceOneTwin(twin_login(), now=clock)
    await twin.start()
    configuration = twin_configuration(twin, oauth=oauth)

    async def no_sleep(_):
        await asyncio.sleep(0)

    http = HttpClient("ws1", configuration.access, now=clock, clock=lambda: clock().timestamp(), sleep=no_sleep)
    source = WorkspaceOne(configuration, http, now=clock)
    inbox = Inbox(store, lambda: None)
    credentials = (BasicCredential("gatepost", OLD_PASSWORD), BasicCredential("gatepost", PASSWORD))
    app = create_app({"ws1": Receiver(source, credentials)}, inbox, now=clock, registry=new_registry())
    try:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gatepost") as client:
            yield Office(store, clock, twin, source, client, options, cloud)
    finally:
        await inbox.close()
        await source.close()
        await twin.close()


@pytest.fixture
def store_of(tmp_path, empty_sqlite_file):
    (tmp_path / "gatepost.db").write_bytes(empty_sqlite_file.read_bytes())
    clock = Clock()
    store = Store.open(f"sqlite:///{tmp_path / 'gatepost.db'}", now=clock)
    yield clock, store
    store.close()


def story(test, store_of, **options):
    """Run the coroutine of an office."""

    async def run():
        async with asyncio.timeout(60), office(store_of, **options) as one:
            await test(one)

    asyncio.run(run())


# -- mail stays open when it must not, or what a person decided is lost


def test_01_revocation_needs_no_eas_id_from_the_mdm(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.unenroll(device.number)
        assert device.record()["EasIds"] == {"EasId": []}
        await one.work()
        assert one.bridge() == {}

    story(test, store_of)


def test_02_a_deleted_record_ends_access(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.delete(device.number)
        await one.work()
        assert one.bridge() == {}
        one.clock.forward(minutes=6)
        await one.work()
        with one.store.read() as reader:
            assert mdm_devices.known(reader, "ws1", str(device.number)).posture.gone

    story(test, store_of)


def test_02_nor_where_the_event_calls_it_by_its_uuid(store_of):
    async def test(one):
        device = await one.allowed()
        event = device.event("Device Delete", one.clock(), 2)
        one.twin.delete(device.number)
        one.twin.events.waiting.clear()
        del event["DeviceId"]
        assert (await one.post(event)).status_code == 200
        await one.work()
        assert one.bridge() == {}

    story(test, store_of)


def test_03_a_device_that_is_being_wiped_or_compromised_is_not_allowed_though_compliant(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.wipe(device.number)
        assert device.compliance_status == "Compliant"
        await one.work()
        assert one.bridge() == {}
        other = await one.allowed("OTHER1")
        one.twin.jailbreak(other.number)
        await one.work()
        assert one.bridge() == {}

    story(test, store_of)


def test_04_what_people_decided_is_not_touched(store_of):
    async def test(one):
        device = one.twin.enroll(ALICE, EAS)
        for address, effect in ((ALICE, "DENY"), (BOB, "DENY"), ("carol@example.com", "ALLOW")):
            one.by_hand(address, EAS, effect)
        before = one.bridge(Owner.PERSON)
        for change in (one.twin.comply, one.twin.violate, one.twin.comply, one.twin.unenroll):
            change(device.number)
            await one.work()
            assert one.bridge(Owner.PERSON) == before
        assert {address for address, _ in one.bridge()} <= {ALICE}

    story(test, store_of)


def test_05_where_the_rules_do_not_deny_the_bridge_does(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.violate(device.number)
        await one.work()
        assert one.bridge() == {(ALICE, EAS): "DENY"}

    story(test, store_of, write_deny=True)


def test_06_a_lost_event_is_repaired_by_the_sweep_and_an_allow_ends_by_itself(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.violate(device.number)
        one.twin.events.waiting.clear()
        await one.work()
        assert one.bridge() == {(ALICE, EAS): "ALLOW"}
        await one.sweep()
        assert one.bridge() == {}
        one.twin.comply(device.number)
        await one.work()
        one.clock.forward(hours=168)
        assert one.bridge() == {}

    story(test, store_of)


def test_07_a_device_that_changes_hands(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.reassign(device.number, BOB)
        await one.sweep()
        assert one.bridge() == {(BOB, EAS): "ALLOW"}

    story(test, store_of)


def test_08_all_eas_ids_count_and_former_ones_do_not(store_of):
    async def test(one):
        device = await one.allowed(EAS, OUTLOOK)
        assert set(one.bridge()) == {(ALICE, EAS), (ALICE, OUTLOOK)}
        device.eas_ids[:] = ["NEW3"]
        one.twin.comply(device.number)
        await one.work()
        assert one.bridge() == {(ALICE, "NEW3"): "ALLOW"}

    story(test, store_of)


# -- delivery and concurrency


def test_09_the_webhook_waits_for_nobody(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.violate(device.number)
        one.twin.fail(Mood.HANGS)
        one.requests()
        started = time.perf_counter()
        assert await one.deliver() == [200]
        assert time.perf_counter() - started < 1
        assert one.requests() == []
        one.twin.recover()
        await one.work()
        assert one.bridge() == {}

    story(test, store_of)


def test_10_what_was_acknowledged_is_stored_and_done_when_the_target_is_back(store_of):
    cloud = WorkMailInMemory(ALICE)

    async def test(one):
        device = await one.allowed()
        assert cloud.effects() == {EAS: "ALLOW"}
        cloud.errors.extend([refused("InternalFailure", 500)] * 4)
        one.twin.violate(device.number)
        for _ in range(6):
            await one.work()
            one.clock.forward(minutes=5)
        assert cloud.effects() == {}
        with one.store.read() as reader:
            assert len(mdm_inbox.since(reader, "ws1", one.clock() - timedelta(days=1))) == 3

    story(test, store_of, cloud=cloud)


@pytest.mark.parametrize("mood", [Mood.TOO_MANY, Mood.TOO_MANY_BARE, Mood.PAGE_503, Mood.ERROR_500, Mood.PAGE_404, Mood.PAGE_200, Mood.EMPTY, Mood.DROPS, Mood.LOGIN])  # fmt: skip
def test_11_an_mdm_that_does_not_answer_well_is_asked_again(store_of, mood):
    async def test(one):
        device = await one.allowed()
        one.twin.violate(device.number)
        one.twin.fail(mood)
        await one.work(1)
        assert one.bridge() == {(ALICE, EAS): "ALLOW"}
        one.twin.recover()
        for _ in range(5):
            one.clock.forward(minutes=15)
            await one.work()
        assert one.bridge() == {}

    story(test, store_of)


def test_12_of_two_events_at_a_time_the_newer_state_wins(store_of):
    async def test(one):
        device = await one.allowed()
        await one.post({"DeviceId": device.number})
        (slow,) = one.claim(lease=10)
        compliant = await one.look(slow)
        one.twin.violate(device.number)
        one.clock.forward(seconds=11)
        await one.work()
        one.settling.settle([compliant])
        assert one.bridge() == {}

    story(test, store_of)


def test_13_however_many_ids_there_are_all_are_removed(store_of):
    cloud = WorkMailInMemory(ALICE)
    ids = [f"ID{number}" for number in range(25)]

    async def test(one):
        device = await one.allowed(*ids)
        assert len(one.bridge()) == len(cloud.overrides) == 25
        one.twin.unenroll(device.number)
        await one.work()
        assert one.bridge() == {}
        assert cloud.overrides == {}

    story(test, store_of, cloud=cloud)


def test_14_an_address_that_is_nobodys_is_parked_and_tried_by_the_sweep(store_of):
    async def test(one):
        closed = organizations.create(
            one.context, alias="closed", domains=["closed.example"], directory=Directory.CLOSED
        )
        await one.allowed(address="dora@closed.example")
        with one.store.read() as reader:
            assert [parked.last_error for parked in mdm_work.parked(reader)] == ["no such user: `dora@closed.example`"]
        one.requests()
        await one.work()
        assert one.requests() == []
        user_id = users.create(one.context, organization_id=closed, name="dora", display_name="Dora")
        registrations.register_to_work_mail(
            one.context, organization_id=closed, entity_id=user_id, email="dora@closed.example"
        )
        await one.sweep()
        with one.store.read() as reader:
            (override,) = mobile_device_access_overrides.page(reader, closed, None, 10)
        assert override.user_id == user_id

    story(test, store_of)


def test_15_what_is_written_elsewhere_is_read_back(store_of):
    cloud = WorkMailInMemory(ALICE)

    async def test(one):
        def swallow(_):
            cloud.overrides.clear()

        cloud.after = swallow
        await one.allowed()
        cloud.after = None
        one.clock.forward(minutes=5)
        await one.work()
        assert cloud.effects() == {EAS: "ALLOW"}
        assert cloud.calls[-2:] == ["put", "get"]

    story(test, store_of, cloud=cloud)


# -- security


def test_16_credentials_are_compared_in_constant_time_and_as_http_says(store_of):
    async def test(one):
        proof = base64.b64encode(f"gatepost:{PASSWORD}".encode()).decode()
        for name, scheme in (("authorization", "Basic"), ("AUTHORIZATION", "basic"), ("Authorization", "BaSIc")):
            answer = await one.http.post("/mdm/ws1", content=b"{}", headers={name: f"{scheme} {proof}"})
            assert answer.status_code == 200
        assert (await one.post({}, password=PASSWORD[:-1])).status_code == 401

    story(test, store_of)
    source = Path("src/gatepost/wire/webhook.py").read_text()
    assert "compare_digest" in source


def test_17_without_credentials_it_is_401_for_the_connection_test_too(store_of):
    async def test(one):
        assert (await one.http.get("/mdm/ws1")).status_code == 401
        assert (await one.http.post("/mdm/ws1", content=b"{}")).status_code == 401
        assert (await one.http.get("/mdm/ws1", auth=("gatepost", PASSWORD[:-1]))).status_code == 401
        assert (await one.http.get("/mdm/ws1", auth=("gatepost", PASSWORD))).status_code == 200

    story(test, store_of)


@pytest.mark.parametrize(
    "key", ["../../system/users/search?x=", "1/../2", "1%2f2", "1?x=", "-1", "1.5", ["1"], {"Value": 1}]
)
def test_18_a_device_id_never_becomes_another_url(store_of, key):
    async def test(one):
        assert (await one.post({"DeviceId": key})).status_code in (200, 400)
        await one.work()
        assert all(re.fullmatch(r"/api/mdm/devices/\d{1,18}", path) for path in one.requests())

    story(test, store_of)


def test_19_bodies_are_bounded_and_a_repetition_costs_nothing(store_of):
    async def test(one):
        assert (await one.post(b"x" * (256 * 1024 + 1))).status_code == 413
        for body in (b"", b"[1]", b"{", b'{"DeviceId": NaN}', b"[" * 10_000):
            assert (await one.post(body)).status_code == 400
        assert (await one.http.put("/mdm/ws1", content=b"{}")).status_code == 405
        device = await one.allowed()
        event = {"DeviceId": device.number, "EventType": "replayed"}
        for _ in range(20):
            await one.post(event)
        one.requests()
        await one.work()
        assert one.requests() == [f"/api/mdm/devices/{device.number}"]

    story(test, store_of)


def test_20_logs_name_neither_people_nor_their_devices(store_of):
    async def test(one):
        with capture_logs() as logs:
            device = await one.allowed()
            one.twin.violate(device.number)
            await one.work()
        text = json.dumps(logs, default=str)
        assert "mdm.override" in text
        for private in (EAS, ALICE, device.friendly_name, PASSWORD):
            assert private not in text

    story(test, store_of)


def test_21_oauth_and_secrets_that_change_while_it_runs(store_of):
    async def test(one):
        device = await one.allowed()
        assert one.bridge() == {(ALICE, EAS): "ALLOW"}
        one.twin.revoke_tokens()
        one.twin.violate(device.number)
        await one.work()
        assert one.bridge() == {}
        assert one.twin.tokens_given == 2
        assert (await one.post({"DeviceId": device.number}, password=OLD_PASSWORD)).status_code == 200

    story(test, store_of, oauth=True)


# -- meaning, and quality


def test_22_a_pending_check_keeps_what_is_for_a_while(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.recheck(device.number)
        await one.work()
        assert one.bridge() == {(ALICE, EAS): "ALLOW"}
        one.clock.forward(minutes=61)
        await one.work()
        assert one.bridge() == {}
        fresh = one.twin.enroll(BOB, "FRESH")
        await one.work()
        assert fresh.compliance_status == "PendingComplianceCheck"
        assert one.bridge() == {}

    story(test, store_of)


def test_23_an_eas_id_that_comes_later_is_asked_for(store_of):
    async def test(one):
        device = one.twin.enroll(ALICE)
        one.twin.comply(device.number)
        await one.work()
        assert one.bridge() == {}
        one.twin.give_eas_id(device.number, EAS)
        one.twin.events.waiting.clear()  # of which Workspace ONE tells nobody
        one.clock.forward(seconds=30)
        await one.work()
        assert one.bridge() == {(ALICE, EAS): "ALLOW"}

    story(test, store_of)


def test_24_whose_an_override_is_stands_in_a_mark_that_is_read(store_of):
    cloud = WorkMailInMemory(ALICE)

    async def test(one):
        device = await one.allowed()
        cloud.overrides["S-1", EAS]["Description"] = "https://mdm.example.com/#/devices/1"
        one.twin.violate(device.number)
        await one.work()
        assert cloud.effects() == {EAS: "ALLOW"}
        assert {conflict.value for conflict in one.metrics.conflicts.values()} == {"edited"}
        assert one.bridge() == {}

    story(test, store_of, cloud=cloud)


def test_25_it_can_be_tested_measured_and_tried_without_effect(store_of):
    async def test(one):
        device = await one.allowed()
        one.twin.violate(device.number)
        posture = await one.source.fetch(str(device.number))
        with one.store.bookkeeping() as writer:
            known = mdm_devices.put(writer, posture)
        with one.store.read() as reader:
            target, policy = LocalTarget(one.store), one.options.policy
            decided = decide([known], known, Addresses(reader, None), policy, reader.now, sources=["ws1"])
            (planned,) = target.plan(reader, target.pairs(reader), decided.wishes, slack_of(policy))
        assert planned.step.action is Action.DELETE
        assert one.bridge() == {(ALICE, EAS): "ALLOW"}
        one.metrics.gauges = gauges(one.store, ["ws1"], ["store"])
        names = {metric.name for metric in one.metrics.collect()}
        assert {"gatepost_mdm_oldest_dirty_seconds", "gatepost_mdm_conflicts", "gatepost_overrides"} <= names

    story(test, store_of)
    pinned = Path("requirements/base.txt").read_text()
    assert all("==" in line for line in pinned.splitlines() if re.match(r"[a-z]", line))
