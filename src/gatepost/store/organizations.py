"""Organizations; a deleted one stays, in the state Deleted, and gives back its alias and its mail domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, insert, select, true

from gatepost.model import Kind, Organization, OrganizationState
from gatepost.store.errors import UniqueViolation
from gatepost.store.schema import mail_domains
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_ORGANIZATIONS: NounTable[Organization] = NounTable(Kind.ORGANIZATION)
_TABLE = _ORGANIZATIONS.table
_OF_DOMAIN = select(mail_domains.c.organization_id).where(mail_domains.c.domain == bindparam("of_domain"))


def get(reader: Reader, organization_id: str) -> Organization | None:
    """The organization, deleted or not, or None."""
    return _ORGANIZATIONS.get(reader, organization_id)


def find_by_domain(reader: Reader, domain: str) -> Organization | None:
    """The organization that has the mail domain, in any case of letters; None when none has."""
    found = reader.connection.execute(_OF_DOMAIN, {"of_domain": domain.lower()}).scalar()
    return None if found is None else get(reader, found)


def find_by_alias(reader: Reader, alias: str) -> Organization | None:
    """The organization, not deleted, that has the alias; None when none has."""
    active = _TABLE.c.state == OrganizationState.ACTIVE.value
    found = _ORGANIZATIONS.select(reader, (_TABLE.c.alias == alias) & active, 1)
    return found[0] if found else None


def put(transaction: Transaction, organization: Organization) -> int:
    """Create or replace; returns the revision. Raises UniqueViolation ("alias" or "domain")."""
    organization_id, connection = organization.organization_id, transaction.connection
    active = organization.state is OrganizationState.ACTIVE
    if active:
        _check(transaction, organization)
    revision = _ORGANIZATIONS.put(transaction, organization)
    connection.execute(delete(mail_domains).where(mail_domains.c.organization_id == organization_id))
    domains = dict.fromkeys(domain.lower() for domain in organization.domains) if active else {}
    if domains:
        rows = [{"domain": domain, "organization_id": organization_id} for domain in domains]
        connection.execute(insert(mail_domains), rows)
    return revision


def page(reader: Reader, after: str | None, limit: int) -> list[Organization]:
    """At most `limit` organizations with an id greater than `after`, by id, deleted ones included."""
    return _ORGANIZATIONS.select(reader, true() if after is None else _TABLE.c.organization_id > after, limit)


def _check(transaction: Transaction, organization: Organization) -> None:
    other = find_by_alias(transaction, organization.alias)
    if other is not None and other.organization_id != organization.organization_id:
        raise UniqueViolation("alias", organization.alias, other.organization_id)
    names = {domain.lower(): domain for domain in organization.domains}
    taken = transaction.connection.execute(
        select(mail_domains)
        .where(mail_domains.c.domain.in_(names), mail_domains.c.organization_id != organization.organization_id)
        .order_by(mail_domains.c.domain)
    ).first()
    if taken is not None:
        raise UniqueViolation("domain", names[taken.domain], taken.organization_id)
