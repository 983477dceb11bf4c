"""What sources sent, as it came; each one marks its device dirty in the same transaction (`mdm_work`).

Nothing follows from a notification's content but which device to look at, so a repetition marks the device all the same:
a sender whose body never changes has no other way to tell of a second event.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gatepost.model import Notification
from gatepost.store import mdm_work
from gatepost.store.encoding import Record
from gatepost.store.mdm_schema import mdm_notifications

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Executable

    from gatepost.store.database import Reader, Writer

_RECORD = Record(Notification)
_TABLE = mdm_notifications
_KEY = (_TABLE.c.source, _TABLE.c.notification_id)


def receive(writer: Writer, notification: Notification) -> bool:
    """Store the notification and mark its device dirty; False when the same one has come before."""
    return receive_many(writer, [notification])[0]


def receive_many(writer: Writer, notifications: Sequence[Notification]) -> list[bool]:
    """The same for many at once, with one commit and one answer for each: for what came within some milliseconds."""
    counts: Counter[tuple[str, str]] = Counter()
    fresh = []
    for one in notifications:
        fresh.append(counts[_key(one)] == 0)
        counts[_key(one)] += one.times
    # in the order of their keys: two batches that share some of them wait for each other, and do not deadlock
    newest = sorted({_key(one): one for one in notifications}.items())
    rows = [_RECORD.to_columns(one) | {"times": counts[key]} for key, one in newest]
    if not rows:
        return []
    stored = writer.connection.execute(_STORE[writer.connection.dialect.name], rows)
    new = {
        (source, notification_id)
        for source, notification_id, times in stored
        if times == counts[source, notification_id]
    }
    # of all of them: whoever gives two notifications one id tells of two devices all the same
    devices = [(one.source, one.device_key) for one in notifications if one.device_key is not None]
    mdm_work.dirty_many(writer, devices, urgent=True)
    return [first and _key(one) in new for first, one in zip(fresh, notifications, strict=True)]


def since(
    reader: Reader,
    source: str,
    moment: datetime,
    *,
    device_key: str | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 1000,
) -> list[Notification]:
    """What the source sent last at `moment` or later, of one device or of all, oldest first.

    `after` is (received_at, notification_id) of the last one, to go on behind it.
    """
    where = [_TABLE.c.source == source, _TABLE.c.received_at >= moment]
    if device_key is not None:
        where.append(_TABLE.c.device_key == device_key)
    order = (_TABLE.c.received_at, _TABLE.c.notification_id)
    if after is not None:
        where.append(tuple_(*order) > tuple_(*after))
    columns = [_TABLE.c[name] for name in _RECORD.names]
    rows = reader.connection.execute(select(*columns).where(*where).order_by(*order).limit(limit))
    return [_RECORD.from_columns(row) for row in rows]


def last_received(reader: Reader, source: str) -> datetime | None:
    """When the source last sent anything that is still here."""
    newest = select(func.max(_TABLE.c.received_at)).where(_TABLE.c.source == source)
    moment: datetime | None = reader.connection.execute(newest).scalar()
    return moment


def purge(writer: Writer, source: str, before: datetime, limit: int = 10_000) -> int:
    """Forget what the source sent before; at most `limit`, returns how many: call again while that is what it returns."""
    old = select(*_KEY).where(_TABLE.c.source == source, _TABLE.c.received_at < before).limit(limit)
    return writer.connection.execute(delete(_TABLE).where(tuple_(*_KEY).in_(old))).rowcount


def _key(notification: Notification) -> tuple[str, str]:
    return notification.source, notification.notification_id


def _store(dialect: Any) -> Executable:
    statement: Any = dialect.insert(_TABLE)
    again = {
        "times": _TABLE.c.times + statement.excluded.times,
        "received_at": statement.excluded.received_at,
        "device_key": statement.excluded.device_key,
    }
    storing: Executable = statement.on_conflict_do_update(index_elements=list(_KEY), set_=again).returning(
        *_KEY, _TABLE.c.times
    )
    return storing


_STORE = {"postgresql": _store(postgresql), "sqlite": _store(sqlite)}
