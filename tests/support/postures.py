"""Postures to judge and to store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gatepost.model import Compliance, KnownDevice, Managed, Moments, Posture

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def minutes(count: float) -> datetime:
    """So long after noon."""
    return NOON + timedelta(minutes=count)


def a_posture(device_key: str = "7", **changes: Any) -> Posture:
    """A compliant device of alice's that the MDM heard of a minute before noon, and was asked for at noon."""
    fields: dict[str, Any] = {
        "source": "ws1",
        "managed": Managed.YES,
        "compliance": Compliance.COMPLIANT,
        "compromised": False,
        "user_addresses": ("alice@example.com",),
        "device_ids": ("EAS1",),
        "serial": None,
        "imei": None,
        "friendly_name": None,
        "state_time": minutes(-1),
        "observed_at": NOON,
    }
    return Posture(device_key=device_key, **(fields | changes))


def a_known_device(
    device_key: str = "7",
    *,
    had_addresses: tuple[str, ...] = (),
    had_device_ids: tuple[str, ...] = (),
    moments: Moments | None = None,
    **changes: Any,
) -> KnownDevice:
    """The same with its memory: what it has now, and what it had before."""
    posture = a_posture(device_key, **changes)
    return KnownDevice(
        posture,
        tuple(sorted({*posture.user_addresses, *had_addresses})),
        tuple(sorted({*posture.device_ids, *had_device_ids})),
        moments or Moments(),
    )
