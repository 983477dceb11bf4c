"""What is asked and what is answered: values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from gatepost.model import Action, Effect

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address


class Reason(StrEnum):
    """Why; the value is what a person reads in `X-MS-ASThrottle`, in metrics and in the log."""

    MOBILE_DEVICE_ACCESS_RULE = "MobileDeviceAccessRule"
    NO_MOBILE_DEVICE_ACCESS_RULE = "NoMobileDeviceAccessRule"
    MOBILE_DEVICE_ACCESS_OVERRIDE = "MobileDeviceAccessOverride"
    ACCESS_CONTROL_RULE = "AccessControlRule"
    NO_ACCESS_CONTROL_RULE = "NoAccessControlRule"
    DEVICE_INFORMATION_REQUIRED = "DeviceInformationRequired"
    USER_NOT_FOUND = "UserNotFound"
    USER_NOT_ENABLED = "UserNotEnabled"
    ORGANIZATION_NOT_FOUND = "OrganizationNotFound"
    RULES_TOO_OLD = "RulesTooOld"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class DeviceProperties:
    """The four properties that device rules look at; None is "not reported".

    `user_agents` holds every user agent the device has shown (HTTP header, Settings:UserAgent), without None.
    `complete` is False while the device has not had its say: then model, operating system and a further user agent
    may still come, and what is None here is unknown, not empty.
    """

    device_type: str | None = None
    device_model: str | None = None
    device_operating_system: str | None = None
    user_agents: tuple[str, ...] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request to be decided.

    `device_ids` are the canonical spellings under which the device may be known, the first is its name. Overrides and
    device rules play a part in ActiveSync only.
    """

    action: Action
    ip_address: IPv4Address | IPv6Address | None
    user_id: str | None = None
    impersonation_role_id: str | None = None
    device_ids: tuple[str, ...] = ()
    device: DeviceProperties = field(default_factory=DeviceProperties)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer with its reasons.

    `effect` is None only while the decision waits for what the device has not reported yet (`reason` is then
    DEVICE_INFORMATION_REQUIRED and `waits_for` names the properties). `matched_rules` are the rules (ids of device
    rules, names of access control rules) that produced the effect, in order. `error` says what went wrong when the
    reason is ERROR: for the log, not for the phone.
    """

    effect: Effect | None
    reason: Reason
    matched_rules: tuple[str, ...] = ()
    revision: int = 0
    waits_for: tuple[str, ...] = ()
    error: str | None = None

    @property
    def allowed(self) -> bool:
        """True for ALLOW and for nothing else."""
        return self.effect is Effect.ALLOW
