"""Nouns to put into a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gatepost.model import (
    AccessControlRule,
    Action,
    Device,
    DeviceConditions,
    DeviceFacts,
    Directory,
    Effect,
    EntityState,
    EntityType,
    Group,
    GroupMember,
    ImpersonationRole,
    ImpersonationRoleType,
    ImpersonationRule,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
    Organization,
    OrganizationState,
    User,
)

ORGANIZATION = "m-0123456789abcdef0123456789abcdef"
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def minutes(count: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(minutes=count)


def an_organization(organization_id: str = ORGANIZATION, **changes: Any) -> Organization:
    fields = {
        "alias": f"alias-{organization_id}",
        "directory": Directory.OPEN,
        "domains": (f"{organization_id[-4:]}.example",),
        "default_domain": f"{organization_id[-4:]}.example",
        "state": OrganizationState.ACTIVE,
        "date_created": NOON,
    }
    return Organization(organization_id, **(fields | changes))


def a_user(user_id: str = "user-1", **changes: Any) -> User:
    fields = {
        "organization_id": ORGANIZATION,
        "name": user_id,
        "email": None,
        "aliases": (),
        "state": EntityState.ENABLED,
        "attributes": (("DisplayName", "Zoë"),),
        "date_created": NOON,
    }
    return User(user_id=user_id, **(fields | changes))


def a_group(group_id: str = "group-1", **changes: Any) -> Group:
    fields = {
        "organization_id": ORGANIZATION,
        "name": group_id,
        "email": None,
        "aliases": (),
        "state": EntityState.ENABLED,
        "hidden_from_global_address_list": False,
        "date_created": NOON,
    }
    return Group(group_id=group_id, **(fields | changes))


def a_member(group_id: str = "group-1", member_id: str = "user-1", **changes: Any) -> GroupMember:
    fields = {"organization_id": ORGANIZATION, "member_type": EntityType.USER}
    return GroupMember(group_id=group_id, member_id=member_id, **(fields | changes))


def a_rule(rule_id: str = "rule-1", **changes: Any) -> MobileDeviceAccessRule:
    fields = {
        "organization_id": ORGANIZATION,
        "name": "phones",
        "effect": Effect.ALLOW,
        "description": None,
        "conditions": DeviceConditions(device_types=("iPhone", "$NONE"), not_device_models=("iPad",)),
        "date_created": NOON,
        "date_modified": NOON,
    }
    return MobileDeviceAccessRule(rule_id=rule_id, **(fields | changes))


def an_override(user_id: str = "user-1", device_id: str = "ABC", **changes: Any) -> MobileDeviceAccessOverride:
    fields = {
        "organization_id": ORGANIZATION,
        "effect": Effect.DENY,
        "description": "lost",
        "date_created": NOON,
        "date_modified": NOON,
    }
    return MobileDeviceAccessOverride(user_id=user_id, device_id=device_id, **(fields | changes))


def an_access_control_rule(name: str = "office", **changes: Any) -> AccessControlRule:
    fields = {
        "organization_id": ORGANIZATION,
        "effect": Effect.ALLOW,
        "description": "from the office",
        "ip_ranges": ("192.0.2.0/24",),
        "not_ip_ranges": (),
        "actions": (Action.ACTIVE_SYNC, Action.IMAP),
        "not_actions": (),
        "user_ids": (),
        "not_user_ids": ("user-1",),
        "impersonation_role_ids": (),
        "not_impersonation_role_ids": (),
        "date_created": NOON,
        "date_modified": NOON,
    }
    return AccessControlRule(name=name, **(fields | changes))


def a_role(role_id: str = "role-1", **changes: Any) -> ImpersonationRole:
    rule = ImpersonationRule("rule-1", "all but one", None, Effect.ALLOW, (), ("user-1",))
    fields = {
        "organization_id": ORGANIZATION,
        "name": "migration",
        "type": ImpersonationRoleType.READ_ONLY,
        "description": None,
        "rules": (rule,),
        "date_created": NOON,
        "date_modified": NOON,
    }
    return ImpersonationRole(role_id=role_id, **(fields | changes))


def a_device(user_id: str = "user-1", device_id: str = "ABC", **changes: Any) -> Device:
    fields = {
        "organization_id": ORGANIZATION,
        "device_type": "iPhone",
        "http_user_agent": "Apple-iPhone14C2/2007.74",
        "protocol_version": "16.1",
        "last_ip_address": "192.0.2.7",
        "first_seen": NOON,
        "last_seen": NOON,
        "facts": DeviceFacts(),
    }
    return Device(user_id=user_id, device_id=device_id, **(fields | changes))
