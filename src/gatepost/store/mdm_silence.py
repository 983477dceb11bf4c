"""Whether a source ever sent anything, beside the devices that are known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, func, select

from gatepost.store.mdm_schema import mdm_devices, mdm_notifications

if TYPE_CHECKING:
    from datetime import datetime

    from gatepost.store.database import Reader


def without_notification_since(reader: Reader, source: str) -> datetime | None:
    """Since when a device of the source is known of which nothing was ever sent, nor of another, as far as that is kept.

    None: no device is known that is not gone, or a notification is here.
    """
    sent = exists().where(mdm_notifications.c.source == source)
    there = (mdm_devices.c.source == source, mdm_devices.c.gone.is_(False))
    since: datetime | None = reader.connection.execute(
        select(func.min(mdm_devices.c.first_seen)).where(*there, ~sent)
    ).scalar()
    return since
