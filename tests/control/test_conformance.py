"""The corpus of decisions through the API's two doors: rules are made, and the question is asked, by boto3."""

import pytest
from tests.support.conformance import load_cases

from gatepost.control.contract import input_shape

DEVICE_CASES = load_cases("GetMobileDeviceAccessEffect")
ACCESS_CASES = load_cases("GetAccessControlEffect")


def as_members(operation, values):
    """A corpus entry's snake-case keys as the operation's members."""
    by_key = {name.lower(): name for name in input_shape(operation).members}
    return {by_key[key.replace("_", "")]: value for key, value in values.items() if value is not None}


@pytest.mark.parametrize("case", DEVICE_CASES, ids=lambda case: case.id)
def test_get_mobile_device_access_effect(client, organization_id, case):
    where = {"OrganizationId": organization_id}
    (default,) = client.list_mobile_device_access_rules(**where)["Rules"]
    client.delete_mobile_device_access_rule(**where, MobileDeviceAccessRuleId=default["MobileDeviceAccessRuleId"])
    for rule in case.raw["mobile_device_access_rules"]:
        client.create_mobile_device_access_rule(**where, **as_members("CreateMobileDeviceAccessRule", rule))
    request = case.raw["request"]
    (agent,) = {request["http_user_agent"], request["settings_user_agent"]} - {None} or {None}
    properties = {
        "device_type": request["device_type"],
        "device_model": request["device_model"],
        "device_operating_system": request["device_operating_system"],
        "device_user_agent": agent,
    }
    answer = client.get_mobile_device_access_effect(**where, **as_members("GetMobileDeviceAccessEffect", properties))
    assert answer["Effect"] == case.expected.effect
    assert tuple(sorted(rule["Name"] for rule in answer["MatchedRules"])) == case.expected.matched_rules


class Roles(dict):
    """Ids of impersonation roles by name, made when they are first named."""

    def __init__(self, client, where):
        self._create = lambda name: client.create_impersonation_role(**where, Name=name, Type="READ_ONLY", Rules=[])

    def __missing__(self, name):
        self[name] = self._create(name)["ImpersonationRoleId"]
        return self[name]


@pytest.mark.parametrize("case", ACCESS_CASES, ids=lambda case: case.id)
def test_get_access_control_effect(client, organization_id, domain, case):
    where = {"OrganizationId": organization_id}
    ids = {}
    for user in case.raw["users"]:
        created = client.create_user(**where, Name=user["name"], DisplayName=user["name"])["UserId"]
        ids[user["name"].lower()] = created
        if user.get("email"):
            address = f"{user['email'].partition('@')[0]}@{domain}"
            client.register_to_work_mail(**where, EntityId=created, Email=address)
    role_ids = Roles(client, where)
    client.delete_access_control_rule(**where, Name="default")
    for rule in case.raw["access_control_rules"]:
        listed = {key: [ids[name.lower()] for name in names] for key, names in rule.items() if key.endswith("user_ids")}
        roles = {key: [role_ids[name] for name in names] for key, names in rule.items() if key.endswith("role_ids")}
        client.put_access_control_rule(
            **where,
            Description="from the corpus",
            **as_members("PutAccessControlRule", {**rule, **listed, **roles}),
        )
    request = case.raw["request"]
    if request["impersonation_role"]:
        subject = {"ImpersonationRoleId": role_ids[request["impersonation_role"]]}
    else:
        name = request["login"].rpartition("\\")[2].partition("@")[0].lower()
        subject = {"UserId": ids[name]}
    answer = client.get_access_control_effect(
        **where, IpAddress=request["ip_address"], Action=request["action"], **subject
    )
    assert answer["Effect"] == case.expected.effect
    assert tuple(sorted(answer["MatchedRules"])) == case.expected.matched_rules


def test_there_are_cases():
    assert len(DEVICE_CASES) > 40
    assert len(ACCESS_CASES) > 40
