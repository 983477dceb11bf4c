"""A source that is not configured any more: what it left behind in the bridge's tables, and how that is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, tuple_, update

from gatepost.model import AppliedOverride, Effect
from gatepost.store.encoding import Record
from gatepost.store.mdm_devices import DEVICE_ID
from gatepost.store.mdm_schema import (
    mdm_applied,
    mdm_bindings,
    mdm_devices,
    mdm_looks,
    mdm_notifications,
    mdm_sources,
    mdm_work,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Table

    from gatepost.store.database import Reader, Writer

_APPLIED = Record(AppliedOverride)
_ROW = mdm_applied.c
_PAIR = (_ROW.target, _ROW.organization_id, _ROW.user_id, _ROW.device_id)
_BINDING = mdm_bindings.c
_WORK = mdm_work.c


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """How many overrides of a source stand at a target; `shared`: devices of other sources have their DeviceIds too."""

    source: str
    target: str
    organization_id: str
    effect: Effect
    shared: bool
    count: int


def left_behind(reader: Reader, configured: Collection[str]) -> list[LeftBehind]:
    """What was written for all other sources than the `configured`; not what is somebody else's now."""
    sharing = and_(_BINDING.kind == DEVICE_ID, _BINDING.value == _ROW.device_id, _among(_BINDING.source, configured))
    columns = (_ROW.source, _ROW.target, _ROW.organization_id, _ROW.effect, exists().where(sharing).label("shared"))
    rows = select(*columns).where(~_among(_ROW.source, configured), _ROW.theirs_since.is_(None)).subquery()
    statement = select(*rows.c, func.count()).group_by(*rows.c).order_by(*rows.c)
    found = reader.connection.execute(statement)
    return [LeftBehind(*row[:3], Effect(row[3]), bool(row[4]), row[5]) for row in found]


def is_known(reader: Reader, source: str, also: Collection[str] = ()) -> bool:
    """Whether anything of the source is there, or a dirty row of `also`."""
    found = [select(table.c.source).where(_of(table, source, also)).limit(1) for table in (*_FORGOTTEN, mdm_sources)]
    found.append(select(_ROW.source).where(_ROW.source == source).limit(1))
    return any(reader.connection.execute(one).first() is not None for one in found)


def written(reader: Reader, source: str, after: tuple[str, str, str, str] | None, limit: int) -> list[AppliedOverride]:
    """At most `limit` of what was written for the source, behind the (target, organization, user, device) `after`."""
    where = [_ROW.source == source, *([] if after is None else [tuple_(*_PAIR) > tuple_(*after)])]
    columns = [_ROW[name] for name in _APPLIED.names]
    rows = reader.connection.execute(select(*columns).where(*where).order_by(*_PAIR).limit(limit))
    return [_APPLIED.from_columns(row) for row in rows]


def sharing(reader: Reader, device_ids: Collection[str], sources: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """For each DeviceId the devices, as (source, device key), of these sources that have or had it; in order."""
    having = (_BINDING.kind == DEVICE_ID, _among(_BINDING.value, device_ids), _among(_BINDING.source, sources))
    columns = (_BINDING.value, _BINDING.source, _BINDING.device_key)
    found: dict[str, list[tuple[str, str]]] = {}
    for device_id, source, device_key in reader.connection.execute(select(*columns).where(*having).order_by(*columns)):
        found.setdefault(device_id, []).append((source, device_key))
    return found


def hand_over(writer: Writer, applied: AppliedOverride, device: tuple[str, str]) -> bool:
    """What was written counts as written for the (source, device key); False when it is another device's by now."""
    pair = (applied.target, applied.organization_id, applied.user_id, applied.device_id)
    mine = (_ROW.source == applied.source, _ROW.device_key == applied.device_key)
    # only these columns: a delivery may be changing the others
    handing = update(mdm_applied).where(tuple_(*_PAIR) == tuple_(*pair), *mine)
    return bool(writer.connection.execute(handing.values(source=device[0], device_key=device[1])).rowcount)


def forget(writer: Writer, source: str, also: Collection[str] = (), limit: int = 1000) -> dict[str, int]:
    """Take away its devices, bindings, notifications and dirty rows, and the dirty rows of `also`: how many of each table.

    At most `limit` of each: call again until all are zero; then it is forgotten too how the source was doing.
    """
    counts = {}
    for table in _FORGOTTEN:
        key = list(table.primary_key.columns)
        some = select(*key).where(_of(table, source, also)).limit(limit)
        counts[table.name] = writer.connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount
    if not any(counts.values()):
        writer.connection.execute(delete(mdm_sources).where(mdm_sources.c.source == source))
    return counts


def forget_deliveries(writer: Writer, source: str, target: str, key: str) -> int:
    """Take away those dirty rows of the target (`key` is their source) for whose device of `source` nothing stands there."""
    prefix = f"{source}/"
    stands = select(_ROW.device_key).where(_ROW.target == target, _ROW.source == source)
    nothing = func.substr(_WORK.device_key, len(prefix) + 1).not_in(stands)
    mine = (_WORK.source == key, func.substr(_WORK.device_key, 1, len(prefix)) == prefix)
    return writer.connection.execute(delete(mdm_work).where(*mine, nothing)).rowcount


def _of(table: Table, source: str, also: Collection[str]) -> ColumnElement[bool]:
    mine = table.c.source == source
    return or_(mine, _among(table.c.source, also)) if table is mdm_work else mine


def _among(column: ColumnElement[str], values: Collection[str]) -> ColumnElement[bool]:
    return column.in_(sorted(values))


# Devices before what is bound to them, as everywhere.
_FORGOTTEN = (mdm_devices, mdm_bindings, mdm_looks, mdm_notifications, mdm_work)
