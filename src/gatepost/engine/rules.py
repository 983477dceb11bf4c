"""Rules compiled for matching: once when a rule changes, not once per request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic

from gatepost.engine.matching import (
    PROPERTIES,
    AccessSubject,
    ShownDevice,
    Subject,
    Test,
    action_in,
    address_in,
    address_not_in,
    outside,
    role_in,
    starts_with_any,
    starts_with_none,
    user_in,
)
from gatepost.model import AccessControlRule, Action, DeviceConditions, Effect, MobileDeviceAccessRule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class RuleError(Exception):
    """A rule cannot be evaluated; whoever meets it denies (`rule` is its key)."""

    def __init__(self, rule: str, error: str) -> None:
        super().__init__(f"rule `{rule}` cannot be evaluated: {error}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Condition(Generic[Subject]):
    """One condition list: its WorkMail name, the property it is about, the listed values as they were written."""

    name: str
    about: str
    listed: tuple[str, ...]
    test: Test[Subject]


@dataclass(frozen=True, slots=True)
class CompiledRule(Generic[Subject]):
    """A rule ready to be evaluated; two are equal when they come from equal nouns."""

    key: str
    source: MobileDeviceAccessRule | AccessControlRule
    effect: Effect = field(compare=False)
    conditions: tuple[Condition[Subject], ...] = field(compare=False, repr=False)
    tests: tuple[Test[Subject], ...] = field(compare=False, repr=False)
    error: str | None = field(compare=False, default=None)

    def matches(self, subject: Subject) -> bool | None:
        """Whether all conditions match; None while that depends on what may still be reported.

        Raises:
            RuleError: the rule cannot be evaluated.
        """
        outcome: bool | None = True
        for test in self.tests:
            one = test(subject)
            if one is None:
                outcome = None
            elif not one:
                return False
        return outcome


def compile_device_rule(rule: MobileDeviceAccessRule) -> CompiledRule[ShownDevice]:
    """The rule ready for `shown` devices; one that cannot be evaluated raises RuleError whenever it is asked."""
    return _compiled(rule.rule_id, rule, lambda: _device_conditions(rule.conditions))


def compile_access_control_rule(rule: AccessControlRule) -> CompiledRule[AccessSubject]:
    """The rule ready for access subjects; one that cannot be evaluated raises RuleError whenever it is asked."""
    return _compiled(rule.name, rule, lambda: _access_conditions(rule))


def _compiled(
    key: str,
    rule: MobileDeviceAccessRule | AccessControlRule,
    conditions_of: Callable[[], list[Condition[Subject]]],
) -> CompiledRule[Subject]:
    try:
        conditions = tuple(conditions_of())
        tests = tuple(condition.test for condition in conditions)
        return CompiledRule(key, rule, Effect(rule.effect), conditions, tests)
    except (ValueError, TypeError, AttributeError) as error:
        # What is in the store was checked on its way in, so this is corruption or a newer version's rule. Skipping the
        # rule could skip the one that denies.
        text = str(error)

        def fail(_: Subject) -> bool | None:
            raise RuleError(key, text)

        return CompiledRule(key, rule, Effect.DENY, (), (fail,), text)


def _device_conditions(conditions: DeviceConditions) -> list[Condition[ShownDevice]]:
    lists = (
        (conditions.device_types, conditions.not_device_types),
        (conditions.device_models, conditions.not_device_models),
        (conditions.device_operating_systems, conditions.not_device_operating_systems),
        (conditions.device_user_agents, conditions.not_device_user_agents),
    )
    compiled: list[Condition[ShownDevice]] = []
    for index, (listed, not_listed) in enumerate(lists):
        about = PROPERTIES[index]
        if listed:
            compiled.append(Condition(f"{about}s", about, tuple(listed), starts_with_any(index, listed)))
        if not_listed:
            compiled.append(Condition(f"Not{about}s", about, tuple(not_listed), starts_with_none(index, not_listed)))
    return compiled


def _access_conditions(rule: AccessControlRule) -> list[Condition[AccessSubject]]:
    # A rule that denies may not be escaped by hiding the address; a rule that allows may not be met by it.
    hidden = Effect(rule.effect) is Effect.DENY
    actions = tuple(map(Action, rule.actions))
    not_actions = tuple(map(Action, rule.not_actions))
    table: tuple[tuple[str, str, Sequence[str], Callable[[], Test[AccessSubject]]], ...] = (
        ("Actions", "Action", actions, lambda: action_in(actions)),
        ("NotActions", "Action", not_actions, lambda: outside(action_in(not_actions))),
        ("IpRanges", "IpAddress", rule.ip_ranges, lambda: address_in(rule.ip_ranges, unknown=hidden)),
        ("NotIpRanges", "IpAddress", rule.not_ip_ranges, lambda: address_not_in(rule.not_ip_ranges, unknown=hidden)),
        ("UserIds", "UserId", rule.user_ids, lambda: user_in(rule.user_ids)),
        ("NotUserIds", "UserId", rule.not_user_ids, lambda: outside(user_in(rule.not_user_ids))),
        (
            "ImpersonationRoleIds",
            "ImpersonationRoleId",
            rule.impersonation_role_ids,
            lambda: role_in(rule.impersonation_role_ids),
        ),
        (
            "NotImpersonationRoleIds",
            "ImpersonationRoleId",
            rule.not_impersonation_role_ids,
            lambda: outside(role_in(rule.not_impersonation_role_ids)),
        ),
    )
    return [Condition(name, about, tuple(listed), test()) for name, about, listed, test in table if listed]
