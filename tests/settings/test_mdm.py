from datetime import timedelta

import pytest
from pydantic import ValidationError
from tests.support import secrets

from gatepost.engine.posture import Policy
from gatepost.mdm.configuration import BridgeConfiguration, WorkMailConfiguration
from gatepost.settings import MdmSettings, bridge_configuration, load

ORGANIZATION = "m-0123456789abcdef0123456789abcdef"
SECRET = secrets.password("an AWS secret access key")


def source(name: str = "uem", **more) -> dict[str, object]:
    return {
        "name": name,
        "kind": "workspace-one",
        "url": "https://mdm.example.com",
        "user": "api",
        "password": "a",
        "tenant_code": "b",
        **more,
    }


def workmail(**more) -> dict[str, object]:
    return {"kind": "workmail", "organization_id": ORGANIZATION, "region": "eu-west-1", **more}


def bridge(**given) -> BridgeConfiguration:
    return bridge_configuration(MdmSettings.model_validate(given))


def test_without_settings_there_is_nothing_to_ask_and_the_defaults_are_the_bridges_own():
    assert bridge() == BridgeConfiguration(sources=())
    assert bridge().policy == Policy()


def test_what_is_set_arrives():
    policy = {
        "write_deny": True,
        "allow_hours": 24,
        "grace_minutes": 5,
        "allow_after_seconds": 30,
        "allow_not_available": True,
        "honour_grace": False,
        "require_state_time": True,
    }
    rest = {"instance": "zurich-1", "first_seen": False, "workers": 3, "park_after": 4, "keep_days": 5}
    made = bridge(sources=[source("a", sweep_hours=2), source("b", match=["imei"])], **policy, **rest)
    assert made.policy == Policy(**policy)
    assert {name: getattr(made, name) for name in rest} == rest
    assert [(one.name, timedelta(hours=one.sweep_hours), set(one.match)) for one in made.sources] == [
        ("a", timedelta(hours=2), set()),
        ("b", timedelta(hours=6), {"imei"}),
    ]


def test_targets_are_this_store_or_workmail_or_both():
    key = {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": SECRET}
    expected = WorkMailConfiguration(ORGANIZATION, "eu-west-1", "http://127.0.0.1:8081", *key.values(), rate=2)
    there = bridge(targets=[workmail(endpoint_url="http://127.0.0.1:8081/", rate=2, **key)])
    assert (there.local, there.workmail) == (False, expected)
    assert (bridge().local, bridge().workmail) == (True, None)
    both = bridge(targets=[{"kind": "store"}, workmail()])
    assert (both.local, both.workmail) == (True, WorkMailConfiguration(ORGANIZATION, "eu-west-1"))
    assert SECRET not in repr(there)


@pytest.mark.parametrize(
    "given",
    [
        {"sources": [source(), source()]},
        {"targets": [{"kind": "store"}, {"kind": "store"}]},
        {"targets": [workmail(access_key_id="AKIAIOSFODNN7EXAMPLE")]},
        {"targets": [workmail(organization_id="m-xyz")]},
        {"targets": [workmail(region="Zürich")]},
        {"targets": [{"kind": "exchange"}]},
        {"targets": [{}]},
        {"instance": "a b"},
        {"instance": "a" * 33},
        {"allow_hours": 0},
        {"allow_hours": "inf"},
        {"grace_minutes": -1},
        {"workers": 0},
        {"keep_days": 0},
        {"surprise": 1},
    ],
)
def test_what_cannot_be_meant_is_a_mistake(given):
    with pytest.raises(ValidationError):
        bridge(**given)


def test_variables_win_as_anywhere():
    settings = load(None, {"GATEPOST_MDM__LISTEN": "0.0.0.0:1", "GATEPOST_MDM__BRIDGE_DENY_WINS": "true"})
    assert (str(settings.mdm.listen), settings.mdm.bridge_deny_wins) == ("0.0.0.0:1", True)
