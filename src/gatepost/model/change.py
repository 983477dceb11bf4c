"""A change: what gateways follow, those of the kinds that they decide by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from gatepost.model.device import Device
from gatepost.model.directory import Group, GroupMember, Organization, User
from gatepost.model.rules import (
    AccessControlRule,
    ImpersonationRole,
    MobileDeviceAccessOverride,
    MobileDeviceAccessRule,
)

if TYPE_CHECKING:
    from datetime import datetime

Noun: TypeAlias = (
    Organization
    | User
    | MobileDeviceAccessRule
    | MobileDeviceAccessOverride
    | AccessControlRule
    | Device
    | Group
    | GroupMember
    | ImpersonationRole
)


class Kind(StrEnum):
    """Which noun changed."""

    ORGANIZATION = "organization"
    USER = "user"
    MOBILE_DEVICE_ACCESS_RULE = "mobile_device_access_rule"
    MOBILE_DEVICE_ACCESS_OVERRIDE = "mobile_device_access_override"
    ACCESS_CONTROL_RULE = "access_control_rule"
    DEVICE = "device"
    GROUP = "group"
    GROUP_MEMBER = "group_member"
    IMPERSONATION_ROLE = "impersonation_role"


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the feed: the noun as it is from `revision` on, or None when it was deleted.

    `key` names the noun within its organization and kind: () for the organization itself, (user_id,), (rule_id,),
    (user_id, device_id), (rule name,), (user_id, device_id), (group_id,), (group_id, member_id), (role_id,).
    """

    revision: int
    organization_id: str
    kind: Kind
    key: tuple[str, ...]
    noun: Noun | None
    at: datetime
