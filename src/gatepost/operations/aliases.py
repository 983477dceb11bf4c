"""Aliases: further addresses of a user, which are logins as well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import EntityState, address_key
from gatepost.operations.errors import EntityStateException, InvalidParameterException, LimitExceededException
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page
from gatepost.operations.registrations import require_available
from gatepost.operations.users import require
from gatepost.store import users

if TYPE_CHECKING:
    from gatepost.operations.context import Context

# Amazon WorkMail's quota.
MAX_ALIASES = 100


def create(context: Context, *, organization_id: str, entity_id: str, alias: str) -> None:
    """Give an enabled user one more address; one that it has already is left as it is."""
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        user = require(transaction, organization, entity_id)
        if user.state is not EntityState.ENABLED:
            raise EntityStateException
        require_available(transaction, organization, alias, user)
        if address_key(alias) in {address_key(address) for address in (*user.aliases, user.email or "")}:
            return
        if len(user.aliases) >= MAX_ALIASES:
            raise LimitExceededException
        users.put(transaction, replace(user, aliases=(*user.aliases, alias)))


def delete(context: Context, *, organization_id: str, entity_id: str, alias: str) -> None:
    """Take an alias away; one that is not there is a success. The primary address cannot go this way."""
    with context.store.begin() as transaction:
        user = require(transaction, require_active(transaction, organization_id), entity_id)
        if user.state is EntityState.DELETED:
            raise EntityStateException
        if user.email is not None and address_key(user.email) == address_key(alias):
            raise InvalidParameterException(f"{alias} is the primary email address and not an alias.")
        kept = tuple(known for known in user.aliases if address_key(known) != address_key(alias))
        if kept != user.aliases:
            users.put(transaction, replace(user, aliases=kept))


def list(  # noqa: A001 -- the verb of the API
    context: Context,
    *,
    organization_id: str,
    entity_id: str,
    next_token: str | None = None,
    max_results: int | None = None,
) -> Page[str]:
    """The user's aliases in alphabetical order. Raises `EntityStateException` for a deleted user."""
    with context.store.read() as reader:
        user = require(reader, require_active(reader, organization_id), entity_id)
        if user.state is EntityState.DELETED:
            raise EntityStateException
        aliases = sorted(user.aliases, key=address_key)

        def fetch(after: str | None, limit: int) -> tuple[str, ...]:
            return tuple(alias for alias in aliases if after is None or address_key(alias) > after)[:limit]

        return Listing("ListAliases", (organization_id, user.user_id)).page(next_token, max_results, fetch, address_key)
