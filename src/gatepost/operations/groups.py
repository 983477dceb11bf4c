"""Groups: created, described, listed, updated, deleted. They decide nothing; nobody logs in with what is theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gatepost.model import EntityState, Group
from gatepost.operations.entities import find, require_new_name
from gatepost.operations.errors import EntityNotFoundException, EntityStateException, InvalidParameterException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page, one_filter
from gatepost.store import group_members, groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost.model import Organization
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader


def create(
    context: Context, *, organization_id: str, name: str, hidden_from_global_address_list: bool | None = None
) -> str:
    """Create a group, DISABLED until it is registered, and answer its id.

    Raises `ReservedNameException` for a name that looks like an id, `NameAvailabilityException` for one that a user or
    another group has, or that is an address of theirs. The name of a deleted group is free.
    """
    if not name.strip():
        raise InvalidParameterException("The name of a group cannot be empty.")
    with context.store.begin() as transaction:
        require_new_name(transaction, require_active(transaction, organization_id), name)
        group = Group(
            organization_id=organization_id,
            group_id=str(uuid4()),
            name=name,
            email=None,
            aliases=(),
            state=EntityState.DISABLED,
            hidden_from_global_address_list=bool(hidden_from_global_address_list),
            date_created=context.now(),
        )
        groups.put(transaction, group)
        return group.group_id


def describe(context: Context, *, organization_id: str, group_id: str) -> Group:
    """The group of an id, name or address; by its id a deleted one too. Raises `EntityNotFoundException`."""
    with context.store.read() as reader:
        return require(reader, require_active(reader, organization_id), group_id)


def list(  # noqa: A001 -- the verb of the API
    context: Context,
    *,
    organization_id: str,
    filters: Mapping[str, str] | None = None,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[Group]:
    """The organization's groups in the order of their ids, deleted ones included; `filters` is WorkMail's, one at most."""
    given = one_filter(filters)
    listing = Listing("ListGroups", (organization_id, *given))
    with context.store.read() as reader:
        require_active(reader, organization_id)
        return listing.page(
            next_token,
            max_results,
            lambda after, limit: groups.page(reader, organization_id, after, limit, **_criteria(given)),
            lambda group: group.group_id,
        )


def update(
    context: Context, *, organization_id: str, group_id: str, hidden_from_global_address_list: bool | None = None
) -> None:
    """Change what is given. Raises `EntityNotFoundException`, and `EntityStateException` for a deleted group."""
    with context.store.begin() as transaction:
        group = require_not_deleted(transaction, require_active(transaction, organization_id), group_id)
        hidden = hidden_from_global_address_list
        if hidden is not None and hidden != group.hidden_from_global_address_list:
            groups.put(transaction, replace(group, hidden_from_global_address_list=hidden))


def delete(context: Context, *, organization_id: str, group_id: str) -> None:
    """Delete a group that is not enabled, with its memberships; a group that is not there (any more) is a success.

    Raises `EntityStateException` for an enabled one. The row stays, with the state DELETED, and the names are free.
    """
    with context.store.begin() as transaction:
        group = find(transaction, require_active(transaction, organization_id), group_id)
        if not isinstance(group, Group) or group.state is EntityState.DELETED:
            return
        if group.state is EntityState.ENABLED:
            raise EntityStateException
        group_members.delete_all_of(transaction, organization_id, group.group_id)
        groups.put(transaction, replace(group, state=EntityState.DELETED))


def require(reader: Reader, organization: Organization, identity: str) -> Group:
    """The group of an id (deleted or not), name, address or alias. Raises `EntityNotFoundException`, for a user as well."""
    group = find(reader, organization, identity)
    if not isinstance(group, Group):
        raise EntityNotFoundException
    return group


def require_not_deleted(reader: Reader, organization: Organization, identity: str) -> Group:
    """`require`. Raises `EntityStateException` for a deleted one."""
    group = require(reader, organization, identity)
    if group.state is EntityState.DELETED:
        raise EntityStateException
    return group


def _criteria(given: tuple[str, str] | tuple[()]) -> dict[str, Any]:
    """A ListGroups filter as the store's."""
    match given:
        case ("NamePrefix", prefix):
            return {"name_prefix": prefix}
        case ("PrimaryEmailPrefix", prefix):
            return {"email_prefix": prefix}
        case ("State", state):
            return {"state": EntityState(state)}
    return {}
