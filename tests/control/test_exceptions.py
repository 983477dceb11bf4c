"""Every exception that WorkMail documents for our operations is provoked through boto3, or it is said why it cannot occur.

A missing pair and an invented one both fail: the table below is compared with botocore's service model.
"""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from gatepost.control.contract import error_names, input_shape
from gatepost.control.dispatch import OPERATIONS
from gatepost.store import organizations

UNKNOWN_ORGANIZATION = "m-" + "0" * 32
UNKNOWN_USER = "12345678-1234-1234-1234-123456789012"
ARN = "arn:aws:workmail:eu-west-1:111122223333:organization/"

# Exceptions that have no cause here, in whichever operation they are documented.
IMPOSSIBLE = {
    "DirectoryServiceAuthenticationFailedException": "there is no directory service that could refuse our credentials",
    "DirectoryInUseException": "no directory can be named, so none can be in use",
    "MailDomainStateException": "mail domains are not verified: the mail server owns them",
    "InvalidPasswordException": "passwords belong to the mail server and are not looked at",
    "InvalidCustomSesConfigurationException": "there is no SES that a domain could be configured in",
    "UnsupportedOperationException": "the organization's directory can always be written",
}
# Those that have one elsewhere, but not in these operations.
IMPOSSIBLE_HERE = {
    ("CreateOrganization", "LimitExceededException"): "the number of organizations is not limited",
    ("RegisterToWorkMail", "DirectoryUnavailableException"): "the directory is a part of the store",
    ("UpdatePrimaryEmailAddress", "DirectoryUnavailableException"): "the directory is a part of the store",
    ("ListGroups", "EntityNotFoundException"): "it names nobody who could be missing",
    ("UpdateImpersonationRole", "LimitExceededException"): "ten rules are a constraint: InvalidParameterException",
}
for _operation in (
    "CreateUser",
    "DescribeUser",
    "UpdateUser",
    "DeleteUser",
    "CreateGroup",
    "DeleteGroup",
    "AssociateMemberToGroup",
    "DisassociateMemberFromGroup",
):
    IMPOSSIBLE_HERE[_operation, "DirectoryUnavailableException"] = "the directory is a part of the store"


@dataclass
class World:
    """What a provocation needs: a client, and an organization with users in each state."""

    client: Any
    store: Any
    organization_id: str
    domain: str
    enabled: str
    other: str
    disabled: str
    deleted: str
    group: str
    inner_group: str
    disabled_group: str
    deleted_group: str
    role: str

    @property
    def device(self):
        return {"UserId": self.enabled, "DeviceId": "A1"}


@pytest.fixture
def world(server, client, organization_id, domain):
    where = {"OrganizationId": organization_id}

    def user(name, email=None):
        user_id = client.create_user(**where, Name=name, DisplayName=name)["UserId"]
        if email:
            client.register_to_work_mail(**where, EntityId=user_id, Email=email)
        return user_id

    def group(name, email=None):
        group_id = client.create_group(**where, Name=name)["GroupId"]
        if email:
            client.register_to_work_mail(**where, EntityId=group_id, Email=email)
        return group_id

    made = World(
        client=client,
        store=server.store,
        organization_id=organization_id,
        domain=domain,
        enabled=user("enabled", f"enabled@{domain}"),
        other=user("other", f"other@{domain}"),
        disabled=user("disabled"),
        deleted=user("deleted"),
        group=group("group", f"group@{domain}"),
        inner_group=group("inner", f"inner@{domain}"),
        disabled_group=group("disabled group"),
        deleted_group=group("deleted group"),
        role=client.create_impersonation_role(**where, Name="role", Type="READ_ONLY", Rules=[])["ImpersonationRoleId"],
    )
    client.delete_user(**where, UserId=made.deleted)
    client.delete_group(**where, GroupId=made.deleted_group)
    client.associate_member_to_group(**where, GroupId=made.group, MemberId=made.inner_group)
    return made


