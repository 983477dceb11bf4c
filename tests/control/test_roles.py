"""What each role may do, by a table over every operation of WorkMail, and through boto3."""

import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from gatepost.control import roles
from gatepost.control.contract import operation_names
from gatepost.control.dispatch import OPERATIONS
from gatepost.control.failures import RequestError
from gatepost.model import AccessKey, Role
from gatepost.operations import access_keys

GUIDE = (Path(__file__).parents[2] / "docs/operations-guide/control-api.md").read_text(encoding="utf-8")
READING = ("Describe", "Get", "List")
# Written out a second time, so that it takes two edits to give a bridge more.
OF_A_BRIDGE = {
    "ListOrganizations": "the organization of a mail domain",
    "DescribeOrganization": "is it there, is it active",
    "ListUsers": "the users whose phones are managed",
    "DescribeUser": "the user of an address that the MDM system knows",
    "GetMobileDeviceAccessEffect": "what the rules would say without an override",
    "ListMobileDeviceAccessOverrides": "what is written already",
    "GetMobileDeviceAccessOverride": "one of them",
    "PutMobileDeviceAccessOverride": "the phone is compliant, or is not",
    "DeleteMobileDeviceAccessOverride": "the phone is not managed any more",
}


@pytest.mark.parametrize("operation", sorted(operation_names()))
def test_a_role_allows_an_operation_or_does_not(operation):
    assert roles.allows(Role.ADMIN, operation)
    assert roles.allows(Role.READ_ONLY, operation) == operation.startswith(READING)
    assert roles.allows(Role.BRIDGE, operation) == (operation in OF_A_BRIDGE)


@pytest.mark.parametrize("operation", ["DescribeAnything", "Nonsense", "", "GetMobileDeviceAccessEffectX"])
@pytest.mark.parametrize("role", Role)
def test_what_workmail_does_not_have_is_nobodys(role, operation):
    assert not roles.allows(role, operation)


@pytest.mark.parametrize("operation", ["GetawayUser", "Listen", "Describe", "AssumeImpersonationRole", "DoGetUser"])
def test_an_operation_that_is_in_no_role_is_for_admin_alone(operation, monkeypatch):
    """A name that only looks like reading is none."""
    monkeypatch.setattr(roles, "operation_names", lambda: frozenset({operation}))
    assert [role for role in Role if roles.allows(role, operation)] == [Role.ADMIN]


def test_what_a_bridge_may_do_is_there():
    assert set(OF_A_BRIDGE) == roles.BRIDGE
    assert set(OPERATIONS) >= roles.BRIDGE


def test_the_guide_has_the_same_table():
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \|$", GUIDE.partition("| operation of a bridge")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert sorted(rows) == sorted(roles.BRIDGE)
    assert all(f"| `{role}` | " in GUIDE for role in Role)


def test_a_refusal_has_awss_words():
    key = AccessKey("AKIAEXAMPLE", "", Role.BRIDGE, None)
    with pytest.raises(RequestError) as refused:
        roles.authorize(key, "PutAccessControlRule")
    assert (refused.value.name, refused.value.status) == ("AccessDeniedException", 400)
    assert str(refused.value) == (
        "User: arn:aws:iam::000000000000:user/AKIAEXAMPLE is not authorized to perform: workmail:PutAccessControlRule on "
        "resource: * because the bridge role of its access key does not allow the workmail:PutAccessControlRule action"
    )
    roles.authorize(key, "PutMobileDeviceAccessOverride")


@pytest.fixture
def client_of(server):
    def client(role):
        key, secret = access_keys.create(server.context, server.sealing_key, role=role)
        return server.client(key.access_key_id, secret)

    return client


def denied(call, **parameters):
    with pytest.raises(ClientError) as refused:
        call(**parameters)
    return refused.value.response["Error"]


def test_read_only_through_boto3(client_of, organization_id, alice):
    client, where = client_of(Role.READ_ONLY), {"OrganizationId": organization_id}
    assert client.list_users(**where)["Users"]
    assert client.describe_user(**where, UserId=alice)["Name"] == "alice"
    assert client.list_access_control_rules(**where)["Rules"]
    error = denied(client.delete_access_control_rule, **where, Name="default")
    assert error["Code"] == "AccessDeniedException"
    assert "is not authorized to perform: workmail:DeleteAccessControlRule on resource: * because" in error["Message"]
    assert client.list_access_control_rules(**where)["Rules"]


def test_bridge_through_boto3(client_of, organization_id, alice, domain):
    client, where = client_of(Role.BRIDGE), {"OrganizationId": organization_id}
    assert client.list_organizations()["OrganizationSummaries"]
    assert client.describe_organization(**where)["State"] == "Active"
    assert client.list_users(**where)["Users"]
    assert client.get_mobile_device_access_effect(**where)["Effect"] == "ALLOW"
    assert client.list_mobile_device_access_overrides(**where)["Overrides"] == []
    assert client.describe_user(**where, UserId=f"alice@{domain}")["UserId"] == alice
    client.put_mobile_device_access_override(**where, UserId=alice, DeviceId="A1", Effect="DENY")
    assert client.get_mobile_device_access_override(**where, UserId=alice, DeviceId="A1")["Effect"] == "DENY"
    client.delete_mobile_device_access_override(**where, UserId=alice, DeviceId="A1")
    for call, parameters in (
        (client.list_access_control_rules, {}),
        (client.list_mobile_device_access_rules, {}),
        (client.list_aliases, {"EntityId": alice}),
        (client.update_user, {"UserId": alice, "City": "Lisbon"}),
        (client.put_access_control_rule, {"Name": "r", "Effect": "ALLOW", "Description": "d"}),
        (client.delete_organization, {"DeleteDirectory": True}),
    ):
        assert denied(call, **where, **parameters)["Code"] == "AccessDeniedException"


def test_the_role_is_asked_before_the_parameters_and_before_what_gatepost_has(client_of):
    """Whoever may not run an operation learns nothing by it."""
    for role in (Role.READ_ONLY, Role.BRIDGE):
        assert denied(client_of(role).create_user)["Code"] == "AccessDeniedException"
        assert denied(client_of(role).start_mailbox_export_job)["Code"] == "AccessDeniedException"
    assert denied(client_of(Role.ADMIN).start_mailbox_export_job)["Code"] == "UnsupportedOperationException"


def test_operations_are_told_who_calls(own_server):
    server, told = own_server(), []
    context_for = server.context_for
    server.context_for = lambda caller, role: told.append((caller, role)) or context_for(caller, role)
    key, secret = access_keys.create(server.context, server.sealing_key, role=Role.READ_ONLY)
    server.client(key.access_key_id, secret).list_organizations()
    assert told == [(key.access_key_id, Role.READ_ONLY)]
