"""Members of groups: users and groups, each directly in a group or through another one, never in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import Entity, EntityState, EntityType, GroupMember
from gatepost.operations import groups
from gatepost.operations.entities import id_of, require, type_of
from gatepost.operations.errors import EntityStateException, InvalidParameterException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page, one_filter
from gatepost.store import group_members, users
from gatepost.store import groups as stored_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost.model import Group, Organization
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader

_BATCH = 500


def associate_member_to_group(context: Context, *, organization_id: str, group_id: str, member_id: str) -> None:
    """Make a user or a group a member of the group; one that is a member already stays one.

    Raises `EntityNotFoundException`, `EntityStateException` where one of the two is deleted, and
    `InvalidParameterException` where a group would become a member of itself, directly or through others.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        group = groups.require_not_deleted(transaction, organization, group_id)
        member = _require_not_deleted(transaction, organization, member_id)
        added = GroupMember(organization_id, group.group_id, id_of(member), type_of(member))
        if added.member_type is EntityType.GROUP and _contains(transaction, added.member_id, group):
            raise InvalidParameterException("A group cannot be a member of itself, directly or through other groups.")
        if group_members.get(transaction, organization_id, added.group_id, added.member_id) is None:
            group_members.put(transaction, added)


def disassociate_member_from_group(context: Context, *, organization_id: str, group_id: str, member_id: str) -> None:
    """Take a member out of the group; one that is not a member is a success.

    Raises `EntityNotFoundException`, `EntityStateException` where one of the two is deleted.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        group = groups.require_not_deleted(transaction, organization, group_id)
        member = _require_not_deleted(transaction, organization, member_id)
        group_members.delete(transaction, organization_id, group.group_id, id_of(member))


def list_group_members(
    context: Context,
    *,
    organization_id: str,
    group_id: str,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[Entity]:
    """The users and groups that are members themselves, in the order of their ids.

    Raises `EntityNotFoundException`, `EntityStateException` for a deleted group.
    """
    with context.store.read() as reader:
        group = groups.require_not_deleted(reader, require_active(reader, organization_id), group_id)

        def fetch(after: str | None, limit: int) -> list[Entity]:
            members = group_members.page(reader, organization_id, group.group_id, after, limit)
            ids = [member.member_id for member in members]
            found: list[Entity] = [*users.of_ids(reader, organization_id, ids)]
            return sorted([*found, *stored_groups.of_ids(reader, organization_id, ids)], key=id_of)

        return Listing("ListGroupMembers", (organization_id, group.group_id)).page(
            next_token, max_results, fetch, id_of
        )


def list_groups_for_entity(
    context: Context,
    *,
    organization_id: str,
    entity_id: str,
    filters: Mapping[str, str] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[Group]:
    """The groups that the user or the group is a member of itself, in the order of their ids; `filters` is WorkMail's.

    Raises `EntityNotFoundException`, `EntityStateException` for a deleted entity.
    """
    given = one_filter(filters)
    prefix = given[1] if given else None
    with context.store.read() as reader:
        entity = id_of(_require_not_deleted(reader, require_active(reader, organization_id), entity_id))

        def fetch(after: str | None, limit: int) -> list[Group]:
            ids = group_members.groups_of(reader, organization_id, entity, after, limit, name_prefix=prefix)
            return stored_groups.of_ids(reader, organization_id, ids)

        return Listing("ListGroupsForEntity", (organization_id, entity, *given)).page(
            next_token, max_results, fetch, lambda group: group.group_id
        )


def _require_not_deleted(reader: Reader, organization: Organization, identity: str) -> Entity:
    entity = require(reader, organization, identity)
    if entity.state is EntityState.DELETED:
        raise EntityStateException
    return entity


def _contains(reader: Reader, outer: str, group: Group) -> bool:
    """Whether `group` is the outer one, or a member of it, however deep."""
    seen, left = {outer}, [outer]
    while left and group.group_id not in seen:
        inner = _groups_in(reader, group.organization_id, left.pop()) - seen
        seen |= inner
        left += inner
    return group.group_id in seen


def _groups_in(reader: Reader, organization_id: str, group_id: str) -> set[str]:
    found: set[str] = set()
    after: str | None = None
    while batch := group_members.page(reader, organization_id, group_id, after, _BATCH, member_type=EntityType.GROUP):
        found |= {member.member_id for member in batch}
        after = batch[-1].member_id
    return found