def members(world, operation):
    """Parameters with which `operation` would succeed in this world."""
    user, alias = {"UserId": world.enabled}, {"EntityId": world.enabled, "Alias": f"alias@{world.domain}"}
    named, device = {"Name": "rule", "Effect": "DENY"}, {"UserId": world.enabled, "DeviceId": "A1"}
    role = {"ImpersonationRoleId": world.role}
    role_as_a_whole = {"Name": "role", "Type": "READ_ONLY", "Rules": []}
    resource = {"ResourceARN": ARN + world.organization_id}
    return {
        "CreateOrganization": {"Alias": "unused"},
        "RegisterMailDomain": {"DomainName": f"new.{world.domain}"},
        "DeregisterMailDomain": {"DomainName": f"new.{world.domain}"},
        "GetMailDomain": {"DomainName": world.domain},
        "UpdateDefaultMailDomain": {"DomainName": world.domain},
        "TagResource": {"Tags": [{"Key": "a", "Value": "1"}], **resource},
        "UntagResource": {"TagKeys": ["a"], **resource},
        "ListTagsForResource": resource,
        "CreateImpersonationRole": role_as_a_whole,
        "GetImpersonationRole": role,
        "UpdateImpersonationRole": {**role, **role_as_a_whole},
        "DeleteImpersonationRole": role,
        "GetImpersonationRoleEffect": {"TargetUser": world.enabled, **role},
        "DeleteOrganization": {"DeleteDirectory": True},
        "CreateUser": {"Name": "somebody", "DisplayName": "Somebody"},
        "DescribeUser": user,
        "UpdateUser": user,
        "DeleteUser": {"UserId": world.disabled},
        "CreateGroup": {"Name": "new"},
        "DescribeGroup": {"GroupId": world.group},
        "UpdateGroup": {"GroupId": world.group},
        "DeleteGroup": {"GroupId": world.disabled_group},
        "AssociateMemberToGroup": {"GroupId": world.group, "MemberId": world.enabled},
        "DisassociateMemberFromGroup": {"GroupId": world.group, "MemberId": world.enabled},
        "ListGroupMembers": {"GroupId": world.group},
        "ListGroupsForEntity": {"EntityId": world.enabled},
        "DescribeEntity": {"Email": f"group@{world.domain}"},
        "UpdatePrimaryEmailAddress": {"EntityId": world.group, "Email": f"new@{world.domain}"},
        "RegisterToWorkMail": {"EntityId": world.disabled, "Email": f"disabled@{world.domain}"},
        "DeregisterFromWorkMail": {"EntityId": world.enabled},
        "CreateAlias": alias,
        "DeleteAlias": alias,
        "ListAliases": {"EntityId": world.enabled},
        "CreateMobileDeviceAccessRule": named,
        "UpdateMobileDeviceAccessRule": {"MobileDeviceAccessRuleId": "none", **named},
        "DeleteMobileDeviceAccessRule": {"MobileDeviceAccessRuleId": "none"},
        "PutMobileDeviceAccessOverride": {"Effect": "DENY", **device},
        "GetMobileDeviceAccessOverride": device,
        "DeleteMobileDeviceAccessOverride": device,
        "PutAccessControlRule": {"Description": "rule", **named},
        "DeleteAccessControlRule": {"Name": "rule"},
        "GetAccessControlEffect": {"IpAddress": "192.0.2.1", "Action": "IMAP", "UserId": world.enabled},
    }.get(operation, {})


