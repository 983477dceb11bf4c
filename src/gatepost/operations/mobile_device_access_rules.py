"""Mobile device access rules: at most ten, each replaced as a whole."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from gatepost.model import DeviceConditions, Effect, MobileDeviceAccessRule
from gatepost.operations.client_tokens import once
from gatepost.operations.errors import EntityNotFoundException, LimitExceededException
from gatepost.operations.organizations import require_active
from gatepost.store import mobile_device_access_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

# WorkMail's: the model's list of rules holds ten.
MAX_RULES = 10


def create(
    context: Context,
    *,
    organization_id: str,
    name: str,
    effect: str,
    client_token: str | None = None,
    description: str | None = None,
    **conditions: Sequence[str],
) -> str:
    """Add a rule and answer its id; `conditions` are the lists of `DeviceConditions`. Raises `LimitExceededException` at ten."""
    lists = _conditions(conditions)
    parameters = {
        "organization_id": organization_id,
        "name": name,
        "effect": effect,
        "description": description,
        "conditions": dict(conditions),
    }

    def act(transaction: Transaction) -> str:
        require_active(transaction, organization_id)
        if mobile_device_access_rules.count(transaction, organization_id) >= MAX_RULES:
            raise LimitExceededException
        now = context.now()
        rule_id = secrets.token_hex(16)
        rule = MobileDeviceAccessRule(organization_id, rule_id, name, Effect(effect), description, lists, now, now)
        mobile_device_access_rules.put(transaction, rule)
        return rule_id

    return once(context, "CreateMobileDeviceAccessRule", client_token, parameters, act)


def list(context: Context, *, organization_id: str) -> tuple[MobileDeviceAccessRule, ...]:  # noqa: A001 -- the verb of the API
    """All rules of the organization, the oldest first."""
    with context.store.read() as reader:
        require_active(reader, organization_id)
        return all_rules(reader, organization_id)


def update(
    context: Context,
    *,
    organization_id: str,
    mobile_device_access_rule_id: str,
    name: str,
    effect: str,
    description: str | None = None,
    **conditions: Sequence[str],
) -> None:
    """Replace the rule as a whole: what is not given is gone, the date of creation stays. Raises `EntityNotFoundException`."""
    lists = _conditions(conditions)
    with context.store.begin() as transaction:
        require_active(transaction, organization_id)
        known = mobile_device_access_rules.get(transaction, organization_id, mobile_device_access_rule_id)
        if known is None:
            raise EntityNotFoundException
        replaced = replace(
            known,
            name=name,
            effect=Effect(effect),
            description=description,
            conditions=lists,
            date_modified=context.now(),
        )
        mobile_device_access_rules.put(transaction, replaced)


def delete(context: Context, *, organization_id: str, mobile_device_access_rule_id: str) -> None:
    """Delete the rule; one that is not there is a success."""
    with context.store.begin() as transaction:
        require_active(transaction, organization_id)
        mobile_device_access_rules.delete(transaction, organization_id, mobile_device_access_rule_id)


def all_rules(reader: Reader, organization_id: str) -> tuple[MobileDeviceAccessRule, ...]:
    """The organization's rules, the oldest first."""
    rules = mobile_device_access_rules.page(reader, organization_id, None, 10 * MAX_RULES)
    return tuple(sorted(rules, key=lambda rule: (rule.date_created, rule.rule_id)))


def _conditions(lists: dict[str, Sequence[str]]) -> DeviceConditions:
    return DeviceConditions(**{name: tuple(values) for name, values in lists.items()})
