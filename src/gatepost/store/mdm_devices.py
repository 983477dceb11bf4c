"""Devices as their sources described them last, and every DeviceId and user that they ever had.

Bindings are never taken away while the device is known: an MDM stops reporting them exactly when access is to end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, func, select, true, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gatepost.engine.posture import remember
from gatepost.model import KnownDevice, Moments, Posture, address_key, canonical_device_id
from gatepost.store.encoding import Record
from gatepost.store.mdm_schema import mdm_bindings, mdm_devices

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Executable

    from gatepost.store.database import Reader, Writer

DEVICE_ID = "device_id"
USER = "user"

_POSTURE = Record(Posture)
_MOMENTS = Record(Moments)
_DEVICE = mdm_devices.c
_KEY = (_DEVICE.source, _DEVICE.device_key)
_BINDING = mdm_bindings.c
_BOUND = (_BINDING.source, _BINDING.device_key)
_COLUMNS = [_DEVICE[name] for name in (*_POSTURE.names, *_MOMENTS.names)]
_SEEN_AGAIN = timedelta(hours=1)  # how exactly it is known when a binding was seen last: most looks find nothing new
_DEVICES_IN_A_STATEMENT = 1000  # two parameters each; SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class Binding:
    """A DeviceId (`kind` is DEVICE_ID) or a user's address (USER) that the device has or had; `last_seen` to the hour."""

    kind: str
    value: str
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Remembered:
    """A device as it is kept: `bound` is when it was seen last with each (kind, value), now or ever.

    `missing_since`: the source says that there is no such device, since then; once is no proof.
    """

    posture: Posture
    moments: Moments
    bound: Mapping[tuple[str, str], datetime]
    missing_since: datetime | None = None

    @property
    def known(self) -> KnownDevice:
        """What is to be judged of it."""
        return _known(self.posture, self.moments, self.bound)


def after(before: Remembered | None, posture: Posture) -> Remembered:
    """What is to be kept once the source has said this; what is bound now joins what was bound before. Pure."""
    posture = _storable(posture)
    if before is not None and posture.other_key is None:
        posture = replace(posture, other_key=before.posture.other_key)  # a record that lost it is still called so
    bound = {} if before is None else dict(before.bound)
    for key in _bound_now(posture):
        if key not in bound or posture.observed_at - bound[key] >= _SEEN_AGAIN:
            bound[key] = posture.observed_at
    return Remembered(posture, remember(None if before is None else before.moments, posture), bound)


def gone(before: Remembered, now: datetime) -> Remembered:
    """What is to be kept once the device is gone for certain: what was known last. Pure."""
    if before.posture.gone:
        return before  # gone since then, not since now
    return after(before, replace(before.posture, gone=True, observed_at=now))


def remembered(reader: Reader, source: str, device_keys: Collection[str]) -> dict[str, Remembered]:
    """Those of these devices that are known, by key; some hundred keys at most."""
    names = {"of_source": source, "device_keys": list(device_keys)}
    bound: dict[str, dict[tuple[str, str], datetime]] = {}
    for device_key, kind, value, last_seen in reader.connection.execute(_BOUND_TO, names):
        bound.setdefault(device_key, {})[kind, value] = last_seen
    found = {}
    for *columns, missing_since in reader.connection.execute(_THESE, names):
        posture, moments = _read(columns)
        key = posture.device_key
        found[key] = Remembered(posture, moments, bound.get(key, {}), missing_since)
    return found


def keep(writer: Writer, changes: Collection[tuple[Remembered | None, Remembered]]) -> None:
    """Write what changed of devices: each as it is kept, and as it is to be kept."""
    rows, news = [], []
    for before, now in changes:
        posture = now.posture
        columns = _POSTURE.to_columns(posture) | _MOMENTS.to_columns(now.moments)
        rows.append(columns | {"missing_since": now.missing_since, "first_seen": posture.observed_at})
        had = {} if before is None else before.bound
        named = {"source": posture.source, "device_key": posture.device_key}
        for (kind, value), seen in now.bound.items():
            if had.get((kind, value)) != seen:
                news.append({"kind": kind, "value": value, "first_seen": seen, "last_seen": seen, **named})
    dialect = writer.connection.dialect.name
    if rows:
        writer.connection.execute(_PUT[dialect], rows)
    if news:
        writer.connection.execute(_BIND[dialect], news)


def put(writer: Writer, posture: Posture) -> KnownDevice:
    """Keep what the source said of one device, with its moments."""
    before = remembered(writer, posture.source, [posture.device_key]).get(posture.device_key)
    now = after(before, posture)
    keep(writer, [(before, now)])
    return now.known


