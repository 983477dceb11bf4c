from tests.support.mdm_world import posture

from gatepost.mdm import observing
from gatepost.store import mdm_sources, mdm_work


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


def test_what_waits_to_be_delivered_is_counted_too(desk, clock):
    desk.tell("mdm/1", source="target:workmail")
    with desk.store.bookkeeping() as writer:
        (claim,) = mdm_work.claim(writer, 60, sources=["target:workmail"])
        mdm_work.park(writer, claim, "AccessDenied")
    desk.tell("1")
    clock.forward(seconds=30)
    gauges = observing.gauges(desk.store, ["mdm"], ["store", "workmail"], ["target:workmail"])
    assert values(gauges, "gatepost_mdm_parked_devices") == {("mdm",): 0, ("target:workmail",): 1}
    assert values(gauges, "gatepost_mdm_guard_stands") == {("mdm",): 0}
    said = observing.facts(gauges, ["mdm"])
    assert (said["oldest_dirty_seconds"], said["parked_devices"]) == (30, 1)


def test_what_is_said_of_the_sources(desk, clock):
    with desk.store.bookkeeping() as writer:
        mdm_sources.change(
            writer, "mdm", sweep_finished_at=clock(), answered_at=clock(), failures=3, guard="7 of 10", guard_since=clock()
        )  # fmt: skip
    clock.forward(hours=1)
    gauges = observing.gauges(desk.store, ["mdm", "new"], ["store"])
    assert observing.facts(gauges, ["mdm", "new"]) == {
        "oldest_dirty_seconds": 0,
        "parked_devices": 0,
        "sources": {
            "mdm": {"last_sweep_seconds": 3600, "last_answer_seconds": 3600, "failures": 3, "guard_stands": True},
            "new": {"last_sweep_seconds": None, "last_answer_seconds": None, "failures": 0, "guard_stands": False},
        },
    }


def test_what_was_read_ages_until_it_is_read_again():
    now = [100.0]
    watched = observing.Watched(lambda: now[0])
    now[0] += 7
    assert (watched.seconds, watched.facts, watched.trouble) == (7, {}, None)
    watched.saw({"parked_devices": 1})
    now[0] += 20
    watched.missed("the database does not answer")
    assert (watched.seconds, watched.facts) == (20, {"parked_devices": 1})
    assert watched.trouble == "the database does not answer"
    watched.saw({})
    assert (watched.seconds, watched.facts, watched.trouble) == (0, {}, None)


def answered_at(desk):
    with desk.store.read() as reader:
        return mdm_sources.get(reader, "mdm").answered_at


def test_a_bridge_that_has_nothing_to_do_leaves_the_later_answer(desk, clock):
    earlier = clock()
    clock.forward(minutes=5)
    observing.alive(desk.store, desk.sources, {"mdm": clock()})
    for idle in ({"mdm": earlier}, {}):
        observing.alive(desk.store, desk.sources, idle)
        assert answered_at(desk) == clock()
    clock.forward(minutes=5)
    observing.alive(desk.store, desk.sources, {"mdm": clock()})
    assert answered_at(desk) == clock()


def test_a_bridge_that_is_alive_says_so(desk, clock):
    observing.alive(desk.store, desk.sources, {"mdm": clock()})
    with desk.store.read() as reader:
        state = mdm_sources.get(reader, "mdm")
    assert (state.alive_at, state.answered_at, state.failures) == (clock(), clock(), 0)
