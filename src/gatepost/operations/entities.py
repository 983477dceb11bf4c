"""Entities: users and groups, whose names and addresses are one set in which each belongs to one of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import Entity, EntityState, EntityType, Organization, User, address_key
from gatepost.operations.errors import (
    EmailAddressInUseException,
    EntityNotFoundException,
    EntityStateException,
    InvalidParameterException,
    MailDomainNotFoundException,
    NameAvailabilityException,
    ReservedNameException,
)
from gatepost.operations.organizations import require_active
from gatepost.store import groups, users
from gatepost.store.names import addresses

if TYPE_CHECKING:
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

# Amazon WorkMail's quota.
MAX_ALIASES = 100

# A name in one of these forms could not be told from an id.
_IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|s-1-1-[0-9-]+", re.IGNORECASE)


def describe(context: Context, *, organization_id: str, email: str) -> Entity:
    """The user or the group, not deleted, that has the address or the alias. Raises `EntityNotFoundException`."""
    with context.store.read() as reader:
        entity = named(reader, require_active(reader, organization_id), email)
        if entity is None or address_key(email) not in addresses(entity):
            raise EntityNotFoundException
        return entity


def update_primary_email_address(context: Context, *, organization_id: str, entity_id: str, email: str) -> None:
    """Make `email` the primary address of an enabled user or group; the one it had becomes an alias.

    An alias of its own changes places with it. Id, name and overrides stay, and who logged in with the former address goes
    on doing so. Raises `EntityStateException` where the entity is not enabled, `EmailAddressInUseException`,
    `MailDomainNotFoundException`, and `InvalidParameterException` where there would be more than a hundred aliases.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        entity = require(transaction, organization, entity_id)
        if entity.state is not EntityState.ENABLED:
            raise EntityStateException
        require_available(transaction, organization, email, entity)
        moved = with_primary_address(entity, email)
        if len(moved.aliases) > MAX_ALIASES:
            raise InvalidParameterException(
                f"The former address becomes an alias, and there are {MAX_ALIASES} already. Remove one of them first."
            )
        if moved != entity:
            put(transaction, moved)


def find(reader: Reader, organization: Organization, identity: str) -> Entity | None:
    """The user or group of an id (deleted or not), a name, an address or an alias; None if there is none."""
    organization_id, entity_id = organization.organization_id, identity.strip()
    return (
        users.get(reader, organization_id, entity_id)
        or groups.get(reader, organization_id, entity_id)
        or named(reader, organization, identity.rpartition("\\")[2])
    )


def require(reader: Reader, organization: Organization, identity: str) -> Entity:
    """`find`. Raises `EntityNotFoundException`."""
    entity = find(reader, organization, identity)
    if entity is None:
        raise EntityNotFoundException
    return entity


def named(reader: Reader, organization: Organization, name: str) -> Entity | None:
    """The user or group, not deleted, with this name, address or alias, else with `name@<default domain>`."""
    key = address_key(name)
    for one in (key,) if "@" in key else (key, f"{key}@{organization.default_domain}"):
        found: Entity | None = users.named(reader, organization.organization_id, one)
        found = found or groups.named(reader, organization.organization_id, one)
        if found is not None:
            return found
    return None


def put(transaction: Transaction, entity: Entity) -> None:
    """Create or replace."""
    if isinstance(entity, User):
        users.put(transaction, entity)
    else:
        groups.put(transaction, entity)


def id_of(entity: Entity) -> str:
    """The user id or the group id."""
    return entity.user_id if isinstance(entity, User) else entity.group_id


def type_of(entity: Entity) -> EntityType:
    """USER or GROUP."""
    return EntityType.USER if isinstance(entity, User) else EntityType.GROUP


def with_primary_address(entity: Entity, email: str) -> Entity:
    """The entity under another primary address; the former one is an alias, the new one is none any more."""
    former = () if entity.email is None else (entity.email,)
    others = [alias for alias in (*entity.aliases, *former) if address_key(alias) != address_key(email)]
    return replace(entity, email=email, aliases=tuple(others))


def looks_like_an_id(name: str) -> bool:
    """Whether a user or a group of this name could not be told from one with this id."""
    return _IDS.fullmatch(name) is not None


def require_new_name(reader: Reader, organization: Organization, name: str) -> None:
    """A new user or group can have the name. Raises `ReservedNameException`, `NameAvailabilityException`."""
    if looks_like_an_id(name):
        raise ReservedNameException
    if named(reader, organization, name) is not None:
        raise NameAvailabilityException


def require_available(reader: Reader, organization: Organization, address: str, entity: Entity) -> None:
    """`address` can become one of the entity's. Raises `MailDomainNotFoundException`, `EmailAddressInUseException`."""
    if address_key(address).rpartition("@")[2] not in organization.domains:
        raise MailDomainNotFoundException
    other = named(reader, organization, address)
    if other is not None and id_of(other) != id_of(entity):
        raise EmailAddressInUseException
