"""How each source is doing: its sweeps, its failures, its quota, and whether mass changes are held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from gatepost.model import SourceState
from gatepost.store.encoding import Record
from gatepost.store.mdm_schema import mdm_sources

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Writer

_RECORD = Record(SourceState)
_COLUMNS = [mdm_sources.c[name] for name in _RECORD.names]


def get(reader: Reader, source: str) -> SourceState:
    """How the source is doing; one that was never heard of is as new."""
    row = reader.connection.execute(select(*_COLUMNS).where(mdm_sources.c.source == source)).first()
    return SourceState(source) if row is None else _RECORD.from_columns(row)


def change(writer: Writer, source: str, **values: Any) -> SourceState:
    """Set what is given (fields of SourceState), and leave the rest as it is; returns the whole."""
    insert: Any = postgresql.insert if writer.connection.dialect.name == "postgresql" else sqlite.insert
    columns = {"failures": 0} | values
    changing = (
        insert(mdm_sources)
        .values(source=source, **columns)
        .on_conflict_do_update(index_elements=[mdm_sources.c.source], set_=values or {"source": source})
    )
    row = writer.connection.execute(changing.returning(*_COLUMNS)).one()
    return _RECORD.from_columns(row)


def list(reader: Reader) -> tuple[SourceState, ...]:  # noqa: A001 - `mdm_sources.list` reads as it should
    """Every source that was ever heard of, configured or not, by name."""
    rows = reader.connection.execute(select(*_COLUMNS).order_by(mdm_sources.c.source))
    return tuple(_RECORD.from_columns(row) for row in rows)
