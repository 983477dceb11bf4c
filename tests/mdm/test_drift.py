import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.support.mdm_cloud import KEY, Cloud
from tests.support.mdm_world import posture
from tests.support.workmail import refused

from gatepost.store import mdm_applied, mdm_devices, mdm_work


@pytest.fixture
def cloud(desk):
    with ThreadPoolExecutor(4) as threads:
        yield Cloud(desk, threads)


async def all_of(target):
    return [one async for one in target.list()]


class TestDrift:
    def test_what_was_taken_away_while_everything_was_listed_is_not_taken_over(self, cloud):
        """The listing is of before, and the delivery was faster."""
        cloud.device()
        listed = asyncio.run(all_of(cloud.target))
        cloud.device(compromised=True)
        assert cloud.memory.overrides == {}

        async def old():
            for one in listed:
                yield one

        cloud.target.list = old
        cloud.look_through()
        assert cloud.rows == []
        cloud.device()
        assert cloud.memory.effects() == {"AAA": "ALLOW"}
        assert cloud.conflicts == set()

    @pytest.mark.parametrize("gone", [False, True])
    def test_what_one_bridge_has_noticed_another_repairs(self, cloud, gone):
        """Ours, but an older one than the last that was written: a restored backup, or somebody else's late write."""
        cloud.device()
        before = dict(cloud.memory.overrides["S-1", "AAA"])
        cloud.clock.forward(hours=8)
        cloud.device()
        assert cloud.memory.overrides["S-1", "AAA"] != before
        cloud.memory.overrides["S-1", "AAA"] = before
        if gone:
            cloud.desk.source.devices["1"] = replace(cloud.desk.source.devices["1"], compromised=True)
        asyncio.run(cloud.delivery.look_through())
        assert [one.doubtful_since for one in cloud.rows] == [cloud.clock()]
        cloud.restart()
        cloud.deliver()
        assert [one.doubtful_since for one in cloud.rows] == [None]
        assert cloud.rows[0].theirs_since is None

    def test_what_was_written_anew_meanwhile_is_not_doubted(self, cloud):
        cloud.device()
        (row,) = cloud.rows
        with cloud.desk.store.bookkeeping() as writer:
            mdm_applied.doubt(writer, replace(row, written_at=row.written_at - timedelta(seconds=1)))
        assert cloud.rows == [row]

    def test_the_mark_of_a_device_with_a_long_key(self, cloud, clock):
        key = "x" * 100
        cloud.desk.source.devices[key] = posture(key, "AAA", clock=clock)
        cloud.desk.told(key)
        cloud.deliver()
        (row,) = cloud.rows
        with cloud.desk.store.bookkeeping() as writer:
            mdm_applied.delete(writer, row.target, row.organization_id, row.user_id, row.device_id)
        cloud.desk.source.devices[key] = replace(cloud.desk.source.devices[key], compromised=True)
        cloud.look_through()
        assert cloud.memory.overrides == {}

    def test_what_the_database_does_not_know_is_taken_over_by_its_mark(self, cloud, clock):
        cloud.device()
        (row,) = cloud.rows
        with cloud.desk.store.bookkeeping() as writer:
            mdm_applied.delete(writer, row.target, row.organization_id, row.user_id, row.device_id)
            mdm_devices.forget(writer, "mdm", "1")
        cloud.desk.source.devices["1"] = replace(cloud.desk.source.devices["1"], compromised=True)
        cloud.look_through()
        assert cloud.memory.overrides == {}

    def test_a_mark_of_a_device_that_the_mdm_does_not_know(self, cloud):
        cloud.device()
        (row,) = cloud.rows
        with cloud.desk.store.bookkeeping() as writer:
            mdm_applied.delete(writer, row.target, row.organization_id, row.user_id, row.device_id)
            mdm_devices.forget(writer, "mdm", "1")
        cloud.desk.source.devices.clear()
        cloud.look_through()
        assert cloud.memory.overrides == {}

    def test_nothing_differs_nothing_is_done(self, cloud):
        cloud.device()
        cloud.look_through()
        with cloud.desk.store.read() as reader:
            assert mdm_work.backlog(reader, KEY).due == 0

    def test_one_whose_user_is_gone_does_not_keep_the_others_from_being_looked_at(self, cloud, monkeypatch):
        cloud.device("AAA", "BBB")
        with cloud.desk.store.bookkeeping() as writer:
            mdm_applied.delete_many(writer, cloud.rows)
        get = cloud.memory.get_mobile_device_access_override

        def gone(**names):
            if names["DeviceId"] == "AAA":
                raise refused("EntityNotFoundException")
            return get(**names)

        monkeypatch.setattr(cloud.memory, "get_mobile_device_access_override", gone)
        asyncio.run(cloud.delivery.look_through())
        assert [one.device_id for one in cloud.rows] == ["BBB"]