# (operation, exception): the parameters that provoke it, on top of those with which the operation would succeed.
PROVOKED = {
    ("CreateOrganization", "InvalidParameterException"): lambda _: {"Alias": "d-nope"},
    ("CreateOrganization", "DirectoryUnavailableException"): lambda _: {"DirectoryId": "d-0123456789"},
    ("CreateOrganization", "NameAvailabilityException"): lambda world: {
        "Domains": [{"DomainName": world.domain.upper()}]
    },
    ("DeleteOrganization", "OrganizationStateException"): lambda _: {},
    ("ListOrganizations", "InvalidParameterException"): lambda _: {"NextToken": "garbage"},
    ("RegisterMailDomain", "MailDomainInUseException"): lambda world: {"DomainName": another_organization(world)[1]},
    ("RegisterMailDomain", "LimitExceededException"): lambda world: a_thousand_mail_domains(world),
    ("DeregisterMailDomain", "MailDomainInUseException"): lambda world: {"DomainName": world.domain},
    ("GetMailDomain", "MailDomainNotFoundException"): lambda _: {"DomainName": "elsewhere.example"},
    ("UpdateDefaultMailDomain", "MailDomainNotFoundException"): lambda _: {"DomainName": "elsewhere.example"},
    ("TagResource", "InvalidParameterException"): lambda _: {"Tags": [{"Key": "aws:a", "Value": "1"}]},
    ("TagResource", "ResourceNotFoundException"): lambda _: {"ResourceARN": ARN + UNKNOWN_ORGANIZATION},
    ("TagResource", "TooManyTagsException"): lambda world: fifty_tags(world),
    ("UntagResource", "ResourceNotFoundException"): lambda _: {"ResourceARN": ARN + UNKNOWN_ORGANIZATION},
    ("ListTagsForResource", "ResourceNotFoundException"): lambda _: {"ResourceARN": ARN + UNKNOWN_ORGANIZATION},
    ("CreateUser", "NameAvailabilityException"): lambda _: {"Name": "ENABLED"},
    ("CreateUser", "ReservedNameException"): lambda _: {"Name": UNKNOWN_USER},
    ("DescribeUser", "EntityNotFoundException"): lambda _: {"UserId": "nobody"},
    ("UpdateUser", "EntityNotFoundException"): lambda _: {"UserId": "nobody"},
    ("UpdateUser", "EntityStateException"): lambda world: {"UserId": world.deleted},
    ("DeleteUser", "EntityStateException"): lambda world: {"UserId": world.enabled},
    ("CreateGroup", "NameAvailabilityException"): lambda _: {"Name": "Enabled"},
    ("CreateGroup", "ReservedNameException"): lambda _: {"Name": UNKNOWN_USER},
    ("DescribeGroup", "EntityNotFoundException"): lambda world: {"GroupId": world.enabled},
    ("UpdateGroup", "EntityNotFoundException"): lambda world: {"GroupId": world.enabled},
    ("UpdateGroup", "EntityStateException"): lambda world: {"GroupId": world.deleted_group},
    ("DeleteGroup", "EntityStateException"): lambda world: {"GroupId": world.group},
    ("AssociateMemberToGroup", "EntityNotFoundException"): lambda _: {"MemberId": "nobody"},
    ("AssociateMemberToGroup", "EntityStateException"): lambda world: {"MemberId": world.deleted},
    ("AssociateMemberToGroup", "InvalidParameterException"): lambda world: {
        "GroupId": world.inner_group,
        "MemberId": world.group,
    },
    ("DisassociateMemberFromGroup", "EntityNotFoundException"): lambda _: {"MemberId": "nobody"},
    ("DisassociateMemberFromGroup", "EntityStateException"): lambda world: {"GroupId": world.deleted_group},
    ("ListGroupMembers", "EntityNotFoundException"): lambda world: {"GroupId": world.enabled},
    ("ListGroupMembers", "EntityStateException"): lambda world: {"GroupId": world.deleted_group},
    ("ListGroupsForEntity", "EntityNotFoundException"): lambda _: {"EntityId": "nobody"},
    ("ListGroupsForEntity", "EntityStateException"): lambda world: {"EntityId": world.deleted_group},
    ("DescribeEntity", "EntityNotFoundException"): lambda world: {"Email": f"nobody@{world.domain}"},
    ("UpdatePrimaryEmailAddress", "EmailAddressInUseException"): lambda world: {"Email": f"other@{world.domain}"},
    ("UpdatePrimaryEmailAddress", "EntityNotFoundException"): lambda _: {"EntityId": "nobody"},
    ("UpdatePrimaryEmailAddress", "EntityStateException"): lambda world: {"EntityId": world.disabled},
    ("UpdatePrimaryEmailAddress", "MailDomainNotFoundException"): lambda _: {"Email": "a@elsewhere.example"},
    ("RegisterToWorkMail", "EmailAddressInUseException"): lambda world: {"Email": f"other@{world.domain}"},
    ("RegisterToWorkMail", "EntityNotFoundException"): lambda _: {"EntityId": "nobody"},
    ("RegisterToWorkMail", "EntityStateException"): lambda world: {"EntityId": world.deleted},
    ("RegisterToWorkMail", "EntityAlreadyRegisteredException"): lambda world: {"EntityId": world.enabled},
    ("RegisterToWorkMail", "MailDomainNotFoundException"): lambda _: {"Email": "a@elsewhere.example"},
    ("DeregisterFromWorkMail", "EntityNotFoundException"): lambda _: {"EntityId": "nobody"},
    ("DeregisterFromWorkMail", "EntityStateException"): lambda world: {"EntityId": world.disabled},
    ("CreateAlias", "EmailAddressInUseException"): lambda world: {"Alias": f"other@{world.domain}"},
    ("CreateAlias", "EntityNotFoundException"): lambda _: {"EntityId": UNKNOWN_USER},
    ("CreateAlias", "EntityStateException"): lambda world: {"EntityId": world.disabled},
    ("CreateAlias", "MailDomainNotFoundException"): lambda _: {"Alias": "a@elsewhere.example"},
    ("CreateAlias", "LimitExceededException"): lambda world: a_hundred_aliases(world),
    ("DeleteAlias", "EntityNotFoundException"): lambda _: {"EntityId": UNKNOWN_USER},
    ("DeleteAlias", "EntityStateException"): lambda world: {"EntityId": world.deleted},
    ("ListAliases", "EntityNotFoundException"): lambda _: {"EntityId": UNKNOWN_USER},
    ("ListAliases", "EntityStateException"): lambda world: {"EntityId": world.deleted},
    ("CreateMobileDeviceAccessRule", "LimitExceededException"): lambda world: ten_device_rules(world),
    ("UpdateMobileDeviceAccessRule", "EntityNotFoundException"): lambda _: {},
    ("PutMobileDeviceAccessOverride", "EntityNotFoundException"): lambda _: {"UserId": "nobody"},
    ("PutMobileDeviceAccessOverride", "EntityStateException"): lambda world: {"UserId": world.disabled},
    ("GetMobileDeviceAccessOverride", "EntityNotFoundException"): lambda _: {"UserId": "nobody"},
    ("GetMobileDeviceAccessOverride", "ResourceNotFoundException"): lambda _: {},
    ("ListMobileDeviceAccessOverrides", "EntityNotFoundException"): lambda _: {"UserId": "nobody"},
    ("DeleteMobileDeviceAccessOverride", "EntityNotFoundException"): lambda _: {"UserId": "nobody"},
    ("PutAccessControlRule", "EntityNotFoundException"): lambda _: {"UserIds": [UNKNOWN_USER]},
    ("PutAccessControlRule", "LimitExceededException"): lambda world: ten_access_control_rules(world),
    ("PutAccessControlRule", "ResourceNotFoundException"): lambda _: {"ImpersonationRoleIds": ["none"]},
    ("GetAccessControlEffect", "EntityNotFoundException"): lambda _: {"UserId": UNKNOWN_USER},
    ("GetAccessControlEffect", "ResourceNotFoundException"): lambda _: {
        "Action": "EWS",
        "UserId": None,
        "ImpersonationRoleId": "none",
    },
    ("CreateImpersonationRole", "EntityNotFoundException"): lambda _: {"Rules": [rule_on(UNKNOWN_USER)]},
    ("CreateImpersonationRole", "EntityStateException"): lambda world: {"Rules": [rule_on(world.deleted)]},
    ("CreateImpersonationRole", "LimitExceededException"): lambda world: twenty_impersonation_roles(world),
    ("GetImpersonationRole", "ResourceNotFoundException"): lambda _: {"ImpersonationRoleId": "none"},
    ("UpdateImpersonationRole", "ResourceNotFoundException"): lambda _: {"ImpersonationRoleId": "none"},
    ("UpdateImpersonationRole", "EntityNotFoundException"): lambda _: {"Rules": [rule_on(UNKNOWN_USER)]},
    ("UpdateImpersonationRole", "EntityStateException"): lambda world: {"Rules": [rule_on(world.deleted)]},
    ("GetImpersonationRoleEffect", "ResourceNotFoundException"): lambda _: {"ImpersonationRoleId": "none"},
    ("GetImpersonationRoleEffect", "EntityNotFoundException"): lambda _: {"TargetUser": UNKNOWN_USER},
    ("GetImpersonationRoleEffect", "EntityStateException"): lambda world: {"TargetUser": world.disabled},
}


