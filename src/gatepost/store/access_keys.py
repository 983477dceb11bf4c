"""Access keys and their secrets, which come here sealed and leave sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from gatepost.model import AccessKey
from gatepost.store.encoding import Record
from gatepost.store.schema import access_keys
from gatepost.store.tables import upsert

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_RECORD = Record(AccessKey)
_COLUMNS = [access_keys.c[name] for name in _RECORD.names]


def get(reader: Reader, access_key_id: str) -> tuple[AccessKey, bytes] | None:
    """The key, revoked or not, and its sealed secret; None when there is none."""
    statement = select(*_COLUMNS, access_keys.c.sealed_secret).where(access_keys.c.access_key_id == access_key_id)
    row = reader.connection.execute(statement).first()
    return None if row is None else (_RECORD.from_columns(row[:-1]), bytes(row[-1]))


def put(transaction: Transaction, access_key: AccessKey, sealed_secret: bytes) -> None:
    """Create the key, or replace it (to revoke it)."""
    row = _RECORD.to_columns(access_key) | {"sealed_secret": sealed_secret}
    upsert(transaction.connection, access_keys, row)


def list(reader: Reader) -> tuple[AccessKey, ...]:  # noqa: A001 - `access_keys.list` reads as it should
    """Every key, revoked ones included, oldest first."""
    rows = reader.connection.execute(
        select(*_COLUMNS).order_by(access_keys.c.date_created, access_keys.c.access_key_id)
    )
    return tuple(_RECORD.from_columns(row) for row in rows)
