"""Access control rules: at most ten, by name; who may come in by which protocol and from where."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from gatepost.model import AccessControlRule, Action, Effect, EntityState, Organization
from gatepost.operations.errors import EntityNotFoundException, InvalidParameterException, LimitExceededException
from gatepost.operations.impersonation_roles import require as require_role
from gatepost.operations.organizations import require_active
from gatepost.operations.users import require
from gatepost.store import access_control_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatepost.operations.context import Context
    from gatepost.store.database import Reader

# WorkMail's: the model's list of rules holds ten.
MAX_RULES = 10


def put(
    context: Context,
    *,
    organization_id: str,
    name: str,
    effect: str,
    description: str,
    ip_ranges: Sequence[str] = (),
    not_ip_ranges: Sequence[str] = (),
    actions: Sequence[str] = (),
    not_actions: Sequence[str] = (),
    user_ids: Sequence[str] = (),
    not_user_ids: Sequence[str] = (),
    impersonation_role_ids: Sequence[str] = (),
    not_impersonation_role_ids: Sequence[str] = (),
) -> None:
    """Create the rule, or replace the one of this name as a whole; the date of creation stays.

    Address ranges are IPv4 or IPv6. Users may be named by id or address; the rule keeps the id. Raises
    `EntityNotFoundException` for an unknown user, `ResourceNotFoundException` for an unknown impersonation role,
    `LimitExceededException` at ten rules.
    """
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        known = access_control_rules.get(transaction, organization_id, name)
        if known is None and access_control_rules.count(transaction, organization_id) >= MAX_RULES:
            raise LimitExceededException
        now = context.now()
        rule = AccessControlRule(
            organization_id=organization_id,
            name=name,
            effect=Effect(effect),
            description=description,
            ip_ranges=_ranges(ip_ranges),
            not_ip_ranges=_ranges(not_ip_ranges),
            actions=_actions(actions),
            not_actions=_actions(not_actions),
            user_ids=_user_ids(transaction, organization, user_ids),
            not_user_ids=_user_ids(transaction, organization, not_user_ids),
            impersonation_role_ids=_role_ids(transaction, organization, impersonation_role_ids),
            not_impersonation_role_ids=_role_ids(transaction, organization, not_impersonation_role_ids),
            date_created=now if known is None else known.date_created,
            date_modified=now,
        )
        access_control_rules.put(transaction, rule)


def list(context: Context, *, organization_id: str) -> tuple[AccessControlRule, ...]:  # noqa: A001 -- the verb of the API
    """All rules of the organization, the oldest first."""
    with context.store.read() as reader:
        require_active(reader, organization_id)
        return all_rules(reader, organization_id)


def delete(context: Context, *, organization_id: str, name: str) -> None:
    """Delete the rule; one that is not there is a success."""
    with context.store.begin() as transaction:
        require_active(transaction, organization_id)
        access_control_rules.delete(transaction, organization_id, name)


def all_rules(reader: Reader, organization_id: str) -> tuple[AccessControlRule, ...]:
    """The organization's rules, the oldest first."""
    rules = access_control_rules.page(reader, organization_id, None, 10 * MAX_RULES)
    return tuple(sorted(rules, key=lambda rule: (rule.date_created, rule.name)))


def action_of(text: str) -> Action:
    """The action of this name, exactly as WorkMail spells it. Raises `InvalidParameterException`."""
    try:
        return Action(text)
    except ValueError:
        raise InvalidParameterException(
            f"{text} is not a valid action. Valid values include {', '.join(Action)}."
        ) from None


def _actions(texts: Sequence[str]) -> tuple[Action, ...]:
    return tuple(action_of(text) for text in texts)


def _ranges(texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        try:
            # A bare address would be taken for a /32; WorkMail's pattern asks for the length.
            ip_network(text if "/" in text else "", strict=False)
        except ValueError:
            raise InvalidParameterException(f"{text} is not a valid IPv4 or IPv6 CIDR range.") from None
    return tuple(texts)


def _user_ids(reader: Reader, organization: Organization, identities: Sequence[str]) -> tuple[str, ...]:
    found = tuple(require(reader, organization, identity) for identity in identities)
    if any(user.state is EntityState.DELETED for user in found):
        raise EntityNotFoundException
    return tuple(user.user_id for user in found)


def _role_ids(reader: Reader, organization: Organization, role_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(require_role(reader, organization.organization_id, role_id).role_id for role_id in role_ids)
