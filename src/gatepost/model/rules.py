"""Rules, overrides and impersonation roles: what an administrator says about devices and about access."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class Effect(StrEnum):
    """What a rule or an override does."""

    ALLOW = "ALLOW"
    DENY = "DENY"


class Action(StrEnum):
    """The ways into a mailbox that access control rules know (WorkMail `AccessControlRuleAction`)."""

    ACTIVE_SYNC = "ActiveSync"
    AUTO_DISCOVER = "AutoDiscover"
    EWS = "EWS"
    IMAP = "IMAP"
    SMTP = "SMTP"
    WINDOWS_OUTLOOK = "WindowsOutlook"
    WEB_MAIL = "WebMail"


@dataclass(frozen=True, slots=True)
class DeviceConditions:
    """The eight condition lists of a device rule; an empty list is no condition.

    Each value is a case-insensitive prefix of what the device reported; `$NONE` in a positive list matches a
    device that did not report that property.
    """

    device_types: tuple[str, ...] = ()
    not_device_types: tuple[str, ...] = ()
    device_models: tuple[str, ...] = ()
    not_device_models: tuple[str, ...] = ()
    device_operating_systems: tuple[str, ...] = ()
    not_device_operating_systems: tuple[str, ...] = ()
    device_user_agents: tuple[str, ...] = ()
    not_device_user_agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MobileDeviceAccessRule:
    """A rule on what a device claims to be (WorkMail `MobileDeviceAccessRule`)."""

    organization_id: str
    rule_id: str
    name: str
    effect: Effect
    description: str | None
    conditions: DeviceConditions
    date_created: datetime
    date_modified: datetime


class Owner(StrEnum):
    """Whose an override is: a person's, or the MDM bridge's. Neither touches the other's."""

    PERSON = "person"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class MobileDeviceAccessOverride:
    """One decision of one owner for one (user, device); `device_id` is canonical (`canonical_device_id`).

    From `expires` on it is not one any more.
    """

    organization_id: str
    user_id: str
    device_id: str
    effect: Effect
    description: str | None
    date_created: datetime
    date_modified: datetime
    owner: Owner = Owner.PERSON
    expires: datetime | None = None

    def lasts(self, now: datetime) -> bool:
        """Whether its time is not up."""
        return self.expires is None or self.expires > now


@dataclass(frozen=True, slots=True)
class AccessControlRule:
    """A rule on protocol, address and user (WorkMail `AccessControlRule`); its name is its key."""

    organization_id: str
    name: str
    effect: Effect
    description: str
    ip_ranges: tuple[str, ...]
    not_ip_ranges: tuple[str, ...]
    actions: tuple[Action, ...]
    not_actions: tuple[Action, ...]
    user_ids: tuple[str, ...]
    not_user_ids: tuple[str, ...]
    impersonation_role_ids: tuple[str, ...]
    not_impersonation_role_ids: tuple[str, ...]
    date_created: datetime
    date_modified: datetime


class ImpersonationRoleType(StrEnum):
    """What the role may do in a mailbox that it may open (WorkMail `ImpersonationRoleType`)."""

    FULL_ACCESS = "FULL_ACCESS"
    READ_ONLY = "READ_ONLY"


@dataclass(frozen=True, slots=True)
class ImpersonationRule:
    """A rule of a role; the users are ids, an empty tuple is no condition."""

    rule_id: str
    name: str | None
    description: str | None
    effect: Effect
    target_users: tuple[str, ...]
    not_target_users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImpersonationRole:
    """Whose mailboxes a program may open over EWS (WorkMail `ImpersonationRole`); gateways do not decide by it.

    `rules` are in the order in which they were given.
    """

    organization_id: str
    role_id: str
    name: str
    type: ImpersonationRoleType
    description: str | None
    rules: tuple[ImpersonationRule, ...]
    date_created: datetime
    date_modified: datetime
