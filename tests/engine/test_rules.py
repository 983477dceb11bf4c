import pytest
from tests.support.engine import ALLOW, DENY, access_rule, device_rule, phone, request

from gatepost.engine.matching import access_subject, shown
from gatepost.engine.rules import RuleError, compile_access_control_rule, compile_device_rule
from gatepost.model import Action, DeviceConditions


def test_a_rule_without_conditions_matches_everything():
    assert compile_device_rule(device_rule("all", ALLOW)).matches(shown(phone())) is True
    assert compile_access_control_rule(access_rule("all", ALLOW)).matches(access_subject(request())) is True


def test_device_conditions_by_their_names():
    rule = device_rule("all", ALLOW, **dict.fromkeys(DeviceConditions.__slots__, ("x",)))
    assert [(one.name, one.about, one.listed) for one in compile_device_rule(rule).conditions] == [
        (f"{prefix}{about}s", about, ("x",))
        for about in ("DeviceType", "DeviceModel", "DeviceOperatingSystem", "DeviceUserAgent")
        for prefix in ("", "Not")
    ]


@pytest.mark.parametrize("name", DeviceConditions.__slots__)
def test_each_device_list_looks_at_its_own_property(name):
    values = {"types": "iPhone", "models": "iPhone10C1", "systems": "iOS 14.2", "agents": "iOS/14"}
    value = values[name.rpartition("_")[2]]
    rule = compile_device_rule(device_rule("one", ALLOW, **{name: (value,)}))
    other = compile_device_rule(device_rule("one", ALLOW, **{name: ("Nokia",)}))
    assert rule.matches(shown(phone())) is not name.startswith("not_")
    assert other.matches(shown(phone())) is name.startswith("not_")


@pytest.mark.parametrize(
    ("lists", "matches"),
    [
        ({"actions": (Action.ACTIVE_SYNC,)}, True),
        ({"actions": (Action.EWS,)}, False),
        ({"not_actions": (Action.ACTIVE_SYNC,)}, False),
        ({"not_actions": (Action.EWS,)}, True),
        ({"ip_ranges": ("203.0.113.0/24",)}, True),
        ({"ip_ranges": ("192.0.2.0/24",)}, False),
        ({"not_ip_ranges": ("203.0.113.0/24",)}, False),
        ({"not_ip_ranges": ("192.0.2.0/24",)}, True),
        ({"user_ids": ("alice-id",)}, True),
        ({"user_ids": ("bob-id",)}, False),
        ({"not_user_ids": ("alice-id",)}, False),
        ({"not_user_ids": ("bob-id",)}, True),
        ({"impersonation_role_ids": ("role-1",)}, False),
        ({"not_impersonation_role_ids": ("role-1",)}, True),
        ({"actions": (Action.ACTIVE_SYNC,), "user_ids": ("alice-id",)}, True),
        ({"actions": (Action.ACTIVE_SYNC,), "user_ids": ("bob-id",)}, False),
    ],
)
def test_access_lists(lists, matches):
    assert compile_access_control_rule(access_rule("one", ALLOW, **lists)).matches(access_subject(request())) is matches


def test_a_hidden_address_helps_nobody():
    hidden = access_subject(request(ip_address=None))
    for ranges in ("ip_ranges", "not_ip_ranges"):
        condition = {ranges: ("192.0.2.0/24",)}
        assert compile_access_control_rule(access_rule("one", ALLOW, **condition)).matches(hidden) is False
        assert compile_access_control_rule(access_rule("one", DENY, **condition)).matches(hidden) is True


@pytest.mark.parametrize(
    ("conditions", "matches"),
    [
        ({"device_types": ("iPhone",), "device_models": ("iPhone",)}, None),
        ({"device_models": ("iPhone",), "device_types": ("iPhone",)}, None),
        ({"device_types": ("iPad",), "device_models": ("iPhone",)}, False),
        ({"device_models": ("iPhone",), "device_operating_systems": ("iOS",)}, None),
        ({"device_models": ("iPhone",), "not_device_user_agents": ("Apple",)}, False),
        ({"device_types": ("iPhone",)}, True),
    ],
)
def test_false_outweighs_unknown_and_unknown_outweighs_true(conditions, matches):
    before = shown(phone(device_model=None, device_operating_system=None, complete=False))
    assert compile_device_rule(device_rule("one", ALLOW, **conditions)).matches(before) is matches


@pytest.mark.parametrize(
    "rule",
    [
        access_rule("broken", ALLOW, ip_ranges=("10.0.0.0/33",)),
        access_rule("broken", ALLOW, not_ip_ranges=("nonsense",)),
        access_rule("broken", ALLOW, actions=("Telnet",)),
        access_rule("broken", ALLOW, user_ids=(7,)),
        access_rule("broken", "MAYBE"),
    ],
)
def test_a_rule_that_cannot_be_evaluated_says_so_whenever_it_is_asked(rule):
    compiled = compile_access_control_rule(rule)
    assert compiled.effect is DENY
    assert compiled.error
    with pytest.raises(RuleError, match=r"^rule `broken` cannot be evaluated: ") as raised:
        compiled.matches(access_subject(request()))
    assert raised.value.rule == "broken"


def test_a_device_rule_that_cannot_be_evaluated():
    compiled = compile_device_rule(device_rule("broken", ALLOW, device_types=(None,)))
    with pytest.raises(RuleError):
        compiled.matches(shown(phone()))


def test_two_compiled_rules_are_equal_when_they_come_from_equal_rules():
    one, same, other = (
        compile_device_rule(device_rule("one", ALLOW, device_types=(kind,))) for kind in ("a", "a", "b")
    )
    assert one == same
    assert one != other
