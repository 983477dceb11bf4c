"""Registration: a user or a group is enabled under an address, and disabled again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import EntityState, address_key
from gatepost.operations.entities import put, require, require_available, with_primary_address
from gatepost.operations.errors import EntityAlreadyRegisteredException, EntityStateException
from gatepost.operations.organizations import require_active

if TYPE_CHECKING:
    from gatepost.operations.context import Context


def register_to_work_mail(context: Context, *, organization_id: str, entity_id: str, email: str) -> None:
    """Enable a disabled user or group under `email`; one that is enabled under it already is left as it is.

    A former address becomes an alias, as when UpdatePrimaryEmailAddress moves it: who logged in with it before stays the
    same user. Raises `EntityAlreadyRegisteredException` where the entity is enabled under another address.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        entity = require(transaction, organization, entity_id)
        if entity.state is EntityState.DELETED:
            raise EntityStateException
        if entity.state is EntityState.ENABLED:
            if entity.email is None or address_key(entity.email) != address_key(email):
                raise EntityAlreadyRegisteredException
            return
        require_available(transaction, organization, email, entity)
        moved = with_primary_address(entity, email)
        now = context.now()
        put(transaction, replace(moved, state=EntityState.ENABLED, date_enabled=now, date_disabled=None))


def deregister_from_work_mail(context: Context, *, organization_id: str, entity_id: str) -> None:
    """Disable an enabled user, at once on every gateway, or a group. The addresses stay theirs.

    Raises `EntityStateException` where the entity is not enabled.
    """
    with context.store.begin() as transaction:
        entity = require(transaction, require_active(transaction, organization_id), entity_id)
        if entity.state is not EntityState.ENABLED:
            raise EntityStateException
        put(transaction, replace(entity, state=EntityState.DISABLED, date_disabled=context.now()))
