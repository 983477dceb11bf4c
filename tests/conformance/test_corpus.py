"""The corpus itself: well formed, and as wide as it claims to be."""

from collections import Counter

import pytest
from tests.support.conformance import DECISIONS, DOORS, load_cases

from gatepost.engine import Reason
from gatepost.model import Action, DeviceConditions

CASES = load_cases()
KEYS = {
    "name",
    "why",
    "organization",
    "users",
    "mobile_device_access_rules",
    "overrides",
    "access_control_rules",
    "request",
    "expected",
    "doors",
}
REQUEST_KEYS = {
    "login",
    "impersonation_role",
    "action",
    "ip_address",
    "protocol_version",
    "query",
    "device_id",
    "device_id_bytes",
    "device_type",
    "device_model",
    "device_operating_system",
    "http_user_agent",
    "settings_user_agent",
    "reported",
}


def test_cases_are_many_and_named_once():
    assert len(CASES) >= 90
    assert [one for one, times in Counter(case.id for case in CASES).items() if times > 1] == []


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_a_case_has_known_keys_only(case):
    assert set(case.raw) <= KEYS
    assert set(case.raw["request"]) == REQUEST_KEYS
    assert set(case.raw["expected"]) == {"effect", "reason", "matched_rules"}
    assert set(case.doors) <= set(DOORS)
    assert {"engine", "explain"} <= set(case.doors)
    names = {rule["name"] for rule in case.raw["mobile_device_access_rules"] + case.raw["access_control_rules"]}
    assert set(case.expected.matched_rules) <= names
    assert case.request.device_ids == case.device_ids


def test_every_reason_that_rules_can_have_occurs():
    # Rules too old is the gateway's, an error needs a corrupt store: both have tests of their own.
    assert {case.expected.reason for case in CASES} == set(Reason) - {Reason.RULES_TOO_OLD, Reason.ERROR}


def test_every_condition_list_and_every_action_occurs():
    lists = {key for case in CASES for rule in case.raw["mobile_device_access_rules"] for key in rule}
    assert lists == {"name", "effect", *DeviceConditions.__slots__}
    access = {key for case in CASES for rule in case.raw["access_control_rules"] for key in rule}
    assert access == {
        "name",
        "effect",
        "actions",
        "not_actions",
        "ip_ranges",
        "not_ip_ranges",
        "user_ids",
        "not_user_ids",
        "impersonation_role_ids",
        "not_impersonation_role_ids",
    }
    assert {case.request.action for case in CASES} == set(Action)


def test_every_door_has_cases():
    doors = Counter(door for case in CASES for door in case.doors)
    assert set(doors) == set(DOORS)
    assert min(doors.values()) >= 20


def test_the_files_are_described():
    readme = (DECISIONS.parent / "README.md").read_text("utf-8")
    assert [path.name for path in DECISIONS.glob("*.json") if f"`{path.name}`" not in readme] == []
