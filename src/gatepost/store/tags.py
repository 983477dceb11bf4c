"""Tags of organizations: values by key. Nothing decides by them, so they are no nouns of the feed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from gatepost.store.schema import tags
from gatepost.store.tables import upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gatepost.store.database import Reader, Transaction


def of(reader: Reader, organization_id: str) -> dict[str, str]:
    """The organization's tags, in the order of their keys."""
    rows = reader.connection.execute(
        select(tags.c.key, tags.c.value).where(tags.c.organization_id == organization_id).order_by(tags.c.key)
    )
    return {row.key: row.value for row in rows}


def put(transaction: Transaction, organization_id: str, given: Mapping[str, str]) -> None:
    """Add these tags; a key that is there takes the new value."""
    if given:
        rows = [{"organization_id": organization_id, "key": key, "value": value} for key, value in given.items()]
        upsert(transaction.connection, tags, rows)


def delete(transaction: Transaction, organization_id: str, keys: Collection[str]) -> None:
    """Remove the tags with these keys, those that are there."""
    transaction.connection.execute(
        delete_rows(tags).where(tags.c.organization_id == organization_id, tags.c.key.in_(keys))
    )
