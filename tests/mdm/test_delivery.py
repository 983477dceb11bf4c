import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.support.mdm_cloud import KEY, Cloud
from tests.support.mdm_world import eventually, posture
from tests.support.workmail import CONFIGURATION, UNANSWERED, refused

from gatepost.mdm.settling import Outcome, Settling
from gatepost.mdm.targets.mark import read_mark
from gatepost.model import Compliance, Effect
from gatepost.store import mdm_applied, mdm_work


class Killed(BaseException):
    """kill -9."""


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def cloud(desk, threads):
    return Cloud(desk, threads)


def test_a_compliant_device_is_allowed_and_another_is_not(cloud):
    cloud.device()
    ((pair, row),) = cloud.memory.overrides.items()
    assert (pair, row["Effect"]) == (("S-1", "AAA"), "ALLOW")
    assert read_mark(row["Description"]).device_key == "1"
    cloud.device(compliance=Compliance.NON_COMPLIANT)
    assert cloud.memory.overrides == {}
    assert cloud.rows == []


def test_what_is_as_it_should_be_costs_no_call(cloud, clock):
    cloud.device()
    clock.forward(hours=1)
    cloud.device()
    assert cloud.memory.calls == []
    clock.forward(hours=7)
    cloud.device()
    assert cloud.memory.calls == ["get", "put", "get"]


def test_an_allow_ends_on_time_though_the_mdm_is_away(cloud, clock):
    cloud.device()
    clock.forward(hours=168)
    cloud.deliver()
    assert cloud.memory.overrides == {}


def test_an_allow_ends_on_time_though_the_mdm_says_nothing_of_the_device(cloud, clock):
    cloud.device()
    clock.forward(hours=100)
    cloud.device(compliance=Compliance.UNKNOWN)
    assert len(cloud.memory.overrides) == 1
    clock.forward(hours=68)
    cloud.deliver()
    assert cloud.memory.overrides == {}
    assert cloud.rows == []


def test_former_ids_and_users(cloud):
    cloud.device("AAA", "BBB")
    cloud.device("BBB", user="bob@example.com")
    assert set(cloud.memory.overrides) == {("S-2", "BBB")}


def test_write_deny(desk, threads):
    cloud = Cloud(desk, threads, write_deny=True)
    cloud.device(compromised=True)
    assert cloud.memory.effects() == {"AAA": "DENY"}
    cloud.device()
    assert cloud.memory.effects() == {"AAA": "ALLOW"}


def test_somebody_who_is_not_there_gets_nothing_until_he_is(cloud, clock):
    cloud.device(user="carol@example.com")
    assert cloud.memory.overrides == {}
    cloud.memory.users["carol@example.com"] = "S-9"
    cloud.restart()
    cloud.device(user="carol@example.com")
    assert set(cloud.memory.overrides) == {("S-9", "AAA")}


def test_a_user_who_went_away_meanwhile(cloud):
    cloud.device()
    del cloud.memory.users["alice@example.com"]
    cloud.memory.overrides.clear()  # which WorkMail takes with him
    cloud.restart()
    cloud.device(compromised=True)
    assert cloud.rows == []
    assert cloud.conflicts == set()


def test_a_persons_override_is_never_touched(cloud):
    mine = {"UserId": "S-1", "DeviceId": "AAA", "Effect": "DENY", "Description": "lost in a taxi"}
    cloud.memory.overrides["S-1", "AAA"] = mine
    cloud.device()
    cloud.device(compromised=True)
    cloud.look_through()
    assert cloud.memory.overrides == {("S-1", "AAA"): mine}
    cloud.device()
    assert cloud.conflicts == {"overruled"}


@pytest.mark.parametrize("change", [{"Effect": "DENY"}, {"Description": "by hand"}, None])
def test_what_a_person_changes_is_his_until_it_is_released(cloud, clock, change):
    cloud.device()
    row = cloud.memory.overrides.pop(("S-1", "AAA"))
    if change is not None:
        cloud.memory.overrides["S-1", "AAA"] = row | change
    after = dict(cloud.memory.overrides)
    cloud.look_through()
    for fields in ({}, {"compromised": True}, {}):
        clock.forward(days=8)
        cloud.device(**fields)
        assert cloud.memory.overrides == after
    assert cloud.conflicts & {"edited", "deleted"}
    with cloud.desk.store.bookkeeping() as writer:
        mdm_applied.delete(writer, "workmail", CONFIGURATION.organization_id, "S-1", "AAA")
    cloud.memory.overrides.clear()
    cloud.device()
    assert cloud.memory.effects() == {"AAA": "ALLOW"}


