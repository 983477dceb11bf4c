"""Access control rules, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import AccessControlRule, Kind
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_RULES: NounTable[AccessControlRule] = NounTable(Kind.ACCESS_CONTROL_RULE)


def get(reader: Reader, organization_id: str, name: str) -> AccessControlRule | None:
    """The rule, or None."""
    return _RULES.get(reader, organization_id, name)


def put(transaction: Transaction, rule: AccessControlRule) -> int:
    """Create or replace; returns the revision."""
    return _RULES.put(transaction, rule)


def delete(transaction: Transaction, organization_id: str, name: str) -> bool:
    """Remove the rule; False when there was none."""
    return _RULES.delete(transaction, organization_id, name)


def page(reader: Reader, organization_id: str, after: str | None, limit: int) -> list[AccessControlRule]:
    """At most `limit` rules with a name greater than `after`, by name."""
    return _RULES.page(reader, organization_id, None if after is None else (after,), limit)


def count(reader: Reader, organization_id: str) -> int:
    """How many rules the organization has."""
    return _RULES.count(reader, organization_id)
