"""Who is a member of which group. The groups and the members are in tables of their own, and neither is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from gatepost.model import EntityType, GroupMember, Kind
from gatepost.store.schema import groups
from gatepost.store.tables import NounTable, starts_with

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_MEMBERS: NounTable[GroupMember] = NounTable(Kind.GROUP_MEMBER)
_TABLE = _MEMBERS.table


def get(reader: Reader, organization_id: str, group_id: str, member_id: str) -> GroupMember | None:
    """The membership, or None."""
    return _MEMBERS.get(reader, organization_id, group_id, member_id)


def put(transaction: Transaction, member: GroupMember) -> int:
    """Create or replace; returns the revision. The group must be in the store."""
    return _MEMBERS.put(transaction, member)


def delete(transaction: Transaction, organization_id: str, group_id: str, member_id: str) -> bool:
    """Remove the membership; False when there was none."""
    return _MEMBERS.delete(transaction, organization_id, group_id, member_id)


def delete_all_of(transaction: Transaction, organization_id: str, entity_id: str) -> None:
    """Remove the entity from every group, and everybody from the entity where it is a group."""
    for column in (_TABLE.c.group_id, _TABLE.c.member_id):  # one after the other: each has its index, an OR has none
        own = (_TABLE.c.organization_id == organization_id) & (column == entity_id)
        for member in _MEMBERS.select(transaction, own):
            delete(transaction, organization_id, member.group_id, member.member_id)


def page(
    reader: Reader,
    organization_id: str,
    group_id: str,
    after: str | None,
    limit: int,
    *,
    member_type: EntityType | None = None,
) -> list[GroupMember]:
    """At most `limit` members of the group with an id greater than `after`, by id; of one type if that is given."""
    conditions = [_TABLE.c.group_id == group_id]
    if after is not None:
        conditions.append(_TABLE.c.member_id > after)
    if member_type is not None:
        conditions.append(_TABLE.c.member_type == member_type.value)
    return _MEMBERS.page(reader, organization_id, None, limit, *conditions)


def groups_of(
    reader: Reader,
    organization_id: str,
    member_id: str,
    after: str | None,
    limit: int,
    *,
    name_prefix: str | None = None,
) -> list[str]:
    """At most `limit` ids greater than `after`, by id, of the groups that it is a member of itself; prefix in any case."""
    same = (groups.c.organization_id == _TABLE.c.organization_id) & (groups.c.group_id == _TABLE.c.group_id)
    statement = select(_TABLE.c.group_id).select_from(_TABLE.join(groups, same))
    statement = statement.where(_TABLE.c.organization_id == organization_id, _TABLE.c.member_id == member_id)
    if after is not None:
        statement = statement.where(_TABLE.c.group_id > after)
    if name_prefix is not None:
        statement = statement.where(starts_with(groups.c.name_key, name_prefix))
    return list(reader.connection.execute(statement.order_by(_TABLE.c.group_id).limit(limit)).scalars())
