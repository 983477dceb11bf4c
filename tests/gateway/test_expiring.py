from datetime import UTC, datetime, timedelta

from tests.store.nouns import an_override
from tests.support.gateway import rig, run

from gatepost.gateway.expiring import Expiring
from gatepost.store import mobile_device_access_overrides

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minute, device_id="ABC"):
    return an_override("u", device_id, expires=NOON + timedelta(minutes=minute))


def test_each_is_given_once_when_its_time_is_up():
    expiring = Expiring([at(3, "C"), at(1, "A"), an_override("u", "NEVER")])
    expiring.add(at(2, "B"))
    expiring.add(an_override("u", "NEVER2"))
    assert len(expiring) == 3
    assert list(expiring.due(NOON)) == []
    assert [one.device_id for one in expiring.due(NOON + timedelta(minutes=2))] == ["A", "B"]
    assert [one.device_id for one in expiring.due(NOON + timedelta(minutes=9))] == ["C"]
    assert len(expiring) == 0


def test_two_at_the_same_moment():
    assert len(list(Expiring([at(1, "A"), at(1, "A")]).due(NOON + timedelta(minutes=1)))) == 2


def test_an_allowance_ends_on_time_though_nobody_takes_it_back_in_the_store(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.override("ALLOW", expires=datetime.now(UTC) + timedelta(seconds=1.5))
            await r.settled()
            phone = await r.phone()
            assert (await phone.post("FolderSync")).body == b"upstream"
            phone.send("Ping")
            await r.until(lambda: r.mail.parked == 1)
            assert b"7" in (await phone.answer()).body
            assert b"129" in (await phone.post("FolderSync")).body
            with r.context.store.read() as reader:
                (there,) = mobile_device_access_overrides.page(reader, r.organization_id, None, 10)
            assert there.device_id == "PHONE1", "the store still has it"
            r.override("ALLOW")
            await r.settled()
            assert (await phone.post("FolderSync")).body == b"upstream"

    run(story())


def test_one_that_was_renewed_in_time_goes_on(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.override("ALLOW", expires=datetime.now(UTC) + timedelta(seconds=0.5))
            r.override("ALLOW", expires=datetime.now(UTC) + timedelta(hours=1))
            await r.settled()
            r.gateway.replica.expire(datetime.now(UTC) + timedelta(minutes=1))
            assert (await (await r.phone()).post("FolderSync")).body == b"upstream"
            r.gateway.replica.expire(datetime.now(UTC) + timedelta(hours=2))
            assert b"129" in (await (await r.phone()).post("FolderSync")).body

    run(story())


def test_one_that_expired_while_the_gateway_was_away_never_counts(tmp_path):
    async def story():
        async with rig(tmp_path) as r:
            r.deny_by_default()
            r.override("ALLOW", expires=datetime.now(UTC) - timedelta(seconds=1))
            await r.settled()
            r.gateway.load()
            assert b"129" in (await (await r.phone()).post("FolderSync")).body

    run(story())
