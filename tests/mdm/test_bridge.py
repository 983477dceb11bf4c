import asyncio
from dataclasses import replace

import pytest
from tests.support.mdm_world import eventually, posture
from tests.support.workmail import CONFIGURATION, WorkMailInMemory

from gatepost.mdm import bridge as bridge_module
from gatepost.mdm import observing
from gatepost.mdm.bridge import Bridge
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.targets.local import LocalTarget
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Compliance
from gatepost.store import mdm_sources
from gatepost.store.errors import StoreUnavailable


def test_a_bridge_sweeps_settles_says_that_it_is_alive_and_stops(desk, organization_id, clock):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)

    async def story():
        bridge = Bridge(desk.store, replace(BridgeOptions(), workers=2), [desk.source], [LocalTarget(desk.store)])
        await bridge.start()
        try:
            await eventually(lambda: desk.effects(organization_id) == {"AAA": "ALLOW"})
            desk.source.devices["1"] = posture("1", "AAA", clock=clock, compliance=Compliance.NON_COMPLIANT)
            desk.tell("1")
            bridge.wake()
            await eventually(lambda: desk.effects(organization_id) == {})
        finally:
            await bridge.stop()

    asyncio.run(story())
    with desk.store.read() as reader:
        state = mdm_sources.get(reader, "mdm")
    assert state.alive_at == clock()
    assert state.sweep_finished_at == clock()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (StoreUnavailable("the database does not answer"), "the database does not answer"),
        (ValueError("a mistake"), "an error of the bridge: its log says more"),
    ],
)
def test_a_bridge_looks_at_itself_and_goes_on_when_it_could_not(desk, monkeypatch, error, why):
    def fails(*_):
        raise error

    monkeypatch.setattr(bridge_module, "_OBSERVE_SECONDS", 0.02)

    async def story():
        there = WorkMailTarget(CONFIGURATION, "gate", client=WorkMailInMemory())
        bridge = Bridge(desk.store, BridgeOptions(), [desk.source], [LocalTarget(desk.store), there])
        await bridge.start()
        try:
            await eventually(lambda: bridge.watched.facts)
            assert list(bridge.watched.facts["sources"]) == ["mdm"]
            assert set(bridge.metrics.gauges["gatepost_mdm_parked_devices"][2]) == {("mdm",), ("target:workmail",)}
            with monkeypatch.context() as patched:
                patched.setattr(observing, "gauges", fails)
                await eventually(lambda: bridge.watched.trouble)
                assert bridge.watched.trouble == why
                missing = bridge.watched.seconds
                await asyncio.sleep(0.1)
                assert bridge.watched.seconds >= missing + 0.1
            await eventually(lambda: bridge.watched.trouble is None)
        finally:
            await bridge.stop()

    asyncio.run(story())
