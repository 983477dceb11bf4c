"""Devices, as they appear at the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """What a device reported in DeviceInformation (MS-ASCMD 2.2.3.45); None where it did not.

    `reported` is True once the device has said who it is, or has provisioned without saying so: from then on a
    missing property is really empty.
    """

    reported: bool = False
    model: str | None = None
    operating_system: str | None = None
    user_agent: str | None = None
    imei: str | None = None
    friendly_name: str | None = None
    os_language: str | None = None
    phone_number: str | None = None
    mobile_operator: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One (user, device) that logged in, allowed or refused.

    `device_id` is canonical; `http_user_agent` is the header, `facts.user_agent` the one in DeviceInformation.
    """

    organization_id: str
    user_id: str
    device_id: str
    device_type: str
    http_user_agent: str | None
    protocol_version: str | None
    last_ip_address: str | None
    first_seen: datetime
    last_seen: datetime
    facts: DeviceFacts


def canonical_device_id(device_id: str) -> str:
    """The one spelling of a DeviceId that is compared and stored: upper case (DeviceIds are case-insensitive)."""
    return device_id.upper()
