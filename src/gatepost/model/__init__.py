"""The nouns: frozen values that every layer shares, and nothing that does anything with them."""

from gatepost.model.change import Change, Kind, Noun
from gatepost.model.device import Device, DeviceFacts, canonical_device_id
from gatepost.model.directory import (
    Directory,
    Entity,
    EntityState,
    EntityType,
    Group,
    GroupMember,
    Organization,
    OrganizationState,
    User,
    address_key,
    enrolled_user_id,
)
from gatepost.model.keys import AccessKey, Role
from gatepost.model.rules import (
    AccessControlRule,
    Action,
    DeviceConditions,
    Effect,
    ImpersonationRole,
    ImpersonationRoleType,
    ImpersonationRule,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
)

__all__ = [
    "AccessControlRule",
    "AccessKey",
    "Action",
    "Change",
    "Device",
    "DeviceConditions",
    "DeviceFacts",
    "Directory",
    "Effect",
    "Entity",
    "EntityState",
    "EntityType",
    "Group",
    "GroupMember",
    "ImpersonationRole",
    "ImpersonationRoleType",
    "ImpersonationRule",
    "Kind",
    "MobileDeviceAccessOverride",
    "MobileDeviceAccessRule",
    "Noun",
    "Organization",
    "OrganizationState",
    "Role",
    "User",
    "address_key",
    "canonical_device_id",
    "enrolled_user_id",
]
