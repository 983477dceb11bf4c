import asyncio
from concurrent.futures import ThreadPoolExecutor

from tests.support.mdm_world import calls, eventually

from gatepost.mdm.claiming import Claiming, release_dead
from gatepost.mdm.identity import this_process
from gatepost.store import mdm_work


def claiming(desk, look_after, story, sources=("mdm",), **options):
    async def main(threads):
        made = Claiming(
            desk.store,
            calls(threads),
            lambda: sources,
            look_after,
            **({"limit": 2, "park_after": 3, "poll": 0.02} | options),
        )
        running = asyncio.create_task(made.run())
        try:
            await story(made)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await made.stop()

    with ThreadPoolExecutor(2) as threads:
        asyncio.run(main(threads))


def test_no_more_are_looked_after_at_a_time_than_there_is_room_for(desk):
    present, most = set(), []

    async def look_after(claim):
        present.add(claim.device_key)
        most.append(len(present))
        await asyncio.sleep(0.03)
        with desk.store.bookkeeping() as writer:
            mdm_work.done(writer, claim)
        present.discard(claim.device_key)

    async def story(_):
        for key in "12345":
            desk.tell(key)
        await eventually(lambda: len(most) == 5)

    claiming(desk, look_after, story)
    assert max(most) == 2


def test_a_source_that_is_slow_keeps_no_other_waiting(desk):
    seen = []

    async def look_after(claim):
        if claim.source == "slow":
            await asyncio.sleep(60)
        seen.append(claim.device_key)
        with desk.store.bookkeeping() as writer:
            mdm_work.done(writer, claim)

    async def story(_):
        for number in range(20):
            desk.tell(f"s{number}", source="slow")
        await eventually(lambda: backlog(desk).leased == 2)
        for number in range(20):
            desk.tell(f"q{number}")
        await eventually(lambda: len(seen) == 20)

    claiming(desk, look_after, story, ("mdm", "slow"))
    assert {key[0] for key in seen} == {"q"}


def test_a_mistake_about_one_device_is_tried_again_later_and_keeps_no_other_waiting(desk):
    seen = []

    async def look_after(claim):
        seen.append(claim.device_key)
        if claim.device_key == "bad":
            raise RuntimeError("broken")
        with desk.store.bookkeeping() as writer:
            mdm_work.done(writer, claim)

    async def story(_):
        for key in ("bad", "good"):
            desk.tell(key)
        await eventually(lambda: set(seen) == {"bad", "good"})
        await eventually(lambda: backlog(desk).later == 1)

    claiming(desk, look_after, story)


def test_what_is_under_way_at_the_end_is_given_back(desk):
    begun = asyncio.Event()

    async def look_after(claim):
        begun.set()
        await asyncio.sleep(60)

    async def story(_):
        desk.tell("1")
        await begun.wait()

    claiming(desk, look_after, story)
    assert (backlog(desk).leased, backlog(desk).due) == (0, 1)


def test_what_the_dead_had_claimed_is_given_back_and_nothing_else(desk):
    for key in "123":
        desk.tell(key)
    host, boot, pid, _ = this_process().split("/")
    dead = f"{host}/{boot}/{pid}/1"
    with desk.store.bookkeeping() as writer:
        for owner in (dead, this_process(), ""):
            mdm_work.claim(writer, 120, owner=owner)
    assert release_dead(desk.store) == 1
    assert release_dead(desk.store) == 0
    (claim,) = desk.claim()
    assert claim.attempts == 2  # it may be this device that kills


def backlog(desk):
    with desk.store.read() as reader:
        return mdm_work.backlog(reader)
