import asyncio

from structlog.testing import capture_logs

from gatepost.mdm import lasting as module
from gatepost.mdm.lasting import lasting


def test_whatever_happens_to_it_it_runs_again_until_it_is_cancelled(monkeypatch):
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.001)
    runs = []

    async def run():
        runs.append(1)
        if len(runs) < 3:
            raise KeyError("a bug")
        if len(runs) > 3:
            await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(lasting("part", run))
        while len(runs) < 4:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()

    with capture_logs() as logs:
        asyncio.run(main())
    assert [(one["event"], one["part"]) for one in logs] == [("mdm.part_failed", "part")] * 2