def rule_on(user_id):
    return {"ImpersonationRuleId": "rule", "Effect": "ALLOW", "TargetUsers": [user_id]}


def a_hundred_aliases(world):
    for number in range(100):
        world.client.create_alias(
            OrganizationId=world.organization_id, EntityId=world.enabled, Alias=f"alias{number}@{world.domain}"
        )
    return {}


def another_organization(world):
    """Its id and its mail domain."""
    domain = f"other.{world.domain}"
    alias = domain.partition(".example")[0].replace(".", "-")
    created = world.client.create_organization(Alias=alias, Domains=[{"DomainName": domain}])
    return created["OrganizationId"], domain


def a_thousand_mail_domains(world):
    """Not one by one: that is tried where the operation is tested."""
    with world.store.begin() as transaction:
        organization = organizations.get(transaction, world.organization_id)
        many = tuple(f"d{number}.{world.domain}" for number in range(999))
        organizations.put(transaction, replace(organization, domains=(world.domain, *many)))
    return {}


def fifty_tags(world):
    tags = [{"Key": f"key{number}", "Value": ""} for number in range(50)]
    world.client.tag_resource(ResourceARN=ARN + world.organization_id, Tags=tags)
    return {}


def twenty_impersonation_roles(world):
    for _ in range(19):
        world.client.create_impersonation_role(
            OrganizationId=world.organization_id, Name="one", Type="READ_ONLY", Rules=[]
        )
    return {}