def known(reader: Reader, source: str, device_key: str) -> KnownDevice | None:
    """The device with its memory, or None."""
    found = remembered(reader, source, [device_key]).get(device_key)
    return None if found is None else found.known


def called(reader: Reader, source: str, other_keys: Collection[str]) -> list[str]:
    """The device keys of the source's devices that its notifications may call by one of these."""
    named = (_DEVICE.source == source, _DEVICE.other_key.in_(sorted(other_keys)))
    return list(reader.connection.execute(select(_DEVICE.device_key).where(*named)).scalars())


def holders(reader: Reader, device_ids: Collection[str]) -> dict[str, set[tuple[str, str]]]:
    """Which devices, by (source, device key), have or ever had each of these DeviceIds."""
    found: dict[str, set[tuple[str, str]]] = {}
    for source, device_key, value in reader.connection.execute(_HOLDERS, {"device_ids": list(device_ids)}):
        found.setdefault(value, set()).add((source, device_key))
    return found


def related(reader: Reader, device: KnownDevice) -> list[KnownDevice]:
    """Every device, of every source, that ever had one of the DeviceIds of this one; itself, as it is given, included."""
    itself = (device.posture.source, device.posture.device_key)
    others = {key for keys in holders(reader, device.device_ids).values() for key in keys} - {itself}
    return in_order([device, *of_keys(reader, others)])


def of_keys(reader: Reader, keys: Collection[tuple[str, str]]) -> list[KnownDevice]:
    """Those of the devices with these (source, device key) that are known."""
    ordered = sorted(keys)
    some = (ordered[at : at + _DEVICES_IN_A_STATEMENT] for at in range(0, len(ordered), _DEVICES_IN_A_STATEMENT))
    return [device for part in some for device in _select(reader, tuple_(*_KEY).in_(part))]


def in_order(devices: Iterable[KnownDevice]) -> list[KnownDevice]:
    """By source and device key."""
    return sorted(devices, key=lambda one: (one.posture.source, one.posture.device_key))


def find(
    reader: Reader,
    *,
    device_id: str | None = None,
    address: str | None = None,
    serial: str | None = None,
    imei: str | None = None,
    limit: int = 100,
) -> list[KnownDevice]:
    """Devices that have, or ever had, all of what is given; by source and device key."""
    bound = ((DEVICE_ID, device_id and canonical_device_id(device_id)), (USER, address and address_key(address)))
    where = [_has(kind, value) for kind, value in bound if value is not None]
    where += [
        column == value for column, value in ((_DEVICE.serial, serial), (_DEVICE.imei, imei)) if value is not None
    ]
    return _select(reader, and_(*where), limit) if where else []


def page(reader: Reader, after: tuple[str, str] | None, limit: int, *, source: str | None = None) -> list[KnownDevice]:
    """At most `limit` devices behind the (source, device key) `after`, by these; of one source, or of all."""
    where = [] if source is None else [_DEVICE.source == source]
    if after is not None:
        where.append(tuple_(*_KEY) > tuple_(*after))
    return _select(reader, and_(true(), *where), limit)


def keys(reader: Reader, source: str, after: str | None, limit: int) -> list[str]:
    """At most `limit` device keys of the source behind `after`, in order."""
    where = [_DEVICE.source == source, *([] if after is None else [_DEVICE.device_key > after])]
    statement = select(_DEVICE.device_key).where(*where).order_by(_DEVICE.device_key).limit(limit)
    return list(reader.connection.execute(statement).scalars())


def count(reader: Reader, source: str | None = None) -> int:
    """How many devices are known and not gone, of one source or of all."""
    where = [_DEVICE.gone.is_(False), *([] if source is None else [_DEVICE.source == source])]
    return int(reader.connection.execute(select(func.count()).select_from(mdm_devices).where(*where)).scalar_one())


def bindings(reader: Reader, source: str, device_key: str) -> list[Binding]:
    """What the device has and had, DeviceIds first."""
    columns = [_BINDING[field.name] for field in fields(Binding)]
    statement = select(*columns).where(_BINDING.source == source, _BINDING.device_key == device_key)
    return [Binding(*row) for row in reader.connection.execute(statement.order_by(_BINDING.kind, _BINDING.value))]


def gone_before(reader: Reader, source: str, moment: datetime, limit: int = 1000) -> list[str]:
    """The keys of devices that are gone since before the moment: what may be forgotten."""
    old = [_DEVICE.source == source, _DEVICE.gone.is_(True), _DEVICE.observed_at < moment]
    statement = select(_DEVICE.device_key).where(*old).order_by(_DEVICE.device_key).limit(limit)
    return list(reader.connection.execute(statement).scalars())


