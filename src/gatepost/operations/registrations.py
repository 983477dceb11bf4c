"""Registration: a user is enabled under an address, and disabled again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import EntityState, Organization, User, address_key
from gatepost.operations.errors import (
    EmailAddressInUseException,
    EntityAlreadyRegisteredException,
    EntityStateException,
    MailDomainNotFoundException,
)
from gatepost.operations.organizations import require_active
from gatepost.operations.users import require
from gatepost.store import users

if TYPE_CHECKING:
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader


def register_to_work_mail(context: Context, *, organization_id: str, entity_id: str, email: str) -> None:
    """Enable a disabled user under `email`; a user already enabled under it is left as it is.

    A former address becomes an alias, as when WorkMail's UpdatePrimaryEmailAddress moves it: who logged in with it before
    stays the same user. Raises `EntityAlreadyRegisteredException` for a user enabled under another address.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        user = require(transaction, organization, entity_id)
        if user.state is EntityState.DELETED:
            raise EntityStateException
        if user.state is EntityState.ENABLED:
            if user.email is None or address_key(user.email) != address_key(email):
                raise EntityAlreadyRegisteredException
            return
        require_available(transaction, organization, email, user)
        former = () if user.email is None else (user.email,)
        aliases = (*user.aliases, *former)
        enabled = replace(
            user,
            email=email,
            aliases=tuple(alias for alias in aliases if address_key(alias) != address_key(email)),
            state=EntityState.ENABLED,
            date_enabled=context.now(),
            date_disabled=None,
        )
        users.put(transaction, enabled)


def deregister_from_work_mail(context: Context, *, organization_id: str, entity_id: str) -> None:
    """Disable an enabled user, at once on every gateway. Its addresses stay its own. Raises `EntityStateException` otherwise."""
    with context.store.begin() as transaction:
        user = require(transaction, require_active(transaction, organization_id), entity_id)
        if user.state is not EntityState.ENABLED:
            raise EntityStateException
        users.put(transaction, replace(user, state=EntityState.DISABLED, date_disabled=context.now()))


def require_available(reader: Reader, organization: Organization, address: str, user: User) -> None:
    """`address` can become one of `user`. Raises `MailDomainNotFoundException`, `EmailAddressInUseException`."""
    if address_key(address).rpartition("@")[2] not in organization.domains:
        raise MailDomainNotFoundException
    other = users.find(reader, organization.organization_id, address)
    if other is not None and other.user_id != user.user_id:
        raise EmailAddressInUseException