def ten_device_rules(world):
    for _ in range(9):
        world.client.create_mobile_device_access_rule(
            OrganizationId=world.organization_id, Name="one", Effect="ALLOW", DeviceTypes=["x"]
        )
    return {}


def ten_access_control_rules(world):
    for number in range(9):
        world.client.put_access_control_rule(
            OrganizationId=world.organization_id, Name=f"rule{number}", Effect="ALLOW", Description="one"
        )
    return {}


def deleted_organization(world):
    world.client.delete_organization(OrganizationId=world.organization_id, DeleteDirectory=True, ForceDelete=True)
    return {}


# What every operation in an organization can be answered with, unless the table above has a way of its own.
EVERYWHERE = {
    "InvalidParameterException": lambda _: {"OrganizationId": "m-not-an-id"},
    "OrganizationNotFoundException": lambda _: {"OrganizationId": UNKNOWN_ORGANIZATION},
    "OrganizationStateException": deleted_organization,
}


def documented():
    return [(operation, error) for operation in OPERATIONS for error in error_names(operation)]


def cannot_occur(operation, error):
    if (operation, error) in PROVOKED:
        return False
    return error in IMPOSSIBLE or (operation, error) in IMPOSSIBLE_HERE


PAIRS = [pair for pair in documented() if not cannot_occur(*pair)]


@pytest.mark.parametrize(("operation", "error"), PAIRS, ids=lambda name: name)
def test_a_documented_exception_is_provoked(world, operation, error):
    provoke = PROVOKED.get((operation, error)) or EVERYWHERE[error]
    own = {"OrganizationId": world.organization_id} if "OrganizationId" in input_shape(operation).members else {}
    parameters = {**own, **members(world, operation), **provoke(world)}
    with pytest.raises(world.client.exceptions.ClientError) as refused:
        world.client._make_api_call(operation, parameters)
    assert refused.value.response["Error"]["Code"] == error
    assert isinstance(refused.value, getattr(world.client.exceptions, error))
    assert refused.value.response["Error"]["Message"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_the_table_says_nothing_that_the_model_does_not():
    assert set(PROVOKED) | set(IMPOSSIBLE_HERE) <= set(documented())
    assert set(IMPOSSIBLE) <= {error for _, error in documented()}
    assert not set(PROVOKED) & set(IMPOSSIBLE_HERE)


@pytest.mark.parametrize("operation", [name for name in OPERATIONS if name != "CreateOrganization"])
def test_the_parameters_that_are_provoked_upon_would_succeed(world, operation):
    """Otherwise a provocation could succeed for the wrong reason."""
    expected = {"UpdateMobileDeviceAccessRule", "GetMobileDeviceAccessOverride", "DeleteOrganization"}
    own = {"OrganizationId": world.organization_id} if "OrganizationId" in input_shape(operation).members else {}
    if operation not in expected:
        world.client._make_api_call(operation, {**own, **members(world, operation)})