class TestKilled:
    def killed(self, cloud, operation):
        def kill(name):
            if name == operation:
                raise Killed

        cloud.memory.after = kill
        with cloud.desk.store.bookkeeping() as writer:
            (claim,) = mdm_work.claim(writer, 120, sources=[KEY])
        with pytest.raises(Killed):
            asyncio.run(cloud.delivery.deliver(claim))
        cloud.memory.after = None
        cloud.restart()
        cloud.clock.forward(seconds=121)
        cloud.deliver()

    def told(self, cloud, **fields):
        cloud.desk.source.devices["1"] = posture("1", "AAA", clock=cloud.clock, **fields)
        cloud.desk.told("1")

    def test_after_a_put(self, cloud):
        self.told(cloud)
        self.killed(cloud, "put")
        assert cloud.memory.effects() == {"AAA": "ALLOW"}
        assert [one.theirs_since for one in cloud.rows] == [None]
        cloud.device(compromised=True)
        assert cloud.memory.overrides == {}

    def test_after_a_put_that_replaced(self, desk, threads):
        cloud = Cloud(desk, threads, write_deny=True)
        cloud.device()
        self.told(cloud, compromised=True)
        self.killed(cloud, "put")
        assert cloud.memory.effects() == {"AAA": "DENY"}
        cloud.device()
        assert cloud.memory.effects() == {"AAA": "ALLOW"}
        assert cloud.conflicts == set()

    def test_after_a_delete(self, cloud):
        cloud.device()
        self.told(cloud, compromised=True)
        self.killed(cloud, "delete")
        assert (cloud.memory.overrides, cloud.rows, cloud.conflicts) == ({}, [], set())
        cloud.device()
        assert cloud.memory.effects() == {"AAA": "ALLOW"}


class TestErrors:
    def test_what_can_be_tried_again_is_and_is_never_given_up(self, cloud, clock):
        cloud.memory.errors.extend([UNANSWERED] * 30)
        cloud.device()
        for _ in range(40):
            clock.forward(minutes=5)
            cloud.deliver()
        assert cloud.memory.effects() == {"AAA": "ALLOW"}

    def test_throttled_half_way(self, cloud, clock):
        cloud.device("AAA", "BBB")
        cloud.memory.errors.extend([None, None, None, refused("ThrottlingException")])
        cloud.device(compromised=True)
        assert len(cloud.memory.overrides) == 1
        clock.forward(minutes=5)
        cloud.deliver()
        assert cloud.memory.overrides == {}

    def test_what_a_person_has_to_look_at_is_parked(self, cloud, clock):
        cloud.memory.errors.extend([None, *[refused("AccessDeniedException")] * 30])
        cloud.device()
        for _ in range(20):
            clock.forward(minutes=5)
            cloud.deliver()
        with cloud.desk.store.read() as reader:
            (parked,) = mdm_work.parked(reader)
        assert (parked.source, parked.device_key) == (KEY, "mdm/1")
        assert parked.last_error == "it answered AccessDeniedException"

    def test_who_lost_the_lease_writes_nothing(self, cloud, clock):
        cloud.desk.source.devices["1"] = posture("1", "AAA", clock=clock)
        cloud.desk.told("1")
        with cloud.desk.store.bookkeeping() as writer:
            (slow,) = mdm_work.claim(writer, 10, sources=[KEY])
        clock.forward(seconds=11)
        with cloud.desk.store.bookkeeping() as writer:
            assert mdm_work.claim(writer, 60, sources=[KEY])
        asyncio.run(cloud.delivery.deliver(slow))
        assert "put" not in cloud.memory.calls

    def test_a_listing_that_fails_is_only_logged(self, cloud):
        cloud.memory.errors.append(UNANSWERED)
        asyncio.run(cloud.delivery.look_through())

    @pytest.mark.parametrize("write_deny", [False, True])
    def test_what_was_written_without_an_answer_is_taken_back_all_the_same(self, desk, threads, write_deny):
        cloud = Cloud(desk, threads, write_deny=write_deny)
        cloud.device(compromised=True)
        # user, what is there, put; and then what is read back
        cloud.memory.errors.extend([None, None, *[UNANSWERED] * 5])
        cloud.device()
        assert cloud.memory.effects() == {"AAA": "ALLOW"}
        cloud.memory.errors.clear()
        cloud.device(compromised=True)
        cloud.clock.forward(minutes=5)
        cloud.deliver()
        assert cloud.memory.effects() == ({"AAA": "DENY"} if write_deny else {})
        assert cloud.conflicts == set()

    def test_a_user_who_is_not_there_any_more_is_no_error(self, cloud, clock, monkeypatch):
        cloud.device("AAA", "BBB")

        def gone(**_):
            raise refused("EntityNotFoundException")

        monkeypatch.setattr(cloud.memory, "get_mobile_device_access_override", gone)
        cloud.device("AAA", compromised=True)
        assert cloud.rows == []
        with cloud.desk.store.read() as reader:
            assert mdm_work.backlog(reader, KEY) == mdm_work.Backlog(0, 0, 0, 0, None)

    def test_one_that_is_refused_does_not_hold_up_the_others(self, cloud, monkeypatch):
        cloud.device("AAA", "BBB", "CCC")
        get = cloud.memory.get_mobile_device_access_override

        def denied(**names):
            if names["DeviceId"] == "BBB":
                raise refused("AccessDeniedException")
            return get(**names)

        monkeypatch.setattr(cloud.memory, "get_mobile_device_access_override", denied)
        cloud.device("AAA", compromised=True)
        assert set(cloud.memory.effects()) == {"BBB"}

    def test_whoever_is_not_enabled_keeps_what_is_remembered(self, cloud, clock, monkeypatch):
        cloud.device()

        def disabled(**_):
            raise refused("EntityStateException")

        with monkeypatch.context() as patched:
            patched.setattr(cloud.memory, "get_mobile_device_access_override", disabled)
            clock.forward(hours=8)
            cloud.device()
        assert [one.doubtful_since for one in cloud.rows] == [clock()]
        cloud.device(compromised=True)
        assert cloud.memory.overrides == {}


