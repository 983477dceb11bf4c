"""Mobile device access rules, by rule id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatepost.model import Kind, MobileDeviceAccessRule
from gatepost.store.tables import NounTable

if TYPE_CHECKING:
    from gatepost.store.database import Reader, Transaction

_RULES: NounTable[MobileDeviceAccessRule] = NounTable(Kind.MOBILE_DEVICE_ACCESS_RULE)


def get(reader: Reader, organization_id: str, rule_id: str) -> MobileDeviceAccessRule | None:
    """The rule, or None."""
    return _RULES.get(reader, organization_id, rule_id)


def put(transaction: Transaction, rule: MobileDeviceAccessRule) -> int:
    """Create or replace; returns the revision."""
    return _RULES.put(transaction, rule)


def delete(transaction: Transaction, organization_id: str, rule_id: str) -> bool:
    """Remove the rule; False when there was none."""
    return _RULES.delete(transaction, organization_id, rule_id)


def page(reader: Reader, organization_id: str, after: str | None, limit: int) -> list[MobileDeviceAccessRule]:
    """At most `limit` rules with an id greater than `after`, by id."""
    return _RULES.page(reader, organization_id, None if after is None else (after,), limit)


def count(reader: Reader, organization_id: str) -> int:
    """How many rules the organization has."""
    return _RULES.count(reader, organization_id)
