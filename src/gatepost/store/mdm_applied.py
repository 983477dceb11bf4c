"""What the bridge wrote last at its targets: by this it knows its own overrides, and sees when somebody edited one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from gatepost.model import AppliedOverride, Effect
from gatepost.store.columns import Moment
from gatepost.store.encoding import Record
from gatepost.store.mdm_schema import mdm_applied, mdm_devices
from gatepost.store.tables import upsert

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost.store.database import Reader, Writer

_RECORD = Record(AppliedOverride)
_ROW = mdm_applied.c
_COLUMNS = [_ROW[name] for name in _RECORD.names]
_PAIR = (_ROW.organization_id, _ROW.user_id, _ROW.device_id)


def get(reader: Reader, target: str, organization_id: str, user_id: str, device_id: str) -> AppliedOverride | None:
    """What was written for the user and the device, or None."""
    values = dict(zip(_NAMES, (target, organization_id, user_id, device_id), strict=True))
    row = reader.connection.execute(_GET, values).first()
    return None if row is None else _RECORD.from_columns(row)


def put(writer: Writer, *applied: AppliedOverride) -> None:
    """Remember each, in place of what was written before."""
    if applied:
        upsert(writer.connection, mdm_applied, [_RECORD.to_columns(one) for one in applied])


def put_new(writer: Writer, applied: AppliedOverride) -> bool:
    """Remember it; False, and nothing, where something is remembered of the pair."""
    insert: Any = postgresql.insert if writer.connection.dialect.name == "postgresql" else sqlite.insert
    putting = insert(mdm_applied).values(_RECORD.to_columns(applied)).on_conflict_do_nothing()
    return writer.connection.execute(putting.returning(_ROW.target)).first() is not None


def delete(writer: Writer, target: str, organization_id: str, user_id: str, device_id: str) -> bool:
    """Forget it: the override is taken away, or is somebody else's now; False when there was nothing."""
    values = dict(zip(_NAMES, (target, organization_id, user_id, device_id), strict=True))
    return bool(writer.connection.execute(_DELETE, values).rowcount)


def delete_many(writer: Writer, applied: Collection[AppliedOverride]) -> None:
    """Forget all of them."""
    pairs = ((one.target, one.organization_id, one.user_id, one.device_id) for one in applied)
    if applied:
        writer.connection.execute(_DELETE, [dict(zip(_NAMES, pair, strict=True)) for pair in pairs])


def doubt(writer: Writer, applied: AppliedOverride) -> None:
    """What stands there is not what was written; nothing, where it has been written anew meanwhile."""
    pair = (applied.target, applied.organization_id, applied.user_id, applied.device_id)
    same = and_(_NAMED, _ROW.written_at == bindparam("of_written_at", type_=Moment))
    values = dict(zip(_NAMES, pair, strict=True)) | {"of_written_at": applied.written_at}
    writer.connection.execute(update(mdm_applied).where(same).values(doubtful_since=writer.now), values)


def of_devices(reader: Reader, target: str, source: str, device_keys: Collection[str]) -> list[AppliedOverride]:
    """What was written at the target for the sake of these devices of the source; some hundred keys at most."""
    names = {"of_target": target, "of_source": source, "device_keys": list(device_keys)}
    return [_RECORD.from_columns(row) for row in reader.connection.execute(_OF_DEVICES, names)]


def of_users(reader: Reader, target: str, organization_id: str, user_ids: Collection[str]) -> list[AppliedOverride]:
    """What was written at the target for these users of the organization; some hundred ids at most."""
    names = {"of_target": target, "of_organization": organization_id, "user_ids": list(user_ids)}
    return [_RECORD.from_columns(row) for row in reader.connection.execute(_OF_USERS, names)]


def of_device(reader: Reader, source: str, device_key: str, target: str | None = None) -> list[AppliedOverride]:
    """What was written for the sake of the device, at one target or at all."""
    rows = reader.connection.execute(_OF_DEVICE, {"of_source": source, "of_device_key": device_key})
    written = [_RECORD.from_columns(row) for row in rows]
    return [one for one in written if target is None or one.target == target]


def page(reader: Reader, target: str, after: tuple[str, str, str] | None, limit: int) -> list[AppliedOverride]:
    """At most `limit` behind the (organization, user, device) `after`, by these."""
    where = [_ROW.target == target, *([] if after is None else [tuple_(*_PAIR) > tuple_(*after)])]
    return _select(reader, and_(*where), limit)


def orphans(reader: Reader, target: str, limit: int = 1000) -> list[AppliedOverride]:
    """At most `limit` of those whose device is not known any more: nobody would ever take them away."""
    device = and_(mdm_devices.c.source == _ROW.source, mdm_devices.c.device_key == _ROW.device_key)
    return _select(reader, and_(_ROW.target == target, ~exists().where(device)), limit)


def counts(reader: Reader, target: str, *, theirs: bool | None = None) -> dict[Effect, int]:
    """How many of each effect; only those that are somebody else's now, or only those that are not, where that is said."""
    where = [_ROW.target == target]
    if theirs is not None:
        where.append(_ROW.theirs_since.is_not(None) if theirs else _ROW.theirs_since.is_(None))
    statement = select(_ROW.effect, func.count()).where(*where).group_by(_ROW.effect)
    return {Effect(effect): count for effect, count in reader.connection.execute(statement)}


def allowed(reader: Reader, target: str, source: str) -> int:
    """How many of the source's devices have an ALLOW there; not those whose is somebody else's now."""
    where = (_ROW.target == target, _ROW.source == source, _ROW.effect == Effect.ALLOW.value)
    statement = select(func.count(_ROW.device_key.distinct())).where(*where, _ROW.theirs_since.is_(None))
    return int(reader.connection.execute(statement).scalar_one())


def _select(reader: Reader, condition: ColumnElement[bool], limit: int | None = None) -> list[AppliedOverride]:
    statement = select(*_COLUMNS).where(condition).order_by(_ROW.target, *_PAIR).limit(limit)
    return [_RECORD.from_columns(row) for row in reader.connection.execute(statement)]


# Made once: to make a statement takes several times as long as to run it.
_NAMES = ("of_target", "of_organization", "of_user", "of_device")
_NAMED = and_(*[column == bindparam(name) for name, column in zip(_NAMES, (_ROW.target, *_PAIR), strict=True)])
_GET = select(*_COLUMNS).where(_NAMED)
_DELETE = mdm_applied.delete().where(_NAMED)
_OF_DEVICE = (
    select(*_COLUMNS)
    .where(_ROW.source == bindparam("of_source"), _ROW.device_key == bindparam("of_device_key"))
    .order_by(_ROW.target, *_PAIR)
)
_OF_DEVICES = select(*_COLUMNS).where(
    _ROW.target == bindparam("of_target"),
    _ROW.source == bindparam("of_source"),
    _ROW.device_key.in_(bindparam("device_keys", expanding=True)),
)
_OF_USERS = select(*_COLUMNS).where(
    _ROW.target == bindparam("of_target"),
    _ROW.organization_id == bindparam("of_organization"),
    _ROW.user_id.in_(bindparam("user_ids", expanding=True)),
)
