"""Mobile device access overrides, by user and device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, func, or_, select

from gatepost.model import Effect, Kind, MobileDeviceAccessOverride, Owner
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from gatepost.store.database import Reader, Transaction

_OVERRIDES: NounTable[MobileDeviceAccessOverride] = NounTable(Kind.MOBILE_DEVICE_ACCESS_OVERRIDE)
_TABLE = _OVERRIDES.table
_OF_PAIR = select(*[_TABLE.c[name] for name in _OVERRIDES.record.names]).where(
    _TABLE.c.organization_id == bindparam("of_organization"),
    _TABLE.c.user_id == bindparam("of_user"),
    _TABLE.c.device_id == bindparam("of_device"),
)
_OF_USERS = select(*[_TABLE.c[name] for name in _OVERRIDES.record.names]).where(
    _TABLE.c.organization_id == bindparam("of_organization"),
    _TABLE.c.user_id.in_(bindparam("user_ids", expanding=True)),
)
_BEHIND = "~"  # sorts behind every owner


def get(
    reader: Reader, organization_id: str, user_id: str, device_id: str, owner: Owner
) -> MobileDeviceAccessOverride | None:
    """The override of that owner, or None; `device_id` is canonical."""
    return _OVERRIDES.get(reader, organization_id, user_id, device_id, owner.value)


def of_pair(
    reader: Reader, organization_id: str, user_id: str, device_id: str
) -> tuple[MobileDeviceAccessOverride, ...]:
    """The overrides of (user, device), a person's before the bridge's; none, one or both."""
    pair = {"of_organization": organization_id, "of_user": user_id, "of_device": device_id}
    found = [_OVERRIDES.record.from_columns(row) for row in reader.connection.execute(_OF_PAIR, pair)]
    return tuple(sorted(found, key=lambda one: one.owner is Owner.BRIDGE))


def of_users(reader: Reader, organization_id: str, user_ids: Collection[str]) -> list[MobileDeviceAccessOverride]:
    """All overrides of these users, in no order; some hundred ids at most."""
    names = {"of_organization": organization_id, "user_ids": list(user_ids)}
    return [_OVERRIDES.record.from_columns(row) for row in reader.connection.execute(_OF_USERS, names)]


def expired(reader: Reader, now: datetime, limit: int) -> list[MobileDeviceAccessOverride]:
    """At most `limit` overrides of all organizations whose time is up."""
    return _OVERRIDES.select(reader, and_(_TABLE.c.expires.is_not(None), _TABLE.c.expires <= now), limit)


def counts(reader: Reader) -> dict[tuple[Owner, Effect], int]:
    """How many of each owner and effect there are in all organizations."""
    statement = select(_TABLE.c.owner, _TABLE.c.effect, func.count()).group_by(_TABLE.c.owner, _TABLE.c.effect)
    return {(Owner(owner), Effect(effect)): count for owner, effect, count in reader.connection.execute(statement)}


def contradicted(reader: Reader) -> int:
    """For how many (user, device) of all organizations a person and the bridge say the contrary of each other at present."""
    bridges = _TABLE.alias()
    pair = [bridges.c[name] == _TABLE.c[name] for name in ("organization_id", "user_id", "device_id")]
    owners = (_TABLE.c.owner == Owner.PERSON.value, bridges.c.owner == Owner.BRIDGE.value)
    last = [_lasting(one.c.expires, reader.now) for one in (_TABLE, bridges)]
    statement = select(func.count()).select_from(_TABLE.join(bridges, and_(*pair)))
    contrary = statement.where(*owners, *last, _TABLE.c.effect != bridges.c.effect)
    return int(reader.connection.execute(contrary).scalar_one())


def put(transaction: Transaction, override: MobileDeviceAccessOverride) -> int:
    """Create or replace; returns the revision. The user must be in the store."""
    return _OVERRIDES.put(transaction, override)


def put_many(transaction: Transaction, overrides: Sequence[MobileDeviceAccessOverride]) -> None:
    """Create or replace each, with a change of its own. The users must be in the store."""
    _OVERRIDES.put_many(transaction, overrides)


def delete_many(transaction: Transaction, overrides: Sequence[MobileDeviceAccessOverride]) -> None:
    """Remove each, with a change of its own; they must have been read in this transaction."""
    _OVERRIDES.delete_many(transaction, overrides)


def delete(transaction: Transaction, organization_id: str, user_id: str, device_id: str, owner: Owner) -> bool:
    """Remove the override of that owner; False when there was none."""
    return _OVERRIDES.delete(transaction, organization_id, user_id, device_id, owner.value)


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
    lasting_at: datetime | None = None,
) -> list[MobileDeviceAccessOverride]:
    """At most `limit` overrides behind the position `after`, by user id, device id and owner; of a user, a device, or both.

    The position is behind all overrides of its (user, device). `lasting_at`: without those whose time is up then.
    """
    conditions: list[ColumnElement[bool]] = [
        _TABLE.c[name] == value for name, value in (("user_id", user_id), ("device_id", device_id)) if value is not None
    ]
    if lasting_at is not None:
        conditions.append(_lasting(_TABLE.c.expires, lasting_at))
    key = None if after is None else (*after.rpartition("/")[::2], _BEHIND)  # a DeviceId has no slash
    return _OVERRIDES.page(reader, organization_id, key, limit, *conditions)


def _lasting(expires: ColumnElement[datetime], now: datetime) -> ColumnElement[bool]:
    return or_(expires.is_(None), expires > now)
