"""Impersonation roles: at most twenty, each with at most ten rules on whom it may impersonate.

Gatepost keeps and evaluates them; a gateway for ActiveSync has no use for them, and there is no EWS here that one could
assume a role for. Access control rules name them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gatepost.engine import impersonation_effect
from gatepost.model import (
    Effect,
    EntityState,
    ImpersonationRole,
    ImpersonationRoleType,
    ImpersonationRule,
    Organization,
)
from gatepost.operations.client_tokens import once
from gatepost.operations.errors import (
    EntityStateException,
    InvalidParameterException,
    LimitExceededException,
    ResourceNotFoundException,
)
from gatepost.operations.organizations import require_active
from gatepost.operations.paging import Listing, Page
from gatepost.operations.users import require as require_user
from gatepost.store import impersonation_roles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatepost.operations.context import Context
    from gatepost.store.database import Reader, Transaction

# WorkMail's: the model's list of roles holds twenty, a role's list of rules ten.
MAX_ROLES = 20


@dataclass(frozen=True, slots=True)
class ImpersonationRoleEffect:
    """The answer of GetImpersonationRoleEffect."""

    type: ImpersonationRoleType
    effect: Effect
    matched_rules: tuple[ImpersonationRule, ...]


def create(
    context: Context,
    *,
    organization_id: str,
    name: str,
    type: str,  # noqa: A002 -- the API's word
    rules: Sequence[Mapping[str, Any]],
    description: str | None = None,
    client_token: str | None = None,
) -> str:
    """Add a role and answer its id; `rules` are WorkMail's, their users any identities of which the ids are kept.

    Raises `EntityNotFoundException` and `EntityStateException` for unknown and deleted users, `LimitExceededException` at
    twenty roles.
    """
    parameters = {
        "organization_id": organization_id,
        "name": name,
        "type": type,
        "description": description,
        "rules": [dict(rule) for rule in rules],
    }

    def act(transaction: Transaction) -> str:
        organization = require_active(transaction, organization_id)
        if impersonation_roles.count(transaction, organization_id) >= MAX_ROLES:
            raise LimitExceededException
        now = context.now()
        role = ImpersonationRole(
            organization_id=organization_id,
            role_id=str(uuid4()),
            name=name,
            type=ImpersonationRoleType(type),
            description=description,
            rules=_rules(transaction, organization, rules),
            date_created=now,
            date_modified=now,
        )
        impersonation_roles.put(transaction, role)
        return role.role_id

    return once(context, "CreateImpersonationRole", client_token, parameters, act)


def get(context: Context, *, organization_id: str, impersonation_role_id: str) -> ImpersonationRole:
    """The role. Raises `ResourceNotFoundException`."""
    with context.store.read() as reader:
        require_active(reader, organization_id)
        return require(reader, organization_id, impersonation_role_id)


def list(  # noqa: A001 -- the verb of the API
    context: Context, *, organization_id: str, next_token: str | None = None, max_results: int | None = None
) -> Page[ImpersonationRole]:
    """The organization's roles in the order of their ids."""
    with context.store.read() as reader:
        require_active(reader, organization_id)
        return Listing("ListImpersonationRoles", (organization_id,)).page(
            next_token,
            max_results,
            lambda after, limit: impersonation_roles.page(reader, organization_id, after, limit),
            lambda role: role.role_id,
        )


def update(
    context: Context,
    *,
    organization_id: str,
    impersonation_role_id: str,
    name: str,
    type: str,  # noqa: A002 -- the API's word
    rules: Sequence[Mapping[str, Any]],
    description: str | None = None,
) -> None:
    """Replace the role as a whole: what is not given is gone, the date of creation stays. Raises as `create` and `get` do."""
    with context.store.begin() as transaction:
        organization = require_active(transaction, organization_id)
        known = require(transaction, organization_id, impersonation_role_id)
        replaced = replace(
            known,
            name=name,
            type=ImpersonationRoleType(type),
            description=description,
            rules=_rules(transaction, organization, rules),
            date_modified=context.now(),
        )
        impersonation_roles.put(transaction, replaced)


def delete(context: Context, *, organization_id: str, impersonation_role_id: str) -> None:
    """Delete the role; one that is not there is a success.

    Access control rules that name it stay as they are: without its last role, a list would match everybody.
    """
    with context.store.begin() as transaction:
        require_active(transaction, organization_id)
        impersonation_roles.delete(transaction, organization_id, impersonation_role_id)


def get_effect(
    context: Context, *, organization_id: str, impersonation_role_id: str, target_user: str
) -> ImpersonationRoleEffect:
    """Whether the role may impersonate the user, and the rules that say so, in the role's order.

    Raises `EntityStateException` for a user who is not enabled: there is no mailbox to open.
    """
    with context.store.read() as reader:
        organization = require_active(reader, organization_id)
        role = require(reader, organization_id, impersonation_role_id)
        user = require_user(reader, organization, target_user)
    if user.state is not EntityState.ENABLED:
        raise EntityStateException
    found = impersonation_effect(role, user.user_id)
    return ImpersonationRoleEffect(role.type, found.effect, found.matched_rules)


def require(reader: Reader, organization_id: str, role_id: str) -> ImpersonationRole:
    """The role of this id, exactly as it is spelt. Raises `ResourceNotFoundException`."""
    role = impersonation_roles.get(reader, organization_id, role_id)
    if role is None:
        raise ResourceNotFoundException(f"The impersonation role {role_id} cannot be found.")
    return role


def _rules(
    reader: Reader, organization: Organization, given: Sequence[Mapping[str, Any]]
) -> tuple[ImpersonationRule, ...]:
    rules = tuple(_rule(reader, organization, rule) for rule in given)
    if len({rule.rule_id for rule in rules}) < len(rules):
        raise InvalidParameterException("Each rule of a role needs an ImpersonationRuleId of its own.")
    return rules


def _rule(reader: Reader, organization: Organization, given: Mapping[str, Any]) -> ImpersonationRule:
    return ImpersonationRule(
        rule_id=given["ImpersonationRuleId"],
        name=given.get("Name"),
        description=given.get("Description"),
        effect=Effect(given["Effect"]),
        target_users=_user_ids(reader, organization, given.get("TargetUsers", ())),
        not_target_users=_user_ids(reader, organization, given.get("NotTargetUsers", ())),
    )


def _user_ids(reader: Reader, organization: Organization, identities: Sequence[str]) -> tuple[str, ...]:
    users = tuple(require_user(reader, organization, identity) for identity in identities)
    if any(user.state is EntityState.DELETED for user in users):
        raise EntityStateException
    return tuple(user.user_id for user in users)
