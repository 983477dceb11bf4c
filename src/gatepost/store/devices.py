"""Devices that logged in, by user and device; written in batches by gateways."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from gatepost.model import Device, DeviceFacts, Kind
from gatepost.store.tables import NounTable, upsert

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatepost.store.database import Reader, Transaction

_DEVICES: NounTable[Device] = NounTable(Kind.DEVICE)
_TABLE = _DEVICES.table
_USERS_IN_A_STATEMENT = 1000  # parameters; SQLite takes 32,766

_Key = tuple[str, str, str]


def get(reader: Reader, organization_id: str, user_id: str, device_id: str) -> Device | None:
    """The device of that user, or None; `device_id` is canonical."""
    return _DEVICES.get(reader, organization_id, user_id, device_id)


def save(transaction: Transaction, devices: Iterable[Device]) -> int:
    """Write what gateways saw; returns how many changes that made.

    A row that is there keeps its first_seen, and whoever saw the device last says how it is. What a device has
    reported about itself is not undone by a gateway that has not heard it. A Change is made when the row is new, or
    when its type, user agent, protocol version or facts differ: not for last_seen and the address alone.
    """
    batch = {_key(device): device for device in map(_storable, devices)}
    known = dict(_known(transaction, batch))
    merged = {key: _merge(known.get(key), device) for key, device in batch.items()}
    rows = [_DEVICES.record.to_columns(device) for key, device in merged.items() if device != known.get(key)]
    if rows:
        upsert(transaction.connection, _TABLE, rows)
    changed = [device for key, device in merged.items() if _told(known.get(key)) != _told(device)]
    for device in changed:
        transaction.change(Kind.DEVICE, device.organization_id, (device.user_id, device.device_id), device)
    return len(changed)


def delete(transaction: Transaction, organization_id: str, user_id: str, device_id: str) -> bool:
    """Forget the device; False when there was none."""
    return _DEVICES.delete(transaction, organization_id, user_id, device_id)


def position(device: Device) -> str:
    """What `page` takes as `after` to go on behind this one."""
    return f"{device.user_id}/{device.device_id}"


def page(
    reader: Reader, organization_id: str, after: str | None, limit: int, *, user_id: str | None = None
) -> list[Device]:
    """At most `limit` devices behind the position `after`, by user id and device id; of one user, or of all."""
    conditions = [] if user_id is None else [_TABLE.c.user_id == user_id]
    key = None if after is None else after.rpartition("/")[::2]  # a DeviceId has no slash
    return _DEVICES.page(reader, organization_id, key, limit, *conditions)


def _key(device: Device) -> _Key:
    return device.organization_id, device.user_id, device.device_id


def _known(reader: Reader, keys: Iterable[_Key]) -> Iterator[tuple[_Key, Device]]:
    # by user, of whom most have one or two devices: PostgreSQL finds no index for a long list of pairs
    users = groupby(sorted({key[:2] for key in keys}), itemgetter(0))
    for organization_id, pairs in users:
        rest = map(itemgetter(1), pairs)
        while chunk := list(islice(rest, _USERS_IN_A_STATEMENT)):
            theirs = (_TABLE.c.organization_id == organization_id) & _TABLE.c.user_id.in_(chunk)
            for device in _DEVICES.select(reader, theirs):
                yield _key(device), device


def _storable(device: Device) -> Device:
    """The device without characters that PostgreSQL refuses: what one phone says must not spoil a whole batch."""
    own, facts = _cleaned(device), _cleaned(device.facts)
    return replace(device, **own, facts=replace(device.facts, **facts)) if own or facts else device


def _cleaned(noun: Device | DeviceFacts) -> dict[str, Any]:
    texts = [(field.name, getattr(noun, field.name)) for field in fields(noun)]
    odd = [(name, text) for name, text in texts if isinstance(text, str) and not text.isprintable()]
    return {name: text.encode("utf-8", "replace").decode().replace("\0", "?") for name, text in odd}


def _merge(known: Device | None, seen: Device) -> Device:
    if known is None:
        return seen
    newer, older = (seen, known) if seen.last_seen >= known.last_seen else (known, seen)
    facts = newer.facts if newer.facts.reported or not older.facts.reported else older.facts
    return replace(newer, first_seen=min(known.first_seen, seen.first_seen), facts=facts)


def _told(device: Device | None) -> tuple[object, ...] | None:
    """What the feed tells about a device."""
    if device is None:
        return None
    return device.device_type, device.http_user_agent, device.protocol_version, device.facts
