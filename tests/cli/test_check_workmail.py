import asyncio
import shlex
from dataclasses import replace
from functools import partial

import pytest
from tests.support.workmail import CONFIGURATION, UNANSWERED, Api, WorkMailInMemory, refused

from gatepost.cli import check_workmail
from gatepost.cli.check_workmail import default_deny_there, may_not
from gatepost.engine.posture import Policy
from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration
from gatepost.mdm.targets.workmail import WorkMailTarget
from gatepost.model import Effect, Role
from gatepost.operations import mobile_device_access_overrides, mobile_device_access_rules, users

BRIDGE = BridgeConfiguration((), workmail=CONFIGURATION)
PUT, GET = "PutMobileDeviceAccessOverride", "GetMobileDeviceAccessOverride"


@pytest.fixture
def memory(monkeypatch):
    there = WorkMailInMemory("alice@example.com")
    monkeypatch.setattr(check_workmail, "WorkMailTarget", partial(WorkMailTarget, client=there))
    return there


def test_everything_that_a_bridge_does_is_tried_and_nothing_is_changed(memory):
    memory.overrides["S-1", "AAA"] = {"UserId": "S-1", "DeviceId": "AAA", "Effect": "ALLOW"}
    before = dict(memory.overrides)
    assert may_not(BRIDGE) is None
    assert memory.calls[:5] == ["list", "describe_user", "get", "put", "delete"]
    assert memory.overrides == before
    assert may_not(BridgeConfiguration(())) is None


@pytest.mark.parametrize(
    ("errors", "says"),
    [
        ([None, None, None, refused("AccessDeniedException")], f"{PUT}: it answered AccessDeniedException"),
        (
            [None, None, refused("AccessDeniedException"), refused("AccessDeniedException")],
            f"{GET}: it answered AccessDeniedException; {PUT}: it answered AccessDeniedException",
        ),
        ([None, UNANSWERED], "DescribeUser: it cannot be asked: ConnectTimeoutError"),
        ([None, None, None, refused("EntityStateException")], None),
    ],
)
def test_what_the_key_may_not_do_is_named(memory, errors, says):
    memory.errors.extend(errors)
    assert may_not(BRIDGE) == says


def test_a_server_that_takes_overrides_of_nobody_is_left_without_one(memory):
    class Everybody(dict):
        def values(self):
            return AnyOne()

    class AnyOne:
        def __contains__(self, user_id):
            return True

    memory.users, put = Everybody(), []
    memory.after = lambda name: put.extend(memory.overrides.values()) if name == "put" else None
    assert may_not(BRIDGE) is None
    assert ([one["Effect"] for one in put], memory.overrides) == (["DENY"], {})


def test_the_default_there_is_asked_for_where_the_bridge_rests_on_it(memory):
    (found,) = default_deny_there(BRIDGE)
    assert (found.met, found.says) == (True, f"the rules of {CONFIGURATION.organization_id} deny it")
    memory.default = "ALLOW"
    (found,) = default_deny_there(BRIDGE)
    assert not found.met
    assert "lets it in by `Default`" in found.says
    assert shlex.split(found.to_do[0])[:5] == [
        "aws",
        "--region",
        "eu-west-1",
        "workmail",
        "create-mobile-device-access-rule",
    ]
    assert "mdm.write_deny" in found.to_do[1]
    assert default_deny_there(replace(BRIDGE, policy=Policy(write_deny=True))) == []
    assert default_deny_there(BridgeConfiguration(())) == []


def test_a_default_that_nobody_says_is_none(memory):
    memory.errors.append(refused("AccessDeniedException"))
    (found,) = default_deny_there(BRIDGE)
    assert (found.met, found.says) == (False, "its rules cannot be asked: it answered AccessDeniedException")
    assert "workmail:GetMobileDeviceAccessEffect" in found.to_do[0]


def test_it_is_a_requirement_of_direct_mode(memory, installation):
    with installation.config.open("a") as file:
        target = {"kind": "workmail", "region": "eu-west-1", "organization_id": CONFIGURATION.organization_id}
        file.write("[[mdm.targets]]\n" + "".join(f"{name} = '{value}'\n" for name, value in target.items()))
    found = installation.run("check", "--json").json
    last = found[0]["requirements"][-1]
    assert (last["requirement"], last["met"]) == ("an unknown device is denied in Amazon WorkMail", True)
    assert memory.calls.count("effect") == 1
    installation.run("check", "--proxy", "203.0.113.0/28")
    assert memory.calls.count("effect") == 1


@pytest.fixture
def store(installation):
    opened = installation.store()
    yield opened
    opened.close()


@pytest.fixture
def api(store):
    """Opens our own API with a key of the role; how a bridge is told of it."""
    servers = []

    def opened(role=Role.BRIDGE):
        servers.append(Api(store, store.now, role))
        return servers[-1].access

    yield opened
    for server in servers:
        server.close()


def test_with_the_sdk_against_our_own_api(api, store, installation):
    context, organization_id, access = installation.context(store), installation.organization_id, api()
    workmail = WorkMailConfiguration(organization_id, "eu-west-1", rate=1000.0, **access)
    bridge = BridgeConfiguration((), workmail=workmail)
    assert may_not(bridge) is None
    assert mobile_device_access_overrides.list(context, organization_id=organization_id).items == ()
    assert users.list(context, organization_id=organization_id).items == ()
    (found,) = default_deny_there(bridge)
    assert (found.met, "by `Default`" in found.says) == (False, True)
    assert shlex.split(found.to_do[0])[1:3] == ["--endpoint-url", access["endpoint_url"]]
    mobile_device_access_rules.create(context, organization_id=organization_id, name="DefaultDenyAll", effect="DENY")
    assert asyncio.run(WorkMailTarget(workmail, "gate").effect_for_unknown()) == (Effect.DENY, ("DefaultDenyAll",))


def test_a_key_that_may_only_read_is_told_apart(api, installation):
    workmail = WorkMailConfiguration(installation.organization_id, "eu-west-1", rate=1000.0, **api(Role.READ_ONLY))
    said = may_not(BridgeConfiguration((), workmail=workmail))
    assert said == f"{PUT}: it answered AccessDeniedException; Delete{PUT[3:]}: it answered AccessDeniedException"
