"""Mail domains: a login belongs to the organization that has its mail domain, and a bare one to the default domain.

Nothing is asked of the DNS. Whoever holds a key to the API is taken at his word, so a domain can be used as soon as it is
registered; who delivers its mail is the mail server's business.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatepost.operations.client_tokens import once
from gatepost.operations.errors import (
    InvalidParameterException,
    LimitExceededException,
    MailDomainInUseException,
    MailDomainNotFoundException,
)
from gatepost.operations.organizations import TEST_DOMAIN_SUFFIX, alias_domain, mail_domain, require_active
from gatepost.operations.paging import Listing, Page
from gatepost.store import groups, organizations, users

if TYPE_CHECKING:
    from gatepost.model import Entity, Organization
    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

# Amazon WorkMail's quota.
MAX_DOMAINS = 1000


@dataclass(frozen=True, slots=True)
class MailDomain:
    """A mail domain as its organization has it; a test domain is one that followed from the organization's alias."""

    name: str
    is_default: bool
    is_test_domain: bool


def register(context: Context, *, organization_id: str, domain_name: str, client_token: str | None = None) -> None:
    """Add a mail domain; one that the organization has is left as it is.

    Raises `MailDomainInUseException` for another organization's, `LimitExceededException` at a thousand.
    """
    name = mail_domain(domain_name)

    def act(transaction: Transaction) -> str:
        organization = require_active(transaction, organization_id)
        if name in organization.domains:
            return name
        if name.endswith(f".{TEST_DOMAIN_SUFFIX}") and name != alias_domain(organization.alias):
            raise InvalidParameterException(f"{name} is reserved for the organization whose alias it names.")
        if organizations.find_by_domain(transaction, name) is not None:
            raise MailDomainInUseException(f"The domain {name} is in use by another organization.")
        if len(organization.domains) >= MAX_DOMAINS:
            raise LimitExceededException
        organizations.put(transaction, replace(organization, domains=(*organization.domains, name)))
        return name

    once(context, "RegisterMailDomain", client_token, {"organization_id": organization_id, "name": name}, act)


def deregister(context: Context, *, organization_id: str, domain_name: str) -> None:
    """Remove a mail domain; one that the organization does not have is a success.

    Raises `MailDomainInUseException` for the default domain, and while a user or a group has an address or an alias
    in it.
    """
    name = mail_domain(domain_name)
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        if name not in organization.domains:
            return
        if name == organization.default_domain:
            raise MailDomainInUseException(
                f"The domain {name} is the default mail domain. Make another domain the default one first."
            )
        holder = _holder(transaction, organization_id, name)
        if holder is not None:
            raise MailDomainInUseException(
                f"The domain {name} is in use by {holder.name}. Remove the email addresses in it first."
            )
        kept = tuple(domain for domain in organization.domains if domain != name)
        organizations.put(transaction, replace(organization, domains=kept))


def list(  # noqa: A001 -- the verb of the API
    context: Context, *, organization_id: str, max_results: int | None = None, next_token: str | None = None
) -> Page[MailDomain]:
    """The organization's mail domains in alphabetical order."""
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)

    def fetch(after: str | None, limit: int) -> tuple[MailDomain, ...]:
        names = [name for name in sorted(organization.domains) if after is None or name > after]
        return tuple(_mail_domain(organization, name) for name in names[:limit])

    listing = Listing("ListMailDomains", (organization_id,))
    return listing.page(next_token, max_results, fetch, lambda domain: domain.name)


def get(context: Context, *, organization_id: str, domain_name: str) -> MailDomain:
    """The mail domain. Raises `MailDomainNotFoundException` where the organization does not have it."""
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)
    return _mail_domain(organization, _require(organization, domain_name))


def update_default(context: Context, *, organization_id: str, domain_name: str) -> None:
    """Make this the domain that a bare login is completed with; no address changes. Raises `MailDomainNotFoundException`."""
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        name = _require(organization, domain_name)
        if name != organization.default_domain:
            organizations.put(transaction, replace(organization, default_domain=name))


def _require(organization: Organization, domain_name: str) -> str:
    name = mail_domain(domain_name)
    if name not in organization.domains:
        raise MailDomainNotFoundException
    return name


def _holder(reader: Reader, organization_id: str, name: str) -> Entity | None:
    user = users.find_by_domain(reader, organization_id, name)
    return groups.find_by_domain(reader, organization_id, name) if user is None else user


def _mail_domain(organization: Organization, name: str) -> MailDomain:
    return MailDomain(name, name == organization.default_domain, name == alias_domain(organization.alias))
