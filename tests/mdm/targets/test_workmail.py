import asyncio

import pytest
from tests.support.mdm_world import Clock
from tests.support.workmail import CONFIGURATION, UNANSWERED, Api, WorkMailInMemory, refused

from gatepost.engine.posture import PostureReason, Verdict
from gatepost.mdm.configuration import WorkMailConfiguration
from gatepost.mdm.targets.mark import write_mark
from gatepost.mdm.targets.workmail import NoSuchUser, TargetRefused, TargetUnavailable, WorkMailTarget
from gatepost.model import Effect
from gatepost.operations import mobile_device_access_overrides as overrides
from gatepost.operations import organizations, users
from gatepost.operations.context import Context
from gatepost.store.database import Store

VERDICT = Verdict(Effect.ALLOW, PostureReason.COMPLIANT, source="mdm", device_key="1")
MARK = write_mark("gate", VERDICT, Effect.ALLOW, Clock()())


@pytest.fixture
def memory():
    return WorkMailInMemory("alice@example.com")


@pytest.fixture
def target(memory):
    return WorkMailTarget(CONFIGURATION, "gate", client=memory)


def run(coroutine):
    return asyncio.run(coroutine)


def test_written_read_back_and_taken_away(target, memory):
    user_id = run(target.user_of("alice@example.com"))
    run(target.put(user_id, "AAA", Effect.ALLOW, MARK))
    there = run(target.get(user_id, "AAA"))
    assert (there.effect, there.description, there.owned) == (Effect.ALLOW, MARK, True)
    run(target.delete(user_id, "AAA"))
    assert run(target.get(user_id, "AAA")) is None
    assert memory.calls == ["describe_user", "put", "get", "get", "delete", "get", "get"]


@pytest.mark.parametrize(
    ("effect", "description"),
    [
        ("ALLOW", "by hand"),
        ("DENY", MARK),
        ("ALLOW", MARK + "!"),
        ("ALLOW", write_mark("another gate", VERDICT, Effect.ALLOW, Clock()())),
        ("ALLOW", None),
    ],
)
def test_what_this_bridge_did_not_write_so_is_not_its_own(target, memory, effect, description):
    row = {"UserId": "S-1", "DeviceId": "aaa", "Effect": effect}
    memory.overrides["S-1", "AAA"] = row if description is None else row | {"Description": description}
    assert not run(target.get("S-1", "AAA")).owned


def test_users_are_remembered_for_a_while(memory):
    seconds = Clock()
    target = WorkMailTarget(CONFIGURATION, "gate", client=memory, clock=lambda: seconds().timestamp())
    for _ in range(3):
        assert run(target.user_of("alice@example.com")) == "S-1"
        assert run(target.user_of("bob@example.com")) is None
    assert len(memory.calls) == 2
    memory.users["bob@example.com"] = "S-2"
    seconds.forward(minutes=11)
    assert run(target.user_of("bob@example.com")) == "S-2"
    assert run(target.user_of("not an address")) is None


def test_a_listing_has_pages(target, memory):
    for number in range(5):
        memory.overrides["S-1", f"ID{number}"] = {"UserId": "S-1", "DeviceId": f"id{number}", "Effect": "DENY"}

    async def listed():
        return [one.device_id async for one in target.list()]

    assert run(listed()) == [f"ID{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (refused("ThrottlingException"), TargetUnavailable),
        (refused("TooManyRequestsException"), TargetUnavailable),
        (refused("InternalFailure", 500), TargetUnavailable),
        (refused("ServiceUnavailable", 503), TargetUnavailable),
        (refused("Whatever", 429), TargetUnavailable),
        (refused("OrganizationStateException"), TargetUnavailable),
        (UNANSWERED, TargetUnavailable),
        (refused("AccessDeniedException"), TargetRefused),
        (refused("InvalidParameterException"), TargetRefused),
        (refused("OrganizationNotFoundException"), TargetRefused),
        (refused("EntityNotFoundException"), NoSuchUser),
        (refused("EntityStateException"), NoSuchUser),
    ],
)
def test_errors_say_whether_to_try_again(target, memory, error, raised):
    memory.errors.append(error)
    with pytest.raises(raised):
        run(target.put("S-1", "AAA", Effect.ALLOW, MARK))


def test_what_is_not_so_when_read_back_is_tried_again(target, memory):
    memory.after = lambda name: memory.overrides.clear()
    with pytest.raises(TargetUnavailable, match="read back"):
        run(target.put("S-1", "AAA", Effect.ALLOW, MARK))
    memory.overrides["S-1", "AAA"] = row = {"UserId": "S-1", "DeviceId": "AAA", "Effect": "ALLOW"}
    memory.after = lambda name: memory.overrides.update({("S-1", "AAA"): row})
    with pytest.raises(TargetUnavailable, match="still there"):
        run(target.delete("S-1", "AAA"))


@pytest.mark.parametrize("device_id", ["", "A" * 33, "androidc-123", "A/B", "\u00e4"])
def test_ids_are_checked_before_they_are_sent(target, memory, device_id):
    for call in (
        target.get("S-1", device_id),
        target.put("S-1", device_id, Effect.ALLOW, MARK),
        target.delete("S-1", device_id),
    ):
        with pytest.raises(TargetRefused, match="1 to 32"):
            run(call)
    assert memory.calls == []


def test_an_organization_id_is_checked():
    with pytest.raises(ValueError, match="m-"):
        WorkMailTarget(WorkMailConfiguration("example", "eu-west-1"), "gate")


def test_its_own_pace(memory):
    now = [0.0]
    slow = WorkMailTarget(
        WorkMailConfiguration(CONFIGURATION.organization_id, "eu-west-1", rate=0.01),
        "gate",
        client=memory,
        clock=lambda: now[0],
    )
    run(slow.get("S-1", "AAA"))
    with pytest.raises(TargetUnavailable, match="slowly"):
        run(slow.get("S-1", "AAA"))


def test_against_our_own_api_with_the_sdk(tmp_path, empty_sqlite_file):
    (tmp_path / "api.db").write_bytes(empty_sqlite_file.read_bytes())
    store = Store.open(f"sqlite:///{tmp_path / 'api.db'}")
    context = Context(store, store.now, "test")
    organization_id = organizations.create(context, alias="example", domains=["example.com"])
    user_id = users.enroll(context, organization_id, "alice@example.com").user_id
    api = Api(store, store.now)
    try:
        target = WorkMailTarget(WorkMailConfiguration(organization_id, "eu-west-1", rate=1000.0, **api.access), "gate")

        async def main():
            assert await target.user_of("alice@example.com") == user_id
            assert await target.user_of("bob@example.com") is None
            assert await target.get(user_id, "AAA") is None
            await target.put(user_id, "AAA", Effect.ALLOW, MARK)
            assert [one.device_id async for one in target.list()] == ["AAA"]
            assert (await target.get(user_id, "AAA")).owned
            assert (
                overrides.get(context, organization_id=organization_id, user_id=user_id, device_id="AAA").owner
                == "bridge"
            )
            await target.delete(user_id, "AAA")
            assert await target.get(user_id, "AAA") is None

        asyncio.run(main())
    finally:
        api.close()
        store.close()
