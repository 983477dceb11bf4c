import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.mdm_world import calls, eventually, posture

from gatepost.mdm.claiming import Claiming
from gatepost.mdm.options import BridgeOptions
from gatepost.mdm.sources.base import Condition, SourceRefused
from gatepost.mdm.worker import Worker
from gatepost.model import Compliance
from gatepost.store import mdm_work
from gatepost.store.database import StoreUnavailable


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def run(desk, threads):
    """Run a test's coroutine beside a worker."""

    def run(test, **options):
        async def main():
            desk.worker = Worker(
                desk.store, calls(threads), desk.sources, desk.settling, replace(BridgeOptions(), **options)
            )
            desk.worker.start()
            try:
                await test()
            finally:
                await desk.worker.stop()

        asyncio.run(main())

    return run


def rest(desk) -> bool:
    with desk.store.read() as reader:
        backlog = mdm_work.backlog(reader)
    return backlog.due == backlog.leased == 0


def test_many_devices_are_settled_together(desk, organization_id, clock, run):
    for number in range(200):
        desk.source.devices[str(number)] = posture(
            str(number), f"ID{number}", clock=clock, user=f"u{number}@example.com"
        )

    async def test():
        with desk.store.bookkeeping() as writer:
            mdm_work.dirty_many(writer, [("mdm", key) for key in desk.source.devices], urgent=True)
        desk.worker.wake()
        await eventually(lambda: rest(desk), 30)

    run(test)
    assert len(desk.effects(organization_id)) == 200
    assert len(desk.source.asked) == 200


def test_told_of_while_it_is_asked_about(desk, organization_id, clock, run):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)

    async def told_again(key):
        desk.source.hook = None
        desk.source.devices[key] = posture(key, "AAA", clock=clock, compliance=Compliance.NON_COMPLIANT)
        desk.tell(key)

    desk.source.hook = told_again

    async def test():
        desk.tell("1")
        desk.worker.wake()
        await eventually(lambda: rest(desk))

    run(test)
    assert desk.source.asked == ["1", "1"]
    assert desk.effects(organization_id) == {}


def test_without_a_hint_it_is_found_too(desk, organization_id, clock, run):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)

    async def test():
        await asyncio.sleep(0.1)
        desk.tell("1")
        await eventually(lambda: desk.effects(organization_id))

    run(test)


def test_a_source_that_is_left_alone_is_not_asked(desk, organization_id, clock, run):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    desk.source.condition = Condition(5, clock() + timedelta(seconds=15), "down")

    async def test():
        desk.tell("1")
        desk.worker.wake()
        await asyncio.sleep(0.5)
        assert desk.source.asked == []
        desk.source.condition = Condition()
        await eventually(lambda: desk.effects(organization_id))

    run(test)


def test_stopping_gives_claims_back_uncounted(desk, clock, run):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    asked = asyncio.Event()

    async def hangs(key):
        asked.set()
        await asyncio.sleep(60)

    desk.source.hook = hangs

    async def test():
        desk.tell("1")
        desk.worker.wake()
        await asyncio.wait_for(asked.wait(), 5)

    run(test)
    (claim,) = desk.claim()
    assert claim.attempts == 1


def test_an_error_in_a_source_is_an_attempt(desk, clock, run):
    desk.source.errors.append(KeyError("a bug"))

    async def test():
        desk.tell("1")
        desk.worker.wake()
        await eventually(lambda: desk.source.asked)
        await eventually(lambda: rest(desk))

    run(test)
    clock.forward(minutes=6)
    (claim,) = desk.claim()
    assert claim.attempts == 2


def test_a_source_that_answers_again_has_what_was_given_up_tried_anew(desk, organization_id, clock, run):
    desk.options = BridgeOptions(park_after=1)
    desk.restart()
    for number in range(6):
        key = str(number)
        desk.source.devices[key] = posture(key, f"ID{key}", user=f"u{key}@example.com", clock=clock)
    desk.source.errors.extend([SourceRefused("it answered 403")] * 6)

    async def test():
        for key in desk.source.devices:
            desk.tell(key)
        await eventually(lambda: parked_count(desk) == 6)
        desk.tell("0")
        await eventually(lambda: len(desk.effects(organization_id)) == 6)

    run(test)
    assert len(desk.source.asked) == 12  # once more each, and no more


def test_few_devices_that_cannot_be_read_are_not_tried_with_every_answer(desk, organization_id, clock, run):
    desk.options = BridgeOptions(park_after=1)
    desk.restart()
    desk.source.devices["0"] = posture("0", "AAA", clock=clock)
    desk.source.errors.extend([SourceRefused("it answered 403")] * 3)

    async def test():
        for key in ("1", "2", "3"):
            desk.tell(key)
        await eventually(lambda: parked_count(desk) == 3)
        desk.tell("0")
        await eventually(lambda: desk.effects(organization_id))
        await asyncio.sleep(0.3)

    run(test)
    assert parked_count(desk) == 3


def parked_count(desk):
    with desk.store.read() as reader:
        return len(mdm_work.parked(reader))


def test_a_device_whose_worker_died_each_time_is_parked(desk, clock, run):
    desk.tell("1")
    for _ in range(3):
        assert desk.claim(lease=1)
        clock.forward(seconds=2)

    async def test():
        await eventually(lambda: rest(desk))

    run(test, park_after=3)
    assert desk.source.asked == []
    with desk.store.read() as reader:
        assert [one.device_key for one in mdm_work.parked(reader)] == ["1"]


def test_a_store_that_is_away_costs_time_only(desk, organization_id, clock, run, monkeypatch):
    desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    settle, failures = desk.settling.settle, [StoreUnavailable("away")] * 2

    def away(looked):
        if failures:
            raise failures.pop()
        return settle(looked)

    monkeypatch.setattr(desk.settling, "settle", away)
    monkeypatch.setattr("gatepost.mdm.worker._STORE_AWAY_SECONDS", 0.01)

    async def test():
        desk.tell("1")
        desk.worker.wake()
        await eventually(lambda: desk.effects(organization_id))

    run(test)
    assert desk.source.asked == ["1"]


def test_claiming_is_told_of_errors(desk, threads, clock):
    async def broken(claim):
        raise RuntimeError("broken")

    async def main():
        claiming = Claiming(desk.store, calls(threads), lambda: ["mdm"], broken, limit=1, park_after=1, poll=0.05)
        task = asyncio.create_task(claiming.run())
        desk.tell("1")
        await eventually(lambda: parked(desk))
        task.cancel()
        await claiming.stop()

    asyncio.run(main())
    assert parked(desk) == ["an error of the bridge: RuntimeError"]


def parked(desk):
    with desk.store.read() as reader:
        return [one.last_error for one in mdm_work.parked(reader)]
