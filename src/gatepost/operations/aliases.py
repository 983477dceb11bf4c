"""Aliases: further addresses of a user, which are logins as well, or of a group."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import EntityState, address_key
from gatepost.operations.entities import MAX_ALIASES, id_of, put, require, require_available
from gatepost.operations.errors import EntityStateException, InvalidParameterException, LimitExceededException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page
from gatepost.store.names import addresses

if TYPE_CHECKING:
    from gatepost.operations.context import Context


def create(context: Context, *, organization_id: str, entity_id: str, alias: str) -> None:
    """Give an enabled user or group one more address; one that it has already is left as it is."""
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        entity = require(transaction, organization, entity_id)
        if entity.state is not EntityState.ENABLED:
            raise EntityStateException
        require_available(transaction, organization, alias, entity)
        if address_key(alias) in addresses(entity):
            return
        if len(entity.aliases) >= MAX_ALIASES:
            raise LimitExceededException
        put(transaction, replace(entity, aliases=(*entity.aliases, alias)))


def delete(context: Context, *, organization_id: str, entity_id: str, alias: str) -> None:
    """Take an alias away; one that is not there is a success. The primary address cannot go this way."""
    with context.store.begin() as transaction:
        entity = require(transaction, require_active(transaction, organization_id), entity_id)
        if entity.state is EntityState.DELETED:
            raise EntityStateException
        if entity.email is not None and address_key(entity.email) == address_key(alias):
            raise InvalidParameterException(f"{alias} is the primary email address and not an alias.")
        kept = tuple(known for known in entity.aliases if address_key(known) != address_key(alias))
        if kept != entity.aliases:
            put(transaction, replace(entity, aliases=kept))


def list(  # noqa: A001 -- the verb of the API
    context: Context,
    *,
    organization_id: str,
    entity_id: str,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[str]:
    """The entity's aliases in alphabetical order. Raises `EntityStateException` for a deleted one."""
    with context.store.read() as reader:
        entity = require(reader, require_active(reader, organization_id), entity_id)
        if entity.state is EntityState.DELETED:
            raise EntityStateException
        aliases = sorted(entity.aliases, key=address_key)

        def fetch(after: str | None, limit: int) -> tuple[str, ...]:
            return tuple(alias for alias in aliases if after is None or address_key(alias) > after)[:limit]

        return Listing("ListAliases", (organization_id, id_of(entity))).page(
            next_token, max_results, fetch, address_key
        )