def forget(writer: Writer, source: str, device_key: str) -> bool:
    """Take the device and its bindings away; False when it was not known. Its overrides must have been taken away."""
    bound = and_(_BINDING.source == source, _BINDING.device_key == device_key)
    forgotten = writer.connection.execute(delete(mdm_devices).where(_named(source, device_key))).rowcount
    writer.connection.execute(delete(mdm_bindings).where(bound))  # after its device, as `keep` locks them
    return bool(forgotten)


def _named(source: str, device_key: str) -> ColumnElement[bool]:
    return and_(_DEVICE.source == source, _DEVICE.device_key == device_key)


def _has(kind: str, value: str) -> ColumnElement[bool]:
    having = select(*_BOUND).where(_BINDING.kind == kind, _BINDING.value == value)
    return tuple_(*_KEY).in_(having)


def _select(reader: Reader, condition: ColumnElement[bool], limit: int | None = None) -> list[KnownDevice]:
    statement = select(*_COLUMNS).where(condition).order_by(*_KEY).limit(limit)
    return _with_bindings(reader, [_read(row) for row in reader.connection.execute(statement)])


def _read(row: Sequence[Any]) -> tuple[Posture, Moments]:
    width = len(_POSTURE.names)
    return _POSTURE.from_columns(row[:width]), _MOMENTS.from_columns(row[width:])


def _known(posture: Posture, moments: Moments, bound: Iterable[tuple[str, str]]) -> KnownDevice:
    values = sorted(bound)
    addresses, device_ids = (tuple(value for kind, value in values if kind == one) for one in (USER, DEVICE_ID))
    return KnownDevice(posture, addresses, device_ids, moments)


def _with_bindings(reader: Reader, found: Sequence[tuple[Posture, Moments]]) -> list[KnownDevice]:
    had: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for start in range(0, len(found), _DEVICES_IN_A_STATEMENT):
        some = [(one.source, one.device_key) for one, _ in found[start : start + _DEVICES_IN_A_STATEMENT]]
        statement = select(*_BOUND, _BINDING.kind, _BINDING.value).where(tuple_(*_BOUND).in_(some))
        for source, device_key, kind, value in reader.connection.execute(statement):
            had.setdefault((source, device_key), []).append((kind, value))
    return [_known(one, moments, had.get((one.source, one.device_key), ())) for one, moments in found]


def _bound_now(posture: Posture) -> list[tuple[str, str]]:
    if posture.gone:
        return []
    return [(DEVICE_ID, one) for one in posture.device_ids] + [(USER, one) for one in posture.user_addresses]


def _storable(posture: Posture) -> Posture:
    """The posture without characters that PostgreSQL refuses; an empty text is none, lest two devices share it."""
    serial, imei, name = (
        text.replace("\0", "?") if text else None for text in (posture.serial, posture.imei, posture.friendly_name)
    )
    return replace(posture, serial=serial, imei=imei, friendly_name=name)


def _put(dialect: Any) -> Executable:
    statement: Any = dialect.insert(mdm_devices)
    kept = {"source", "device_key", "first_seen"}
    values = {column.name: statement.excluded[column.name] for column in _DEVICE if column.name not in kept}
    putting: Executable = statement.on_conflict_do_update(index_elements=list(_KEY), set_=values)
    return putting


def _bind(dialect: Any) -> Executable:
    statement: Any = dialect.insert(mdm_bindings)
    key = list(mdm_bindings.primary_key.columns)
    binding: Executable = statement.on_conflict_do_update(
        index_elements=key, set_={"last_seen": statement.excluded.last_seen}
    )
    return binding


_PUT = {"postgresql": _put(postgresql), "sqlite": _put(sqlite)}
_BIND = {"postgresql": _bind(postgresql), "sqlite": _bind(sqlite)}

# Made once, because making a statement takes longer than running it, and these run all the time.
_THESE = select(*_COLUMNS, _DEVICE.missing_since).where(
    _DEVICE.source == bindparam("of_source"), _DEVICE.device_key.in_(bindparam("device_keys", expanding=True))
)
_BOUND_TO = select(_BINDING.device_key, _BINDING.kind, _BINDING.value, _BINDING.last_seen).where(
    _BINDING.source == bindparam("of_source"), _BINDING.device_key.in_(bindparam("device_keys", expanding=True))
)
_HOLDERS = select(*_BOUND, _BINDING.value).where(
    _BINDING.kind == DEVICE_ID, _BINDING.value.in_(bindparam("device_ids", expanding=True))
)
