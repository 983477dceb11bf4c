"""Groups and their names; a deleted group stays, in the state DELETED, and gives back its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import EntityState, Group, Kind, address_key
from gatepost.store import names
from gatepost.store.tables import NounTable, starts_with

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatepost.store.database import Reader, Transaction

_GROUPS: NounTable[Group] = NounTable(Kind.GROUP)
_TABLE = _GROUPS.table


def get(reader: Reader, organization_id: str, group_id: str) -> Group | None:
    """The group, deleted or not, or None."""
    return _GROUPS.get(reader, organization_id, group_id)


def named(reader: Reader, organization_id: str, name: str) -> Group | None:
    """The group, not deleted, that has exactly this name, address or alias; None when none has."""
    found = names.GROUP_NAMES.owners(reader, organization_id, [address_key(name)])
    return get(reader, organization_id, found[0]) if found else None


def having(reader: Reader, organization_id: str, wanted: Collection[str]) -> list[Group]:
    """The groups, not deleted, that have one of these names, addresses or aliases, by id."""
    found = names.GROUP_NAMES.owners(reader, organization_id, [address_key(name) for name in wanted])
    return of_ids(reader, organization_id, found)


def of_ids(reader: Reader, organization_id: str, group_ids: Collection[str]) -> list[Group]:
    """Those of these groups that there are, deleted or not, by id; some hundred ids at most."""
    return _GROUPS.of_ids(reader, organization_id, group_ids)


def find_by_domain(reader: Reader, organization_id: str, domain: str) -> Group | None:
    """A group, not deleted, that has an address or an alias in the mail domain (lower case); None when none has."""
    found = names.GROUP_NAMES.owners_in_domain(reader, organization_id, domain)
    groups = (get(reader, organization_id, group_id) for group_id in found)
    return next((group for group in groups if group is not None and names.has_address_in(group, domain)), None)


def put(transaction: Transaction, group: Group) -> int:
    """Create or replace; returns the revision. Raises UniqueViolation ("login") when somebody else has one of its names."""
    is_deleted = group.state is EntityState.DELETED
    if not is_deleted:
        names.require_free(transaction, group, group.group_id)
    revision = _GROUPS.put(
        transaction,
        group,
        name_key=address_key(group.name),
        email_key=None if group.email is None else address_key(group.email),
    )
    own = () if is_deleted else names.keys(group)
    names.GROUP_NAMES.replace(transaction, group.organization_id, group.group_id, own)
    return revision


def page(
    reader: Reader,
    organization_id: str,
    after: str | None,
    limit: int,
    *,
    name_prefix: str | None = None,
    email_prefix: str | None = None,
    state: EntityState | None = None,
) -> list[Group]:
    """At most `limit` groups with an id greater than `after`, by id, deleted ones included; prefixes in any case."""
    conditions = [
        starts_with(_TABLE.c[column], prefix)
        for column, prefix in (("name_key", name_prefix), ("email_key", email_prefix))
        if prefix is not None
    ]
    if state is not None:
        conditions.append(_TABLE.c.state == state.value)
    return _GROUPS.page(reader, organization_id, None if after is None else (after,), limit, *conditions)