class TestGuardWhereUsersAreOnlyThere:
    """Amazon WorkMail is the only target, and nobody of it is a user here."""

    @pytest.fixture
    def fleet(self, desk, threads, clock):
        cloud = Cloud(desk, threads)

        def fleet(**fields):
            for number in range(30):
                key, user = str(number), f"u{number}@elsewhere.example"
                cloud.memory.users[user] = f"S-{number + 10}"
                desk.source.devices[key] = posture(key, f"ID{key}", user=user, clock=clock, **fields)

        fleet()
        cloud.fleet = fleet
        self.swept(cloud)
        assert len(cloud.memory.overrides) == 30
        return cloud

    def swept(self, cloud):
        for key in cloud.desk.source.devices:
            cloud.desk.tell(key, urgent=False)
        outcomes = cloud.desk.work()
        cloud.deliver()
        return outcomes

    def test_what_is_in_order_is_not_held(self, fleet):
        assert set(self.swept(fleet)) == {Outcome.DONE}
        assert len(fleet.memory.overrides) == 30

    def test_a_mass_change_is(self, fleet):
        fleet.fleet(compliance=Compliance.NON_COMPLIANT)
        assert self.swept(fleet).count(Outcome.HELD) >= 24
        assert len(fleet.memory.overrides) >= 24


def test_side_by_side_with_the_store(desk, threads, organization_id):
    cloud = Cloud(desk, threads, local=True)
    desk.settling = Settling(
        desk.store, cloud.options, desk.sources, (desk.settling._local, ["workmail"]), desk.metrics
    )
    cloud.device()
    assert desk.effects(organization_id) == cloud.memory.effects() == {"AAA": "ALLOW"}
    cloud.memory.errors.extend([UNANSWERED] * 3)
    cloud.device(compromised=True)
    assert desk.effects(organization_id) == {}
    assert cloud.memory.effects() == {"AAA": "ALLOW"}
    cloud.clock.forward(minutes=5)
    cloud.memory.errors.clear()
    cloud.deliver()
    assert cloud.memory.effects() == {}


def test_as_a_task(cloud, clock):
    cloud.desk.source.devices["1"] = posture("1", "AAA", clock=clock)
    cloud.desk.told("1")

    async def main():
        cloud.delivery.start()
        await eventually(lambda: cloud.memory.overrides)
        await eventually(lambda: cloud.rows and cloud.rows[0].expires > clock())
        await cloud.delivery.stop()

    asyncio.run(main())
    assert [one.effect for one in cloud.rows] == [Effect.ALLOW]
    assert cloud.rows[0].expires == clock() + timedelta(hours=168)


def test_a_time_of_grace_ends_on_time_for_somebody_who_is_no_user_here(cloud, clock):
    cloud.memory.users["zoe@elsewhere.example"] = "S-9"
    cloud.device(user="zoe@elsewhere.example")
    cloud.device(user="zoe@elsewhere.example", compliance=Compliance.PENDING)
    assert cloud.memory.effects() == {"AAA": "ALLOW"}
    clock.forward(minutes=61)
    cloud.desk.work()
    cloud.deliver()
    assert cloud.memory.effects() == {}


def test_what_one_process_finds_changed_another_repairs(desk, threads):
    cloud, other = Cloud(desk, threads, write_deny=True), Cloud(desk, threads, write_deny=True)
    other.memory = cloud.memory
    other.restart()
    cloud.device(compliance=Compliance.NON_COMPLIANT)

    def die(_):
        raise Killed

    cloud.memory.after = die
    with pytest.raises(Killed):
        cloud.device()
    cloud.memory.after = None
    assert cloud.memory.effects() == {"AAA": "ALLOW"}
    desk.clock.forward(seconds=121)
    cloud.restart()
    cloud.device(compliance=Compliance.NON_COMPLIANT)
    asyncio.run(cloud.delivery.look_through())
    desk.work()
    other.deliver()
    assert cloud.memory.effects() == {"AAA": "DENY"}
