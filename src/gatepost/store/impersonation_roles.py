"""Impersonation roles, by id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import ImpersonationRole, Kind
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_ROLES: NounTable[ImpersonationRole] = NounTable(Kind.IMPERSONATION_ROLE)


def get(reader: Reader, organization_id: str, role_id: str) -> ImpersonationRole | None:
    """The role, or None."""
    return _ROLES.get(reader, organization_id, role_id)


def put(transaction: Transaction, role: ImpersonationRole) -> int:
    """Create or replace; returns the revision."""
    return _ROLES.put(transaction, role)


def delete(transaction: Transaction, organization_id: str, role_id: str) -> bool:
    """Remove the role; False when there was none."""
    return _ROLES.delete(transaction, organization_id, role_id)


def page(reader: Reader, organization_id: str, after: str | None, limit: int) -> list[ImpersonationRole]:
    """At most `limit` roles with an id greater than `after`, by id."""
    return _ROLES.page(reader, organization_id, None if after is None else (after,), limit)


def count(reader: Reader, organization_id: str) -> int:
    """How many roles the organization has."""
    return _ROLES.count(reader, organization_id)
