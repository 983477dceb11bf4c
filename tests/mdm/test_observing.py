from tests.support.mdm_world import posture

from gatepost.mdm import observing
from gatepost.store import mdm_sources


def values(gauges, name):
    return dict(gauges[name][2])


def test_what_the_store_knows_becomes_gauges(desk, clock, organization_id):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.told("1")
    desk.tell("2")
    clock.forward(seconds=30)
    gauges = observing.gauges(desk.store, ["mdm"], ["store"])
    assert values(gauges, "gatepost_mdm_dirty_devices") == {("mdm",): 1}
    assert values(gauges, "gatepost_mdm_oldest_dirty_seconds") == {("mdm",): 30}
    assert values(gauges, "gatepost_mdm_overrides")["store", "ALLOW"] == 1
    assert values(gauges, "gatepost_overrides")["bridge", "ALLOW"] == 1
    assert values(gauges, "gatepost_mdm_last_sweep_seconds") == {}, "never swept is not swept just now"


def test_a_bridge_that_is_alive_says_so(desk, clock):
    observing.alive(desk.store, desk.sources, {"mdm": clock()})
    with desk.store.read() as reader:
        state = mdm_sources.get(reader, "mdm")
    assert (state.alive_at, state.answered_at, state.failures) == (clock(), clock(), 0)
