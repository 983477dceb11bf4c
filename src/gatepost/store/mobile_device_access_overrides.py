"""Mobile device access overrides, by user and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import Kind, MobileDeviceAccessOverride
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_OVERRIDES: NounTable[MobileDeviceAccessOverride] = NounTable(Kind.MOBILE_DEVICE_ACCESS_OVERRIDE)
_TABLE = _OVERRIDES.table


def get(reader: Reader, organization_id: str, user_id: str, device_id: str) -> MobileDeviceAccessOverride | None:
    """The override, or None; `device_id` is canonical."""
    return _OVERRIDES.get(reader, organization_id, user_id, device_id)


def put(transaction: Transaction, override: MobileDeviceAccessOverride) -> int:
    """Create or replace; returns the revision. The user must be in the store."""
    return _OVERRIDES.put(transaction, override)


def delete(transaction: Transaction, organization_id: str, user_id: str, device_id: str) -> bool:
    """Remove the override; False when there was none."""
    return _OVERRIDES.delete(transaction, organization_id, user_id, device_id)


def position(override: MobileDeviceAccessOverride) -> str:
    """What `page` takes as `after` to go on behind this one."""
    return f"{override.user_id}/{override.device_id}"


def page(
    reader: Reader,
    organization_id: str,
    after: str | None,
    limit: int,
    *,
    user_id: str | None = None,
    device_id: str | None = None,
) -> list[MobileDeviceAccessOverride]:
    """At most `limit` overrides behind the position `after`, by user id and device id; of a user, a device, or both."""
    conditions = [
        _TABLE.c[name] == value for name, value in (("user_id", user_id), ("device_id", device_id)) if value is not None
    ]
    key = None if after is None else after.rpartition("/")[::2]  # a DeviceId has no slash
    return _OVERRIDES.page(reader, organization_id, key, limit, *conditions)
