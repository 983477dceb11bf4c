"""The bridge behind its webhooks: an event of Workspace ONE becomes an override."""

import asyncio
import socket

import httpx
import pytest
from tests.support import secrets
from tests.support.workspace_one import started_twin, twin_configuration

from gatepost.engine.posture import Policy
from gatepost.mdm.configuration import BridgeConfiguration, SourceConfiguration, WorkMailConfiguration
from gatepost.mdm.face import Face, options_of, targets_of
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.sources.generic import GenericConfiguration
from gatepost.mdm.sources.http import Access
from gatepost.mdm.sources.mapping import MapConfiguration
from gatepost.mdm.sources.transport import Connection
from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Effect, Owner
from gatepost.operations import organizations
from gatepost.operations.context import Context
from gatepost.store import mobile_device_access_overrides as stored
from gatepost.telemetry import new_registry
from gatepost.web.server import HttpServer
from gatepost.wire.webhook import BasicCredential

PASSWORD = secrets.password("the webhook of the face")


def any_source(name="any", **more) -> SourceConfiguration:
    access = Access(Connection("https://mdm.example.com"))
    fields = MapConfiguration({"device_key": "id"})
    return SourceConfiguration(GenericConfiguration(name, access, fields, list_path="/devices"), **more)


def test_the_options_are_those_of_the_configuration():
    policy = Policy(write_deny=True)
    sources = (any_source("a", organization_id="m-1", sweep_hours=2), any_source("b", match=frozenset({"imei"})))
    assert options_of(BridgeConfiguration(sources, True, None, policy, "zurich", False, 3, 4, 5)) == BridgeOptions(
        policy=policy,
        organizations={"a": "m-1"},
        match={"b": frozenset({"imei"})},
        sweep_hours={"a": 2, "b": 6},
        instance="zurich",
        first_seen=False,
        workers=3,
        park_after=4,
        keep_days=5,
    )


@pytest.mark.parametrize("local", [True, False])
def test_the_targets_are_those_of_the_configuration(store, local):
    workmail = WorkMailConfiguration("m-" + "0" * 32, "eu-west-1")
    both = targets_of(BridgeConfiguration((), local, workmail), store)
    assert [type(one) for one in both] == [LocalTarget, WorkMailTarget][0 if local else 1 :]
    assert len(targets_of(BridgeConfiguration((), local), store)) == local


def test_a_notification_becomes_an_override_and_everything_ends(store):
    context = Context(store, store.now, "test")
    organization_id = organizations.create(context, alias="example", domains=["example.com"])
    registry = new_registry()

    def overrides():
        with store.read() as reader:
            return stored.page(reader, organization_id, None, 10)

    async def story() -> None:
        async with started_twin() as twin:
            credentials = (BasicCredential("ws1", PASSWORD),)
            configuration = BridgeConfiguration((SourceConfiguration(twin_configuration(twin), credentials),))
            face = Face(configuration, store)
            server = HttpServer(socket.create_server(("127.0.0.1", 0)), face.app(registry, ()))
            registry.register(face.metrics)
            await server.start()
            await face.start()
            try:
                device = twin.enroll("alice@example.com", "EAS1")
                twin.comply(device.number)
                url = "http://{}:{}/mdm/ws1".format(*server.address)
                async with httpx.AsyncClient(trust_env=False, auth=("ws1", PASSWORD)) as client:
                    assert (await client.get(url)).status_code == 200
                    assert (await client.post(url, json={"DeviceId": device.number})).status_code == 200
                while not await asyncio.to_thread(overrides):
                    await asyncio.sleep(0.02)
            finally:
                await server.stop()
                await face.stop()

    asyncio.run(asyncio.wait_for(story(), 30))
    (override,) = overrides()
    assert (override.effect, override.owner, override.device_id) == (Effect.ALLOW, Owner.BRIDGE, "EAS1")
    assert registry.get_sample_value("gatepost_mdm_notifications_total", {"source": "ws1", "result": "stored"}) == 1
