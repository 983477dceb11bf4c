"""Devices, as far as administrators change them: what is not used any more is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.store import devices

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost.model import Device
    from gatepost.operations.context import Context


def forget(context: Context, these: Iterable[Device]) -> int:
    """Forget devices on every gateway; returns how many there still were. Overrides stay: they are somebody's decisions."""
    with context.store.begin() as transaction:
        return sum(
            devices.delete(transaction, device.organization_id, device.user_id, device.device_id) for device in these
        )
