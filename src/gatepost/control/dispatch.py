"""Which operation is which function, and how its answer is shown: one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from botocore import xform_name

from gatepost.control import shapes
from gatepost.control.contract import TARGET_PREFIX, operation_names
from gatepost.control.failures import unknown_operation
from gatepost.control.parameters import check
from gatepost.operations import (
    access_control_rules,
    access_effects,
    aliases,
    mobile_device_access_overrides,
    mobile_device_access_rules,
    organizations,
    registrations,
    users,
)
from gatepost.operations.errors import UnsupportedOperationException
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
    "CreateUser": Operation(users.create, lambda value: {"UserId": value}),
    "DescribeUser": Operation(users.describe, shapes.user),
    "ListUsers": Operation(users.list, shapes.users),
    "UpdateUser": Operation(users.update, shapes.nothing),
    "DeleteUser": Operation(users.delete, shapes.nothing),
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
}


def operation_named(target: str | None) -> str:
    """The operation in an X-Amz-Target header.

    Raises `RequestError` where WorkMail has none of this name, `UnsupportedOperationException` where only WorkMail has it.
    """
    name = operation_of(target, TARGET_PREFIX)
    if name is None or name not in operation_names():
        raise unknown_operation()
    if name not in OPERATIONS:
        raise UnsupportedOperationException(
            f"{name} is an operation of Amazon WorkMail that Gatepost does not have: it manages who and which device may "
            "read mail, the rest belongs to the mail server."
        )
    return name


def run(context: Context, name: str, body: dict[str, Any]) -> dict[str, Any]:
    """Check `body` against the model, run the operation, and answer WorkMail's members. Blocks: the store is synchronous."""
    parameters = check(name, body)
    operation = OPERATIONS[name]
    return operation.show(operation.act(context, **{xform_name(member): value for member, value in parameters.items()}))
