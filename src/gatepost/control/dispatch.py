"""Which operation is which function, and how its answer is shown: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from botocore import xform_name

from gatepost.control import shapes
from gatepost.control.contract import TARGET_PREFIX, operation_names
from gatepost.control.failures import unknown_operation
from gatepost.control.parameters import check
from gatepost.control.unsupported import unsupported
from gatepost.operations import (
    access_control_rules,
    access_effects,
    aliases,
    entities,
    group_members,
    groups,
    impersonation_roles,
    mail_domains,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    registrations,
    tags,
    users,
)
from gatepost.wire.aws_json import operation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatepost.operations.context import Context


class Operation(NamedTuple):
    """`act(context, **parameters in snake case)`, and `show` that makes WorkMail's members of what it answers."""

    act: Callable[..., Any]
    show: Callable[[Any], dict[str, Any]]


OPERATIONS: dict[str, Operation] = {
    "CreateOrganization": Operation(organizations.create, lambda value: {"OrganizationId": value}),
    "DescribeOrganization": Operation(organizations.describe, shapes.organization),
    "ListOrganizations": Operation(organizations.list, shapes.organizations),
    "DeleteOrganization": Operation(organizations.delete, shapes.deleted_organization),
    "RegisterMailDomain": Operation(mail_domains.register, shapes.nothing),
    "DeregisterMailDomain": Operation(mail_domains.deregister, shapes.nothing),
    "ListMailDomains": Operation(mail_domains.list, shapes.mail_domains),
    "GetMailDomain": Operation(mail_domains.get, shapes.mail_domain),
    "UpdateDefaultMailDomain": Operation(mail_domains.update_default, shapes.nothing),
    "TagResource": Operation(tags.tag, shapes.nothing),
    "UntagResource": Operation(tags.untag, shapes.nothing),
    "ListTagsForResource": Operation(tags.list, shapes.tags),
    "CreateUser": Operation(users.create, lambda value: {"UserId": value}),
    "DescribeUser": Operation(users.describe, shapes.user),
    "ListUsers": Operation(users.list, shapes.users),
    "UpdateUser": Operation(users.update, shapes.nothing),
    "DeleteUser": Operation(users.delete, shapes.nothing),
    "CreateGroup": Operation(groups.create, lambda value: {"GroupId": value}),
    "DescribeGroup": Operation(groups.describe, shapes.group),
    "ListGroups": Operation(groups.list, shapes.groups),
    "UpdateGroup": Operation(groups.update, shapes.nothing),
    "DeleteGroup": Operation(groups.delete, shapes.nothing),
    "AssociateMemberToGroup": Operation(group_members.associate_member_to_group, shapes.nothing),
    "DisassociateMemberFromGroup": Operation(group_members.disassociate_member_from_group, shapes.nothing),
    "ListGroupMembers": Operation(group_members.list_group_members, shapes.group_members),
    "ListGroupsForEntity": Operation(group_members.list_groups_for_entity, shapes.groups_of_an_entity),
    "DescribeEntity": Operation(entities.describe, shapes.entity),
    "UpdatePrimaryEmailAddress": Operation(entities.update_primary_email_address, shapes.nothing),
    "RegisterToWorkMail": Operation(registrations.register_to_work_mail, shapes.nothing),
    "DeregisterFromWorkMail": Operation(registrations.deregister_from_work_mail, shapes.nothing),
    "CreateAlias": Operation(aliases.create, shapes.nothing),
    "DeleteAlias": Operation(aliases.delete, shapes.nothing),
    "ListAliases": Operation(aliases.list, shapes.aliases),
    "CreateMobileDeviceAccessRule": Operation(
        mobile_device_access_rules.create, lambda value: {"MobileDeviceAccessRuleId": value}
    ),
    "ListMobileDeviceAccessRules": Operation(mobile_device_access_rules.list, shapes.mobile_device_access_rules),
    "UpdateMobileDeviceAccessRule": Operation(mobile_device_access_rules.update, shapes.nothing),
    "DeleteMobileDeviceAccessRule": Operation(mobile_device_access_rules.delete, shapes.nothing),
    "GetMobileDeviceAccessEffect": Operation(
        access_effects.get_mobile_device_access_effect, shapes.mobile_device_access_effect
    ),
    "PutMobileDeviceAccessOverride": Operation(mobile_device_access_overrides.put, shapes.nothing),
    "GetMobileDeviceAccessOverride": Operation(
        mobile_device_access_overrides.get, shapes.mobile_device_access_override
    ),
    "ListMobileDeviceAccessOverrides": Operation(
        mobile_device_access_overrides.list, shapes.mobile_device_access_overrides
    ),
    "DeleteMobileDeviceAccessOverride": Operation(mobile_device_access_overrides.delete, shapes.nothing),
    "PutAccessControlRule": Operation(access_control_rules.put, shapes.nothing),
    "ListAccessControlRules": Operation(access_control_rules.list, shapes.access_control_rules),
    "DeleteAccessControlRule": Operation(access_control_rules.delete, shapes.nothing),
    "GetAccessControlEffect": Operation(access_effects.get_access_control_effect, shapes.access_control_effect),
    "CreateImpersonationRole": Operation(impersonation_roles.create, lambda value: {"ImpersonationRoleId": value}),
    "GetImpersonationRole": Operation(impersonation_roles.get, shapes.impersonation_role),
    "ListImpersonationRoles": Operation(impersonation_roles.list, shapes.impersonation_roles),
    "UpdateImpersonationRole": Operation(impersonation_roles.update, shapes.nothing),
    "DeleteImpersonationRole": Operation(impersonation_roles.delete, shapes.nothing),
    "GetImpersonationRoleEffect": Operation(impersonation_roles.get_effect, shapes.impersonation_role_effect),
}


def operation_named(target: str | None) -> str:
    """The operation in an X-Amz-Target header.

    Raises `RequestError` where WorkMail has none of this name; whether Gatepost has it, `run` says.
    """
    name = operation_of(target, TARGET_PREFIX)
    if name is None or name not in operation_names():
        raise unknown_operation()
    return name


def run(context: Context, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Check `body` against the model, run the operation, and answer WorkMail's members. Blocks: the store is synchronous.

    Raises `UnsupportedOperationException` where only WorkMail has the operation, and whatever the operation raises.
    """
    if name not in OPERATIONS:
        raise unsupported(name)
    parameters = check(name, body)
    operation = OPERATIONS[name]
    return operation.show(operation.act(context, **{xform_name(member): value for member, value in parameters.items()}))
