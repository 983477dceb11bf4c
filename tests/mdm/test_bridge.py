import asyncio
from dataclasses import replace

from tests.support.mdm_world import eventually, posture

from gatepost.mdm.bridge import Bridge
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.targets.local import LocalTarget
from gatepost.model import Compliance
from gatepost.store import mdm_sources


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
