"""What the mass-change guard has counted of a source's devices since its last sweep began, for all bridges together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, case, delete, func, select

from gatepost.store.mdm_schema import mdm_looks
from gatepost.store.tables import upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gatepost.store.database import Reader, Writer

_LOOK = mdm_looks.c
_OF = select(_LOOK.device_key, _LOOK.turned).where(
    _LOOK.source == bindparam("of_source"), _LOOK.device_key.in_(bindparam("keys", expanding=True))
)
_COUNTS = select(func.count(), func.coalesce(func.sum(case((_LOOK.turned, 1), else_=0)), 0)).where(
    _LOOK.source == bindparam("of_source")
)


def of(reader: Reader, source: str, device_keys: Collection[str]) -> dict[str, bool]:
    """Those of these devices that were counted, and whether each would lose its ALLOW."""
    rows = reader.connection.execute(_OF, {"of_source": source, "keys": list(device_keys)})
    return {row.device_key: row.turned for row in rows}


def counts(reader: Reader, source: str) -> tuple[int, int]:
    """How many devices were counted, and how many of them would lose their ALLOW."""
    counted, turned = reader.connection.execute(_COUNTS, {"of_source": source}).one()
    return int(counted), int(turned)


def put(writer: Writer, source: str, looks: Mapping[str, bool]) -> None:
    """Count these devices, or count them anew."""
    rows = [{"source": source, "device_key": key, "turned": turned} for key, turned in sorted(looks.items())]
    if rows:
        upsert(writer.connection, mdm_looks, rows)


def clear(writer: Writer, source: str) -> None:
    """Nothing is counted yet."""
    writer.connection.execute(delete(mdm_looks).where(_LOOK.source == source))
