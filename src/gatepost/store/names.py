"""Names, addresses and aliases: each belongs to one user or group of an organization, in any case of letters.

They are looked up by `address_key`. Users' are in `logins`, groups' in `group_names`; those of deleted users, which several
may have had, in `deleted_logins`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, select

from gatepost.model import address_key
from gatepost.store.errors import UniqueViolation
from gatepost.store.schema import deleted_logins, group_names, logins

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement, Table

    from gatepost.model import Entity
    from gatepost.store.database import Reader, Transaction


def keys(entity: Entity) -> tuple[str, ...]:
    """The keys of all its names, each once."""
    names = (entity.name, entity.email, *entity.aliases)
    return tuple(dict.fromkeys(address_key(name) for name in names if name is not None))


def addresses(entity: Entity) -> frozenset[str]:
    """The keys of its addresses: a name that looks like one is none."""
    return frozenset(address_key(address) for address in (entity.email, *entity.aliases) if address is not None)


def has_address_in(entity: Entity, domain: str) -> bool:
    """Whether it has an address in the mail domain (lower case); a name that looks like one is none."""
    return any(address.endswith(f"@{domain}") for address in addresses(entity))


class NameTable:
    """Who has which name: a table of (organization, key, id)."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._organization, self._key, self._id = table.columns
        wanted = (self._organization == bindparam("organization"), self._key.in_(bindparam("wanted", expanding=True)))
        self._owners = select(self._id).where(*wanted)
        self._ids = select(self._key, self._id).where(*wanted)

    def owners(self, reader: Reader, organization_id: str, wanted: Collection[str]) -> list[str]:
        """The ids of those who have one of these keys, in their order."""
        # sorted here: asked to sort by id, SQLite reads all of the organization by another index, which is in that order
        names = {"organization": organization_id, "wanted": list(wanted)}
        return sorted(set(reader.connection.execute(self._owners, names).scalars()))

    def ids(self, reader: Reader, organization_id: str, wanted: Collection[str]) -> dict[str, str]:
        """The id of somebody who has it, for those of these keys that somebody has; some hundred keys at most."""
        names = {"organization": organization_id, "wanted": list(wanted)}
        return {row[0]: row[1] for row in reader.connection.execute(self._ids, names)}

    def owners_in_domain(self, reader: Reader, organization_id: str, domain: str) -> list[str]:
        """The ids of those who have a name in the mail domain (lower case), in the order of the names."""
        ending = f"@{domain}"
        tail = func.substr(self._key, func.length(self._key) - len(ending) + 1)
        statement = select(self._id).where(self._organization == organization_id, tail == ending)
        return list(dict.fromkeys(reader.connection.execute(statement.order_by(self._key)).scalars()))

    def another(
        self, reader: Reader, organization_id: str, entity_id: str, wanted: Collection[str]
    ) -> tuple[str, str] | None:
        """The first key of these that somebody else has, and who; None when they are free."""
        where: tuple[ColumnElement[bool], ...] = (self._organization == organization_id, self._id != entity_id)
        statement = select(self._key, self._id).where(*where, self._key.in_(wanted)).order_by(self._key)
        row = reader.connection.execute(statement).first()
        return None if row is None else (row[0], row[1])

    def replace(self, transaction: Transaction, organization_id: str, entity_id: str, names: Collection[str]) -> None:
        """Exactly these keys are the entity's from now on."""
        own = (self._organization == organization_id) & (self._id == entity_id)
        transaction.connection.execute(delete(self._table).where(own))
        if names:
            columns = (self._organization.name, self._key.name, self._id.name)
            rows = [dict(zip(columns, (organization_id, name, entity_id), strict=True)) for name in names]
            transaction.connection.execute(insert(self._table), rows)

    def add(self, transaction: Transaction, organization_id: str, names: Mapping[str, str]) -> None:
        """These keys, which nobody has, are from now on those of the entities with these ids."""
        columns = (self._organization.name, self._key.name, self._id.name)
        rows = [dict(zip(columns, (organization_id, *pair), strict=True)) for pair in names.items()]
        transaction.connection.execute(insert(self._table), rows)


LOGINS = NameTable(logins)
GROUP_NAMES = NameTable(group_names)
DELETED_LOGINS = NameTable(deleted_logins)


def require_free(transaction: Transaction, entity: Entity, entity_id: str) -> None:
    """Raises UniqueViolation ("login") where another user or group has one of the entity's names."""
    for table in (LOGINS, GROUP_NAMES):
        taken = table.another(transaction, entity.organization_id, entity_id, keys(entity))
        if taken is not None:
            raise UniqueViolation("login", *taken)
