import time

from tests.support.gateway import rig, run

from gatepost.gateway.workings import Clock, Workings


def test_a_clock_stands_still_between_ticks():
    clock = Clock()
    assert abs(clock.now - time.monotonic()) < 1
    assert abs(clock.wall - time.time()) < 1
    before = clock.now, clock.wall
    time.sleep(0.01)
    assert (clock.now, clock.wall) == before
    clock.tick()
    assert clock.now >= before[0] + 0.01


def test_a_gateways_parts_are_one_set_shared_by_its_connections(tmp_path, tmp_path_factory):
    async def story():
        async with rig(tmp_path) as r, rig(tmp_path_factory.mktemp("other")) as other:
            mine, theirs = r.gateway._workings, other.gateway._workings
            assert isinstance(mine, Workings)
            assert len(mine.downstreams) == 0
            first, second = await r.phone(), await r.phone()
            await first.post("FolderSync")
            await second.post("FolderSync")
            assert len(mine.downstreams) == 2
            assert len(theirs.downstreams) == 0
            assert mine.prober._proofs is mine.proofs
            assert mine.decider._replica is mine.identifier._replica is r.gateway.replica
            first.close()
            await r.until(lambda: len(mine.downstreams) == 1)

    run(story())
