"""Whom an impersonation role may impersonate: a matching DENY, else a matching ALLOW, else DENY."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatepost.model import Effect

if TYPE_CHECKING:
    from gatepost.model import ImpersonationRole, ImpersonationRule


@dataclass(frozen=True, slots=True)
class ImpersonationEffect:
    """What a role's rules say of a user; `matched_rules` produced it, in the role's order."""

    effect: Effect
    matched_rules: tuple[ImpersonationRule, ...]


def impersonation_effect(role: ImpersonationRole, user_id: str) -> ImpersonationEffect:
    """Whether the role may open this user's mailbox (WorkMail `GetImpersonationRoleEffect`)."""
    matching = tuple(rule for rule in role.rules if _matches(rule, user_id))
    for effect in (Effect.DENY, Effect.ALLOW):
        matched = tuple(rule for rule in matching if rule.effect is effect)
        if matched:
            return ImpersonationEffect(effect, matched)
    return ImpersonationEffect(Effect.DENY, ())


def _matches(rule: ImpersonationRule, user_id: str) -> bool:
    return (not rule.target_users or user_id in rule.target_users) and user_id not in rule.not_target_users
